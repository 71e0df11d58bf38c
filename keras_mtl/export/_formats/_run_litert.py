"""Answers of LiteRT."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.export._formats._extras import import_extra

Array = npt.NDArray[Any]


class LitertRunner:
    """Runs the signatures of a LiteRT model.

    The outputs of the graph itself have neither names nor order (`StatefulPartitionedCall:5`), so
    it is always a signature that runs.

    Args:
        model: The path of a file, or its bytes.
    """

    def __init__(self, model: str | os.PathLike[str] | bytes) -> None:
        interpreter = import_extra("ai_edge_litert.interpreter", "litert").Interpreter
        is_content = isinstance(model, bytes)
        self._interpreter = (
            interpreter(model_content=model) if is_content else interpreter(os.fspath(model))
        )
        self.signatures: dict[str, dict[str, list[str]]] = self._interpreter.get_signature_list()
        details = self._interpreter.get_signature_runner("serving_default").get_input_details()
        self.specs = {name: _spec(facts) for name, facts in details.items()}

    def answer(
        self, rows: Mapping[str, Any], signature: str = "serving_default"
    ) -> dict[str, Array]:
        """Returns the answers of a signature, by output.

        Args:
            rows: By the names of inputs; those of other signatures are left out.
            signature: The name of the signature.
        """
        runner = self._interpreter.get_signature_runner(signature)
        request = {
            name: _to_bytes(np.asarray(rows[name])) for name in self.signatures[signature]["inputs"]
        }
        return {name: np.array(values) for name, values in runner(**request).items()}


def _spec(facts: Mapping[str, Any]) -> tuple[str, int]:
    """Returns the dtype and the rank of an input."""
    dtype = np.dtype(facts["dtype"])
    return "string" if dtype.kind == "S" else dtype.name, len(facts["shape"])


def _to_bytes(array: Array) -> Array:
    """Returns text as bytes; all else as it is."""
    if array.dtype.kind not in "OU":
        return array
    words = [word.encode() if isinstance(word, str) else word for word in array.flat]
    return np.array(words, np.bytes_).reshape(array.shape)

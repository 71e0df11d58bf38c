"""The SavedModel of a version folder."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from keras_mtl.export._beside._manifest import FILE as MANIFEST
from keras_mtl.export._beside._manifest import check_manifest

Array = npt.NDArray[Any]
ALL = "serving_default"
"""The signature of all tasks."""


@dataclasses.dataclass(frozen=True)
class Served:
    """Holds a loaded SavedModel and answers requests.

    Attributes:
        folder: The version folder.
        loaded: The loaded object, which keeps variables and tables alive.
        signatures: Concrete functions by signature, those of single tasks included.
    """

    folder: pathlib.Path
    loaded: Any
    signatures: Mapping[str, Any]

    @property
    def specs(self) -> dict[str, tf.TensorSpec]:
        """The specs of all inputs, by name."""
        specs: dict[str, tf.TensorSpec] = self.signatures[ALL].structured_input_signature[1]
        return specs

    @property
    def outputs(self) -> dict[str, tuple[str, ...]]:
        """The outputs of each task, its decision included, by task."""
        names: dict[str, tuple[str, ...]] = {}
        for signature, function in self.signatures.items():
            if signature != ALL and signature in function.structured_outputs:
                names[signature] = tuple(sorted(function.structured_outputs))
        return names

    def task_of(self, output: str) -> str:
        """Returns the task to which an output belongs, which its decision does, too."""
        for task, names in self.outputs.items():
            if output in names:
                return task
        return output

    def answer(self, rows: Mapping[str, Array], signature: str = ALL) -> dict[str, Array]:
        """Returns the answers of a signature, by output.

        Args:
            rows: Arrays by the names of inputs; strings are `str` or `bytes`.
            signature: The name of the signature.
        """
        function = self.signatures[signature]
        specs = function.structured_input_signature[1]
        tensors = {name: tf.constant(rows[name], spec.dtype) for name, spec in specs.items()}
        return {name: value.numpy() for name, value in function(**tensors).items()}

    def call(self, tensors: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Computes the outputs of all tasks, in a graph, too."""
        outputs: dict[str, tf.Tensor] = self.signatures[ALL](**tensors)
        return outputs


def operations(served: Served) -> Iterator[Any]:
    """Yields all nodes of the graph of all tasks, with those of its inner functions."""
    graph = served.signatures[ALL].graph.as_graph_def()
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def has_operation(served: Served, name: str) -> bool:
    """Returns whether an operation stands anywhere in the graph of all tasks."""
    return any(node.op == name for node in operations(served))


def load_served(folder: str | os.PathLike[str]) -> Served:
    """Loads the SavedModel of a version folder.

    Raises:
        ValueError: If the folder holds no export of this package.
        RefusedVersion: If the folder does not hold what its manifest says.
    """
    path = pathlib.Path(folder)
    if not (path / "saved_model.pb").is_file():
        raise ValueError(
            f"{str(path)!r} holds no SavedModel; expected the folder of one version, as "
            "export.saved_model returns it, such as 'saved_models/census/1'."
        )
    if (path / MANIFEST).is_file():
        # The manifest is written anew with the new file: it must not bless what was changed.
        check_manifest(path)
    loaded = tf.saved_model.load(path)
    signatures = {
        name: function
        for name, function in loaded.signatures.items()
        # One that reads serialized examples is for TensorFlow alone.
        if name == ALL or name in function.structured_outputs
    }
    if ALL not in signatures:
        raise ValueError(
            f"The SavedModel in {str(path)!r} has the signatures {sorted(signatures)}, and no "
            f"{ALL!r}; write it by export.saved_model."
        )
    return Served(path, loaded, signatures)

"""The proof that an artifact answers as its SavedModel does."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from keras_mtl.export._formats._differences import Array, check_answers, rounding_noise
from keras_mtl.export._formats._request import (
    answered_rows,
    read_rows,
    recorded_rows,
    with_gaps,
    with_rounding,
)
from keras_mtl.export._formats._served import ALL, Served, has_operation

Answer: TypeAlias = Callable[[Mapping[str, Array]], Mapping[str, Array]]


def check_quantize(quantize: str | None, known: tuple[str, ...]) -> str:
    """Returns the part of a file name that says how weights are stored.

    Raises:
        ValueError: If `quantize` is none of the known ways.

    Example:
        >>> check_quantize("int8", ("int8",)), check_quantize(None, ("int8",))
        ('.int8', '')
    """
    if quantize is not None and quantize not in known:
        raise ValueError(f"quantize is {quantize!r}; expected None or one of {list(known)}.")
    return "" if quantize is None else f".{quantize}"


@dataclasses.dataclass(frozen=True)
class _Request:
    """Holds rows and answers of the SavedModel.

    Attributes:
        rows: By input.
        expected: By output.
        noise: What rounding may change of the answers, by output.
    """

    rows: Mapping[str, Array]
    expected: Mapping[str, Array]
    noise: Mapping[str, Array]


class Proof:
    """Compares artifacts with a SavedModel on the same requests.

    Args:
        served: The SavedModel.
        rows: Rows of the user, by input; `None` takes recorded and drawn ones.
        tolerance: The largest difference, as a fraction of the scale.
    """

    def __init__(self, served: Served, rows: Mapping[str, Any] | None, tolerance: float) -> None:
        self._served = served
        self._tolerance = tolerance
        self._requests: dict[str, _Request] = {}
        if rows is not None:
            self._add("rows", read_rows(served, rows))
        else:
            self._add_rows()
        self._add_gaps()

    def _add(self, name: str, rows: Mapping[str, Array]) -> None:
        expected = self._served.answer(rows)
        noise: dict[str, Array] = {}
        for seed in (0, 1):
            changed = self._served.answer(with_rounding(rows, seed))
            for output, values in expected.items():
                if values.dtype.kind == "f":
                    of_seed = rounding_noise(values, changed[output])
                    noise[output] = np.maximum(of_seed, noise.get(output, 0.0))
        self._requests[name] = _Request(rows, expected, noise)

    def _add_rows(self) -> None:
        """Adds the rows that were recorded with the version, and drawn ones."""
        recorded = recorded_rows(self._served)
        if recorded is not None:
            self._add("recorded rows", recorded)
        try:
            self._add("drawn rows", answered_rows(self._served))
        except ValueError:
            # The network takes no such rows: it wants images as bytes, for example.
            if recorded is None:
                raise

    def _add_gaps(self) -> None:
        """Adds rows that are not finite, if the SavedModel says how it answers them."""
        if not has_operation(self._served, "IsFinite"):
            # Without a guard, the answer depends on the processor (docs/keras_notes.md, pain 116).
            return
        # An encoder that fills no gaps refuses the request; other formats have no errors, but the
        # guard in the graph answers such rows with NaN.
        with contextlib.suppress(tf.errors.OpError):
            self._add("rows with NaN", with_gaps(list(self._requests.values())[-1].rows))

    def check(self, answer: Answer, artifact: str, signature: str = ALL) -> None:
        """Checks the answers to all requests.

        Args:
            answer: From rows, by input, to answers, by output.
            artifact: Its name, at the beginning of an error.
            signature: The signature whose outputs the artifact has.

        Raises:
            ValueError: If an answer differs by more than the tolerance.
        """
        for name, request in self._requests.items():
            outputs = self._served.signatures[signature].structured_outputs
            expected = {output: request.expected[output] for output in outputs}
            of_signature = dataclasses.replace(request, expected=expected)
            self._compare(f"{artifact}, on {name}", of_signature, answer(request.rows))

    def check_gaps(self, answer: Answer, artifact: str) -> None:
        """Checks that the answers to all requests have the right shapes, and NaN where it belongs.

        For quantized artifacts, whose numbers differ.
        """
        for name, request in self._requests.items():
            holes = {output: _holes(values) for output, values in request.expected.items()}
            answers = {output: _holes(v) for output, v in answer(request.rows).items()}
            self._compare(f"{artifact}, on {name}", _Request({}, holes, {}), answers)

    def _compare(self, what: str, request: _Request, answers: Mapping[str, Array]) -> None:
        task_of, tolerance = self._served.task_of, self._tolerance
        try:
            check_answers(request.expected, answers, request.noise, task_of, tolerance)
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from error


def _holes(values: Array) -> Array:
    """Returns 1 where a number is finite, and NaN where it is not."""
    if values.dtype.kind != "f":
        return np.ones(values.shape, "float32")
    return np.where(np.isfinite(values), np.float32(1), np.float32(np.nan))

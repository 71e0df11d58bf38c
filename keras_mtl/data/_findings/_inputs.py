"""Inputs that will hurt training: missing, constant or huge ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

_HUGE = 1e4  # a feature that a dense layer reads as it is
_HUGE_COLUMN = 2.0**24  # a table's column, which is to be standardized: float32 blurs larger ones
_LISTED = 5


class InputSummary:
    """Adds up what one input holds, feature by feature.

    Features are the entries of the last axis; an input `(batch,)` is one column of a table.

    Args:
        name: The input's name, for messages.
        column: Whether the input is a column of a table.
    """

    def __init__(self, name: str, *, column: bool) -> None:
        self.name, self.column = name, column
        self.count = self.missing = np.zeros(1)
        self.low, self.high = np.array(np.inf), np.array(-np.inf)
        self._text: bytes | None = None
        self._varies = False

    def add(self, values: npt.NDArray[Any]) -> None:
        """Adds the values of a batch."""
        if values.dtype == object:
            self._add_text(values)
            return
        values = values.reshape(-1, 1 if values.ndim == 1 else values.shape[-1])
        if not len(values):
            return
        if values.dtype.kind not in "biu":
            values = values.astype(np.float64)
        missing = np.isnan(values)
        self.count = self.count + len(values)
        self.missing = self.missing + missing.sum(axis=0)
        self.low = np.fmin(self.low, np.fmin.reduce(values, axis=0))
        self.high = np.fmax(self.high, np.fmax.reduce(values, axis=0))

    def _add_text(self, values: npt.NDArray[Any]) -> None:
        for value in values:
            if self._text is None:
                self._text = value
            if value != self._text:
                self._varies = True
                return

    @property
    def constant(self) -> Any:
        """Which features have one value alone."""
        if self._text is not None:
            return np.array([not self._varies])
        return np.asarray((self.low == self.high) & (self.missing == 0))

    @property
    def largest(self) -> Any:
        """The largest absolute value of each feature."""
        if not self.count.any():
            return np.zeros(1)
        return np.nan_to_num(
            np.maximum(np.abs(self.low), np.abs(self.high)), nan=0.0, posinf=np.inf
        )

    @property
    def empty(self) -> bool:
        """Whether all features are 0 throughout, as in an input that stands for none."""
        return self._text is None and not self.missing.any() and not self.largest.any()


def select_inputs(specs: Any) -> dict[str, tuple[int, bool]]:
    """Returns which inputs can be looked at, by name: their place, and whether they are columns.

    Inputs of one shape are, but for whole numbers with further axes: numbers of words or pixels
    are no features.

    Args:
        specs: The specs of a batch's inputs.
    """
    selected = {}
    for place, (name, spec) in enumerate(_name_leaves(specs)):
        if not isinstance(spec, tf.TensorSpec) or not spec.shape.rank:
            continue
        column = spec.shape.rank == 1
        text = spec.dtype == tf.string
        if None in spec.shape[1:] or (not column and (text or not spec.dtype.is_floating)):
            continue
        if text or spec.dtype.is_floating or spec.dtype.is_integer or spec.dtype == tf.bool:
            selected[name] = place, column
    return selected


def _name_leaves(specs: Any, path: str = "") -> list[tuple[str, Any]]:
    """Returns the leaves of a structure with their names, in the order of `tf.nest.flatten`."""
    if isinstance(specs, Mapping):
        entries = [(str(key), specs[key]) for key in sorted(specs)]
    elif isinstance(specs, tuple | list):
        entries = [(str(place), spec) for place, spec in enumerate(specs)]
    else:
        return [(path or "inputs", specs)]
    return [
        leaf
        for name, spec in entries
        for leaf in _name_leaves(spec, f"{path}/{name}" if path else name)
    ]


def list_input_warnings(summaries: list[InputSummary]) -> list[str]:
    """Returns a message for each harmful property of the inputs."""
    if all(summary.empty for summary in summaries):
        return []
    messages = []
    shares = [summary.missing / np.maximum(summary.count, 1) for summary in summaries]
    holed = _list_features(summaries, [share > 0 for share in shares], shares, "{:.1%}")
    if holed:
        messages.append(
            f"{holed} NaN, and one NaN makes a network NaN, or a plausible 0 behind a ReLU. "
            "data.tabular_encoder(missing='median') fills and flags them."
        )
    constant = _list_features(summaries, [summary.constant for summary in summaries])
    if constant:
        messages.append(
            f"{constant} one value only: nothing can be learned from it. Leave it out; a row with "
            "another value would be one of a kind that the network has never seen."
        )
    largest = [summary.largest for summary in summaries]
    limits = [_HUGE_COLUMN if summary.column else _HUGE for summary in summaries]
    huge = [sizes > limit for sizes, limit in zip(largest, limits, strict=True)]
    listed = _list_features(summaries, huge, largest, "{:.3g}")
    if listed:
        messages.append(
            f"{listed} huge numbers, behind which a network does not see the others. Standardize "
            "them: data.tabular_encoder does, with log=[...] for long tails, or clip=(0.01, 0.99)."
        )
    return messages


def _list_features(
    summaries: list[InputSummary],
    chosen: list[Any],
    numbers: list[Any] | None = None,
    form: str = "",
) -> str:
    """Returns the beginning of a sentence about the chosen features; empty if there are none."""
    names = []
    total = 0
    for place, (summary, choice) in enumerate(zip(summaries, chosen, strict=True)):
        choice = np.atleast_1d(choice)
        total += len(choice)
        for feature in np.flatnonzero(choice):
            name = repr(summary.name) + (f"[{feature}]" if len(choice) > 1 else "")
            if numbers is not None:
                name += f" ({form.format(np.atleast_1d(numbers[place])[feature])})"
            names.append(name.replace("%", " %"))
    if not names:
        return ""
    listed = ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    return f"{len(names)} of {total} inputs ({listed}) hold{'s' if len(names) == 1 else ''}"

"""Which inputs that are not finite a network fills, found out when such an input comes."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from keras_mtl._keras_internals import operation_of
from keras_mtl._types import Tensor
from keras_mtl.data._inputs._filled_rows import blank_rows, fills
from keras_mtl.data._inputs._finite_inputs import (
    WHOLE,
    BrokenInput,
    broken_inputs,
    describe,
    name_leaves,
)

_MAX_ROWS = 1024  # on which a network is tried at once

Question: TypeAlias = tuple[str, int, float]
"""Whether an input, by its name, is filled in a column, or `WHOLE`, where it has a value."""


class MissingPath:
    """Remembers which inputs a network fills where they are not finite.

    Args:
        network: A functional model.
    """

    def __init__(self, network: keras.Model) -> None:
        self._network = network
        self._answers: dict[tuple[str, int, str], bool] = {}  # NaN equals no other key

    def check(self, x: Any, where: str = "") -> None:
        """Checks that inputs are finite, except where the network fills them.

        Args:
            x: Arrays in the structure in which `fit` takes them.
            where: What the number of a row counts in, such as `"of batch 3"`.

        Raises:
            ValueError: If an input holds NaN or an infinite number. The message names it.
        """
        findings = (self._not_filled(x, finding) for finding in broken_inputs(x))
        broken = [finding for finding in findings if finding.places]
        if broken:
            raise ValueError(describe(broken, where))

    def learn(self, x: Any) -> None:
        """Finds out for all columns whether NaN is filled, if it was found out for some.

        Args:
            x: Arrays in the structure in which `fit` takes them.
        """
        if not self._answers:
            return
        questions = [
            (name, column, np.nan) for name, leaf in name_leaves(x) for column in _columns_of(leaf)
        ]
        if len(questions) <= _MAX_ROWS:
            self._find_out(x, 0, questions)

    def filled(self) -> dict[str, list[int]]:
        """Returns the columns, by input, of which it is known that NaN in them is filled."""
        filled: dict[str, list[int]] = {}
        for (name, column, value), is_filled in self._answers.items():
            if is_filled and value == str(np.nan):
                filled.setdefault(name, []).append(column)
        return filled

    def _not_filled(self, x: Any, broken: BrokenInput) -> BrokenInput:
        """Returns a finding without the columns that the network fills."""
        pairs = list(broken.places.items())
        self._find_out(
            x, broken.row, [(broken.name, column, v) for column, at in pairs for v in at.values]
        )
        places = {
            column: at
            for column, at in pairs
            if not all(self._answers[broken.name, column, str(value)] for value in at.values)
        }
        return dataclasses.replace(broken, places=places)

    def _find_out(self, x: Any, row: int, questions: Sequence[Question]) -> None:
        """Tries the network on a row of the inputs, broken in another way for each question."""
        new = [q for q in questions if (q[0], q[1], str(q[2])) not in self._answers]
        for start in range(0, len(new), _MAX_ROWS):
            asked = new[start : start + _MAX_ROWS]
            rows = rows_for(self._network, x, row, asked)
            answers = [False] * len(asked) if rows is None else fills(self._network, rows)
            for (name, column, value), answer in zip(asked, answers, strict=True):
                self._answers[name, column, str(value)] = bool(answer)


def rows_for(
    network: keras.Model, x: Any, row: int, questions: Sequence[Question]
) -> list[Tensor] | None:
    """Returns the inputs of a row as the network takes them, once for each question.

    Numbers of the row that are not finite become 0, except for the one that is asked for. An input
    that the data lack, such as the preference that a step adds, is blank.

    Args:
        network: A functional model.
        x: Arrays in the structure in which `fit` takes them.
        row: The number of the row.
        questions: Where a row is to be broken.

    Returns:
        The values of the network's inputs, in their order; `None` if `x` does not fit, or holds
        sparse or ragged inputs.
    """
    named = [(name, _row_of(leaf, row)) for name, leaf in name_leaves(x)]
    if any(values is None for _, values in named):
        return None
    leaves = [_broken_rows(name, values, questions) for name, values in named]
    blank = blank_rows(network, len(questions))
    if isinstance(x, Mapping):
        keys = sorted(network.input) if isinstance(network.input, Mapping) else None
        names = keys or [operation_of(tensor).name for tensor in network.inputs]
        by_name = dict(zip(sorted(x, key=str), leaves, strict=False))
        leaves = [by_name.get(name) for name in names]
    if len(leaves) != len(blank):
        return None
    try:
        pairs = zip(leaves, blank, strict=True)
        return [zeros if values is None else _fit(values, zeros) for values, zeros in pairs]
    except (TypeError, ValueError, tf.errors.OpError):
        return None


def _columns_of(leaf: Any) -> Sequence[int]:
    """Returns the columns of a dense input of floats."""
    if not tf.is_tensor(leaf) or isinstance(leaf, tf.SparseTensor | tf.RaggedTensor):
        return ()
    if not leaf.dtype.is_floating:
        return ()
    return range(leaf.shape[1]) if leaf.shape.rank == 2 and leaf.shape[1] > 1 else (WHOLE,)


def _row_of(leaf: Any, row: int) -> Any:
    """Returns one row of an array as an array of one row; `None` if it is sparse or ragged."""
    if hasattr(leaf, "iloc"):
        part = leaf.iloc[row : row + 1]
        return part.to_numpy() if part.ndim == 1 else part.to_numpy(keras.config.floatx())
    if isinstance(leaf, tf.RaggedTensor | tf.SparseTensor) or hasattr(leaf, "tocoo"):
        return None
    values = np.asarray(leaf[row : row + 1])
    # NumPy knows no bfloat16, whose numbers are a kind of their own.
    return values.astype(np.float32) if values.dtype.kind == "V" else values


def _broken_rows(name: str, row: Any, questions: Sequence[Question]) -> Any:
    """Returns a row of an input once for each question, broken where the question asks."""
    rows = np.repeat(row, len(questions), axis=0)
    if rows.dtype.kind != "f":
        return rows
    rows = np.nan_to_num(rows, posinf=0.0, neginf=0.0)
    for number, (of_input, column, value) in enumerate(questions):
        if of_input == name:
            rows[number, ... if column == WHOLE else column] = value
    return rows


def _fit(values: Any, blank: Tensor) -> Tensor:
    """Returns values in the dtype and with the number of axes that an input has."""
    tensor = tf.constant(values) if blank.dtype == tf.string else tf.cast(values, blank.dtype)
    if tensor.shape.rank == blank.shape.rank - 1:
        return tensor[..., tf.newaxis]
    return tf.squeeze(tensor, -1) if tensor.shape.rank == blank.shape.rank + 1 else tensor

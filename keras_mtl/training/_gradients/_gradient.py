"""One loss's gradient with respect to one variable or tensor, in each of its forms."""

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeAlias

import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.training._frontier import VariableSlice


@dataclasses.dataclass(frozen=True, eq=False)
class Gradient:
    """Holds the gradient of one loss with respect to one source.

    It has four forms: nothing (the loss does not reach the source), a dense tensor, a sparse one
    (`tf.IndexedSlices`, of an embedding), or one entry of an array that holds the gradients of
    several losses. Thanks to the last form, the gradients of fifty towers stay one array, and one
    operation changes all of them.

    Attributes:
        array: The tensor; `None` where the loss does not reach the source.
        index: Which entry of the array's first axis; `None` for the whole of it.
    """

    array: Tensor | None = None
    index: int | None = None

    @property
    def exists(self) -> bool:
        """Whether the loss reaches the source."""
        return self.array is not None

    @property
    def is_entry(self) -> bool:
        """Whether it is one entry of an array of several losses' gradients."""
        return self.index is not None

    @property
    def stands_alone(self) -> bool:
        """Whether it exists and is not an entry of an array."""
        return self.exists and not self.is_entry

    @property
    def values(self) -> Tensor:
        """The numbers of the gradient; of a sparse one, only those of its rows."""
        if self.array is None:
            raise ValueError("The loss does not reach this variable.")
        if self.is_entry:
            return self.array[self.index]
        return self.array.values if isinstance(self.array, tf.IndexedSlices) else self.array

    def dense(self) -> Tensor:
        """Returns one float32 tensor; entries of a sparse one with the same row add up."""
        # float32 also under mixed_float16, where sums and products of gradients would overflow.
        numbers = self.values
        if isinstance(self.array, tf.IndexedSlices):
            shape = tf.cast(self.array.dense_shape, tf.int64)
            indices = tf.cast(self.array.indices, tf.int64)[:, None]
            numbers = tf.scatter_nd(indices, numbers, shape)  # adds up the same indices
        return tf.cast(numbers, tf.float32)

    def with_values(self, numbers: Tensor) -> "Gradient":
        """Returns a gradient of other numbers; a sparse one stays sparse."""
        if isinstance(self.array, tf.IndexedSlices):
            sparse = tf.IndexedSlices(numbers, self.array.indices, self.array.dense_shape)
            return Gradient(sparse)
        return Gradient(numbers)

    def times(self, factor: Tensor | float) -> "Gradient":
        """Returns the gradient times a scalar; one that does not exist is returned as it is."""
        if not self.exists:
            return self
        numbers = self.values
        return self.with_values(numbers * tf.cast(factor, numbers.dtype))


Row: TypeAlias = list[Gradient]
"""One loss's gradients, one for each source."""


def row_of(tensors: Iterable[Tensor | None]) -> Row:
    """Returns a row of gradients from plain tensors, `None` where there is none."""
    return [Gradient(tensor) for tensor in tensors]


def existing(row: Row) -> Row:
    """Returns the gradients of a row that exist."""
    return [gradient for gradient in row if gradient.exists]


def join_slices(pairs: Iterable[tuple[Any, Gradient]]) -> list[tuple[Any, Gradient]]:
    """Returns variables and their gradients, with those of slices put together.

    Either all slices of a variable are among the pairs, or none.
    """
    joined: dict[int, tuple[Any, Gradient]] = {}
    # Slices whose gradients are tensors of their own: by variable, and there by entry.
    apart: dict[int, tuple[Any, dict[int, Tensor]]] = {}
    for variable, gradient in pairs:
        if gradient.is_entry:  # the array already holds the gradients of all slices
            joined[id(variable.variable)] = (variable.variable, Gradient(gradient.array))
        elif isinstance(variable, VariableSlice):
            _, by_index = apart.setdefault(id(variable.variable), (variable.variable, {}))
            by_index[variable.index] = gradient.array
        else:
            joined[id(variable)] = (variable, gradient)
    stacked = [
        (variable, Gradient(tf.stack([by_index[i] for i in sorted(by_index)])))
        for variable, by_index in apart.values()
    ]
    return [*joined.values(), *stacked]

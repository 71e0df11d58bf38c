"""Sizes of arrays that may be unknown while a graph is traced.

The number of active tasks may be unknown while the graph of a step is traced: `array.shape[0]` is
then `None`, and the size is a tensor that gets its value in each step. These functions take both
cases. A known size stays a Python number, so that shapes stay static (as XLA wants them) and a
graph that is traced for a known number of tasks holds no operation that computes a size.
"""

import types

import numpy as np
from keras import ops

from keras_mtl._types import Tensor


def size_of(array: Tensor, dtype: str = "int32", *, axis: int = 0) -> int | Tensor:
    """Returns the size of an axis: an int if the shape tells it, else a scalar tensor.

    Use it in place of `array.shape[axis]`, which is `None` where the number of active tasks is
    unknown while the graph is traced. `size_of(gramian)` is the number of active tasks.

    Args:
        array: An array with one axis or more.
        dtype: Dtype of the scalar tensor; match the array that it is combined with. Defaults to
            `"int32"`, for shapes and ranges.
        axis: The axis. Defaults to `0`.

    Returns:
        The size of the axis.

    Example:
        >>> size_of(ops.ones((3, 2)))
        3
    """
    known: int | None = array.shape[axis]
    return ops.cast(ops.shape(array)[axis], dtype) if known is None else known


def larger(first: float | Tensor, second: float | Tensor) -> float | Tensor:
    """Returns the larger of two numbers; a tensor only if one of them is a tensor.

    Example:
        >>> larger(2, 3)
        3
    """
    return max(first, second) if _are_known(first, second) else ops.maximum(first, second)


def smaller(first: float | Tensor, second: float | Tensor) -> float | Tensor:
    """Returns the smaller of two numbers; a tensor only if one of them is a tensor.

    Example:
        >>> smaller(2, 3)
        2
    """
    return min(first, second) if _are_known(first, second) else ops.minimum(first, second)


def library_of(size: int | Tensor) -> types.ModuleType:
    """Returns the library that makes arrays of this size: NumPy if it is known, else `keras.ops`.

    An array made by NumPy is a constant of the graph.

    Example:
        >>> library_of(3).arange(3)
        array([0, 1, 2])
    """
    library: types.ModuleType = np if _are_known(size) else ops
    return library


def _are_known(*numbers: float | Tensor) -> bool:
    return all(isinstance(number, int | float) for number in numbers)


__all__ = ["larger", "library_of", "size_of", "smaller"]

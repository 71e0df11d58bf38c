"""Numbers of tasks: Python's own where a shape tells them, else tensors of the graph.

What is known is never computed: a graph that is traced for a certain number of tasks holds none
of this.
"""

import types

import numpy as np
from keras import ops

from keras_mtl._types import Tensor


def count(array: Tensor, dtype: str = "int32", *, axis: int = 0) -> int | Tensor:
    """The length of an axis: an int if the shape tells it, else a scalar tensor.

    Args:
        array: With one axis or more.
        dtype: Of the tensor: that of what it will meet, if that is no whole number.
        axis: Which axis. Defaults to `0`.

    Returns:
        The length.

    Example:
        >>> count(ops.ones((3, 2)))
        3
    """
    known: int | None = array.shape[axis]
    return ops.cast(ops.shape(array)[axis], dtype) if known is None else known


def larger(first: float | Tensor, second: float | Tensor) -> float | Tensor:
    """The larger of two numbers, a tensor only if one of them is.

    Example:
        >>> larger(2, 3)
        3
    """
    return max(first, second) if _known(first, second) else ops.maximum(first, second)


def smaller(first: float | Tensor, second: float | Tensor) -> float | Tensor:
    """The smaller of two numbers, a tensor only if one of them is.

    Example:
        >>> smaller(2, 3)
        2
    """
    return min(first, second) if _known(first, second) else ops.minimum(first, second)


def library_of(number: int | Tensor) -> types.ModuleType:
    """What makes arrays whose size is that number: NumPy where it is known, else `keras.ops`.

    Example:
        >>> library_of(3).arange(3)
        array([0, 1, 2])
    """
    library: types.ModuleType = np if _known(number) else ops
    return library


def _known(*numbers: float | Tensor) -> bool:
    return all(isinstance(number, int | float) for number in numbers)


__all__ = ["count", "larger", "library_of", "smaller"]

"""Copies of batched layers that keep some of their branches."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt

Values: TypeAlias = npt.NDArray[Any]


def narrowed(
    layer: keras.layers.Layer, shape: Any, cut: Callable[[str, Values], Values], **changes: Any
) -> Any:
    """Returns a layer of another size, whose variables are parts of those of a built layer.

    A layer with an axis of branches (of tasks, of experts) states by a method `narrow(indices)` how
    it is cut down to some of them, and calls this function there. Its class also states in
    `branched_inputs` which of its inputs hold the same branches on their second to last axis, as
    its output does: a tuple of positions, or `None` if this layer has no such axis.

    Args:
        layer: The layer.
        shape: The shape of its inputs after the cut, as its `build` takes it.
        cut: Function from the name and the values of a variable to the values that are kept.
        **changes: Arguments of the constructor that differ.
    """
    copy = type(layer).from_config({**layer.get_config(), **changes})
    copy.build(shape)
    for variable, new_variable in zip(layer.variables, copy.variables, strict=True):
        new_variable.assign(cut(variable.name, keras.ops.convert_to_numpy(variable)))
    return copy


def take_branches(indices: Sequence[int]) -> Callable[[str, Values], Values]:
    """Returns a function that takes entries of the second to last axis, which holds the branches.

    Kernels `(in, branches, units)` and biases `(branches, units)` have it; variables of fewer axes,
    such as a temperature or the state of a seed, are kept as they are.
    """

    def cut(name: str, values: Values) -> Values:
        return values if values.ndim < 2 else np.take(values, indices, axis=-2)

    return cut


def built_shape(layer: keras.layers.Layer) -> Any:
    """Returns the shape, or the list of shapes, that a layer was built with."""
    return layer.get_build_config()["input_shape"]


def with_branches(shape: Sequence[int | None], num_branches: int) -> tuple[int | None, ...]:
    """Returns the shape of a tensor with another number of branches on its second to last axis."""
    return (*shape[:-2], num_branches, shape[-1])

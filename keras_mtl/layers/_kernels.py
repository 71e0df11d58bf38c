"""The kernels of a body, each with the shape of the matrix that maps inputs to outputs."""

import dataclasses
import math
import re
from collections.abc import Sequence

import keras

from keras_mtl._keras_internals import nested_layers


@dataclasses.dataclass(frozen=True)
class Kernel:
    """Holds a kernel of a layer and its shape as a matrix, when its axes are joined.

    Attributes:
        variable: The kernel.
        rows: The product of the sizes of its input axes.
        columns: The product of the sizes of its output axes.
    """

    variable: keras.Variable
    rows: int
    columns: int


def find_kernels(
    body: keras.layers.Layer, targets: Sequence[str] | None = None
) -> dict[str, Kernel]:
    """Finds the kernels of the layers of a body, by name, in the order of its variables.

    These are the kernels of dense, convolutional, recurrent and attention layers, at any depth,
    but not those of depthwise convolutions, which have nothing to factorize, nor embeddings.

    Args:
        body: A built layer or model.
        targets: The names of the layers whose kernels are returned, or of layers that hold such
            layers. By default all layers of the body.

    Returns:
        The kernels, by the path of their layer inside the body, with `_` for `/`.
    """
    wanted = None if targets is None else {*targets}
    owners = _owners(body)
    names: dict[str, Kernel] = {}
    for variable in body.weights:
        layer = owners.get(id(variable))
        if layer is None or not _is_kernel(variable, layer):
            continue
        if wanted is None or wanted & {layer.name, *variable.path.split("/")}:
            name = variable.path.removeprefix(f"{body.name}/").removesuffix("/kernel")
            name = name.replace("/", "_")
            # Paths of nested models need not be unique (docs/keras_notes.md, pain 9).
            name = f"{name}_{len(names)}" if name in names else name
            names[name] = _as_matrix(layer, variable)
    return names


def _owners(body: keras.layers.Layer) -> dict[int, keras.layers.Layer]:
    """Finds the innermost layer that holds each variable, by the identity of the variable."""
    owners: dict[int, keras.layers.Layer] = {}
    for layer in nested_layers(body):
        inner_layers = nested_layers(layer, include_self=False)
        nested = {id(variable) for inner in inner_layers for variable in inner.weights}
        owners |= {id(v): layer for v in layer.weights if id(v) not in nested}
    return owners


def _is_kernel(variable: keras.Variable, layer: keras.layers.Layer) -> bool:
    depthwise = keras.layers.DepthwiseConv1D | keras.layers.DepthwiseConv2D
    return (
        variable.name in ("kernel", "recurrent_kernel")
        and len(variable.shape) > 1
        and keras.backend.is_float_dtype(variable.dtype)
        and not isinstance(layer, depthwise)
    )


def _as_matrix(layer: keras.layers.Layer, variable: keras.Variable) -> Kernel:
    inputs = len(variable.shape) - 1  # the number of input axes, which come first
    if isinstance(layer, keras.layers.EinsumDense):
        _, kernel, output = re.split(",|->", layer.equation.replace("...", ""))
        is_input = [axis not in output for axis in kernel]
        if is_input == sorted(is_input, reverse=True) and 0 < sum(is_input) < len(kernel):
            inputs = sum(is_input)  # the axes of heads may be inputs or outputs of attention
    shape = variable.shape
    return Kernel(variable, math.prod(shape[:inputs]), math.prod(shape[inputs:]))

"""Which part of a gradient shows that it is not finite."""

from collections.abc import Iterable
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from keras_mtl._keras_internals import nested_layers
from keras_mtl.training._gradients._gradient import Gradient

Kernels: TypeAlias = frozenset[int]
"""Kernels, by `id`, whose gradients are sums of products of features and of one gradient."""

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


def find_kernels(network: keras.Model) -> Kernels:
    """Finds the kernels of which the last entry of the last axis need not be looked at.

    The gradient of such a kernel is `sum_b x_bi d_bj`, with the features x of each row b and the
    gradient d at the layer's output. A feature that is not finite makes row i of it not finite,
    for every j: one column shows it. A d that is not finite shows in the gradient of the bias.
    So it takes no look at the whole kernel, which costs 2 % of a step of a plain network. (Sums
    that overflow although all of their terms are finite are not seen.)

    Args:
        network: The network.
    """
    return frozenset(
        id(layer.kernel)
        for layer in nested_layers(network)
        if _multiplies(layer)
        and isinstance(layer.kernel, keras.Variable)  # not the sum with a low-rank update
        and layer.bias is not None
        and layer.bias.trainable
    )


def _multiplies(layer: Any) -> bool:
    """Returns whether a layer computes `x W + b`, with outputs along the last axis of W."""
    if _computes_as(layer, keras.layers.EinsumDense):
        inputs, kernel, _ = layer.equation.replace("->", ",").split(",")
        return kernel[-1] not in inputs
    if _computes_as(layer, *_CONVOLUTIONS):
        return bool(layer.groups == 1)
    return _computes_as(layer, keras.layers.Dense)


def _computes_as(layer: Any, *classes: type[keras.layers.Layer]) -> bool:
    """Returns whether a layer computes the same as one of these; a subclass may differ."""
    return any(isinstance(layer, cls) and type(layer).call is cls.call for cls in classes)


def parts_to_check(pairs: Iterable[tuple[Any, Gradient]], kernels: Kernels) -> list[Gradient]:
    """Returns the parts of gradients that show whether they are finite.

    Args:
        pairs: Variables and their gradients.
        kernels: The kernels of which one column is enough.
    """
    return [
        Gradient(gradient.values[..., 0]) if _is_enough(variable, gradient, kernels) else gradient
        for variable, gradient in pairs
    ]


def _is_enough(variable: Any, gradient: Gradient, kernels: Kernels) -> bool:
    return (
        id(variable) in kernels
        and gradient.stands_alone
        and not isinstance(gradient.array, tf.IndexedSlices)
    )

"""Which layers treat the entries of an axis separately."""

from typing import Any

import keras

from keras_mtl.layers import StopGradient

_MERGES = (
    keras.layers.Add,
    keras.layers.Average,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Multiply,
    keras.layers.Subtract,
)
_ENTRY_BY_ENTRY = (
    StopGradient,
    keras.layers.ELU,
    keras.layers.Identity,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
)
# Of Keras's activations, those that compute each entry from itself alone.
_ACTIVATIONS = {
    "celu",
    "elu",
    "exponential",
    "gelu",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "tanh",
}
_ALONG_THE_LAST_AXIS = {"log_softmax", "softmax", "sparsemax"}


def can_narrow(layer: Any) -> bool:
    """Returns whether a layer's `narrow` speaks of its own `call`.

    A class that derives from such a layer and computes something else may mix the branches.
    """
    classes = type(layer).__mro__
    of_narrow, of_call = (
        next((i for i, kind in enumerate(classes) if name in vars(kind)), len(classes))
        for name in ("narrow", "call")
    )
    return of_narrow <= of_call < len(classes)


def keeps_branches(layer: Any, node: Any) -> bool:
    """Returns whether entry i of the output's second to last axis depends on entry i of the inputs.

    Known layers of Keras only: for others the whole tensor is computed.

    Args:
        layer: The operation.
        node: Its call.
    """
    shapes = {tuple(tensor.shape) for tensor in node.input_tensors}
    if len(shapes) != 1 or len(next(iter(shapes))) < 3:
        return False
    if type(layer) in (keras.layers.Dense, keras.layers.Activation):
        return _name_of(layer.activation) in _ACTIVATIONS | _ALONG_THE_LAST_AXIS
    if type(layer) is keras.layers.LayerNormalization:
        return layer.axis in (-1, [-1], (-1,), len(next(iter(shapes))) - 1)
    return type(layer) in _MERGES or is_elementwise(layer)


def is_elementwise(layer: Any) -> bool:
    """Returns whether a layer computes each entry of its output from that entry of its input."""
    if type(layer) is keras.layers.Dropout:
        return layer.noise_shape is None
    if type(layer) is keras.layers.Activation:
        return _name_of(layer.activation) in _ACTIVATIONS
    return type(layer) in _ENTRY_BY_ENTRY


def has_separate_columns(layer: Any) -> bool:
    """Returns whether the units of a dense layer can be computed without each other."""
    return (
        type(layer) is keras.layers.Dense
        and _name_of(layer.activation) in _ACTIVATIONS
        and layer.quantization_mode is None
        and not layer.lora_enabled
        and layer.kernel_constraint is None
    )


def _name_of(activation: Any) -> str | None:
    """Returns the name of one of Keras's activations; `None` for a function of a user."""
    name = getattr(activation, "__name__", None)
    is_known = name in _ACTIVATIONS | _ALONG_THE_LAST_AXIS
    return name if is_known and keras.activations.get(name) is activation else None

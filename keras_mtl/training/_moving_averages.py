"""Moving averages, and other state of layers, that stay finite."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._keras_internals import nested_layers
from keras_mtl._replicas import Replicas
from keras_mtl._types import Tensor

_WITH_STATE = (
    keras.layers.BatchNormalization,
    keras.layers.RNN,
    keras.layers.SpectralNormalization,
)


class MovingAverages:
    """Remembers what layers keep from batch to batch, to take back an update that is not finite.

    A step leaves the variables as they are if nothing of it is finite, but the forward pass has
    changed the moving averages by then: a single NaN would stay in them for good
    (docs/keras_notes.md, pain 117).

    Args:
        network: The network; the values are those before its forward pass.
    """

    def __init__(self, network: keras.Model) -> None:
        self.variables = _state_of(network)
        self._before = self._values()

    def _values(self) -> list[Tensor]:
        return [tf.identity(variable.value) for variable in self.variables]

    def keep_finite(self, replicas: Replicas) -> None:
        """Restores the values from before the pass if one of them is not finite any more.

        Args:
            replicas: The replicas that have to agree.
        """
        if not self.variables:
            return
        before, after = self._before, self._values()
        # State that was not finite already, such as a largest number so far of -inf, tells nothing.
        kept = replicas.all_true(tf.reduce_all(_are_finite(after) | ~_are_finite(before)))
        for variable, old, new in zip(self.variables, before, after, strict=True):
            variable.assign(tf.where(kept, new, old))

    def rest(
        self, mask: Callable[[Any, Tensor], tuple[Tensor, Any] | None], active: Tensor
    ) -> None:
        """Restores those from before the pass which belong to tasks that take no part in the step.

        Args:
            mask: Returns whether a variable moves, for the losses that take part.
            active: These losses, bool `[K]`.
        """
        for variable, old in zip(self.variables, self._before, strict=True):
            moves = mask(variable, active)
            if moves is not None:
                new = tf.convert_to_tensor(variable.value)
                variable.assign(tf.where(moves[0], new, old))


def _are_finite(values: list[Tensor]) -> Tensor:
    """Returns whether all numbers of each array are finite, a bool vector."""
    return tf.math.is_finite(
        tf.stack([tf.reduce_sum(tf.cast(value, tf.float32)) for value in values])
    )


def _state_of(network: keras.Model) -> list[Any]:
    """Returns the numbers that layers change in a forward pass.

    Most layers of Keras and of this package hold none but constants, such as means of columns, of
    which there may be hundreds. A layer of a user may keep averages.
    """
    variables = {
        id(variable): variable
        for layer in nested_layers(network)
        if _has_state(layer)
        for variable in _without_layers_inside(layer)
        if keras.backend.is_float_dtype(variable.dtype)
    }
    return list(variables.values())


def _without_layers_inside(layer: keras.layers.Layer) -> list[Any]:
    """Returns what a layer holds itself and no optimizer trains; layers inside may be frozen."""
    inside = {
        id(variable)
        for inner in nested_layers(layer, include_self=False)
        for variable in inner.variables
    }
    return [variable for variable in layer.non_trainable_variables if id(variable) not in inside]


def _has_state(layer: keras.layers.Layer) -> bool:
    """Returns whether a layer may change numbers of its own in training."""
    if not layer.trainable:
        return False
    package = type(layer).__module__.split(".")[0]
    return isinstance(layer, _WITH_STATE) or package not in ("keras", "keras_mtl")

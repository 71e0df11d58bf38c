"""Layers that stay frozen in a saved network."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._keras_internals import nested_layers, nodes_above
from keras_mtl._types import Tensor


def freeze(layer: keras.layers.Layer) -> None:
    """Freezes a layer and all layers inside it."""
    # Of a layer that is frozen itself, `trainable = False` leaves those inside as they are.
    for inner in nested_layers(layer):
        inner.trainable = False


@keras.saving.register_keras_serializable(package="keras_mtl")
class Frozen(keras.layers.Layer):
    """Passes features on, and freezes layers of the graph that they come from.

    Keras saves of a layer that holds others, such as a block of a transformer, that it is
    frozen, but not that those are: their variables would be trained after
    `keras.models.load_model`. This layer freezes them whenever the graph is made.

    Args:
        layers: The names of the layers.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        features: Anything; it is returned as it is, with its mask.

    Example:
        >>> inputs = keras.Input((3,))
        >>> dense = keras.layers.Dense(2, name="dense")
        >>> features = Frozen(["dense"])(dense(inputs))
        >>> len(dense.trainable_variables)
        0
    """

    def __init__(self, layers: Sequence[str], **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True
        self.layers = list(layers)

    def symbolic_call(self, features: Tensor, **kwargs: Any) -> Tensor:
        """Freezes the layers while the graph is made."""
        for node in nodes_above([features]):
            if node.operation.name in self.layers:
                freeze(node.operation)
        return super().symbolic_call(features, **kwargs)

    def call(self, features: Tensor) -> Tensor:
        """Returns the features."""
        return features

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the features."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {**super().get_config(), "layers": self.layers}

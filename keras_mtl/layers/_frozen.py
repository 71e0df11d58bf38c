"""Layers that stay frozen in a saved network."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._keras_internals import nested_layers, nodes_above
from keras_mtl._types import Tensor


def freeze(layer: keras.layers.Layer) -> None:
    """Freezes a layer and all layers inside it."""
    # On a layer that is frozen already, `trainable = False` does not reach the layers inside it
    # (docs/keras_notes.md, pain 66).
    for inner in nested_layers(layer):
        inner.trainable = False


@keras.saving.register_keras_serializable(package="keras_mtl")
class Frozen(keras.layers.Layer):
    """Passes features on, and freezes layers of the graph that computes them.

    For a layer that holds other layers, such as a block of a transformer, Keras saves that the
    layer itself is frozen, but not that the layers inside it are: their variables would be
    trained after `keras.models.load_model`. This layer freezes them whenever the graph is made.

    Args:
        layers: The names of the layers to freeze.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        features: Any tensor; it is returned unchanged, with its mask.

    Returns:
        The same tensor.

    Example:
        >>> inputs = keras.Input((3,))
        >>> dense = keras.layers.Dense(2, name="dense")
        >>> features = Frozen(["dense"])(dense(inputs))
        >>> len(dense.trainable_variables)
        0
    """

    def __init__(self, layers: Sequence[str], **kwargs: Any) -> None:
        # Passes features on as they are, without a cast (docs/keras_notes.md, pain 88).
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
        """Returns the shape of the features."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "layers": self.layers}

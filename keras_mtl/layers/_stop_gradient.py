"""A barrier that gradients do not pass."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class StopGradient(keras.layers.Layer):
    """Passes its inputs on unchanged, and passes no gradient back.

    Choose it where one task reads features or predictions of another task, and its loss must not
    change the layers that compute them. `keras.ops.stop_gradient` does the same, but it loses the
    mask of a sequence (docs/keras_notes.md, pain 20), and its name in the summary is only a number.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: A tensor. Its mask is passed on.

    Returns:
        The same tensor.

    Example:
        >>> layer = StopGradient(name="purchase_reads_click")
        >>> layer(keras.Input((3,))).shape
        (None, 3)
    """

    stops_gradient = True  # cuts the graph: the layers before it need not be shared

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Returns the inputs, as constants for the gradient."""
        return ops.stop_gradient(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the inputs."""
        return input_shape

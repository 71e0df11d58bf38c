"""A weighted mean of the features of the modalities that are there."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class GatedFusion(keras.layers.Layer):
    """Mixes the features of the modalities that are there, with weights that they set themselves.

    With a linear score s_m of the features z_m of each modality, and a softmax over those that
    are there,

        a = softmax_{m there}(s_m(z_m))        z = sum_m a_m z_m

    Choose it where modalities are often missing, or are reliable in some examples only. Not the
    right choice where one modality must be read beside another: a mean of features cannot tell
    which modality said what, a concatenation can. An example without any modality gets zeros, or
    a vector that is learned.

    Args:
        learned: Whether a vector is learned for examples without any modality, from zeros on.
            Defaults to `False`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: A list: the features of each modality, all `(batch, channels)`, then flags
            `(batch, modalities)`.

    Returns:
        Features `(batch, channels)`.

    Raises:
        ValueError: If widths differ.

    Example:
        >>> layer = GatedFusion()
        >>> features = [ops.array([[2.0], [2.0]]), ops.array([[4.0], [4.0]])]
        >>> flags = ops.array([[1.0, 0.0], [0.0, 0.0]])
        >>> layer([*features, flags]).numpy().tolist()
        [[2.0], [0.0]]
    """

    def __init__(self, *, learned: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.learned = bool(learned)

    def build(self, input_shape: Sequence[Any]) -> None:
        """Makes the vectors and biases of the scores, and the vector for examples without any."""
        shapes = [tuple(shape) for shape in input_shape[:-1]]
        if len({shape[1:] for shape in shapes}) > 1 or len(shapes[0]) != 2:
            raise ValueError(
                f"{self.name}: the features of all modalities must be (batch, channels) with as "
                f"many channels; received {shapes}. End the encoders in the same number of units."
            )
        modalities, channels = len(shapes), shapes[0][-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(modalities, channels),
            initializer=keras.initializers.RandomNormal(stddev=channels**-0.5),
        )
        self.bias = self.add_weight(name="bias", shape=(modalities,), initializer="zeros")
        if self.learned:
            self.vector = self.add_weight(name="vector", shape=(channels,), initializer="zeros")

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Returns the weighted mean of the features."""
        *parts, flags = inputs
        features = ops.stack(parts, axis=1)  # (batch, modalities, channels)
        # What is not there must not turn into 0 * NaN, in the gradient of the kernel either.
        features = ops.where(flags[..., None] > 0, features, ops.zeros_like(features))
        # In float32: a softmax in half precision loses small weights.
        kernel, bias = (ops.cast(part, "float32") for part in (self.kernel, self.bias))
        scores = ops.sum(ops.cast(features, "float32") * kernel, axis=-1) + bias
        scores = ops.where(flags > 0, scores, -1e9)
        powers = ops.exp(scores - ops.max(scores, axis=1, keepdims=True)) * ops.cast(
            flags > 0, "float32"
        )
        weights = powers / ops.maximum(ops.sum(powers, axis=1, keepdims=True), 1e-9)
        fused = ops.sum(ops.cast(weights, features.dtype)[..., None] * features, axis=1)
        if not self.learned:
            return fused
        has_any = ops.any(flags > 0, axis=1, keepdims=True)
        return ops.where(has_any, fused, ops.cast(self.vector, fused.dtype))

    def compute_output_shape(self, input_shape: Sequence[Any]) -> Any:
        """Returns the shape of the features of one modality."""
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "learned": self.learned}

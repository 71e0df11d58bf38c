"""What stands in for the features of a missing modality."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class FillMissing(keras.layers.Layer):
    """Replaces the features of a missing modality by zeros, or by a vector that is learned.

    Nothing of the replaced numbers reaches the output or a gradient, also if they are NaN. Choose
    the learned vector for features, so that "missing" differs from all that a modality may say,
    and zeros for inputs. Not the right choice for fusions that leave missing modalities out
    (`GatedFusion`).

    Args:
        index: Position of the modality in the flags.
        learned: Whether a vector is learned, one number per channel, from zeros on. Defaults to
            `True`; otherwise the features become zeros.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: A list: features `(batch, ..., channels)` of any dtype (floats, if `learned`), and
            flags `(batch, modalities)`.

    Returns:
        Features of the same shape and dtype.

    Example:
        >>> layer = FillMissing(1, learned=False)
        >>> flags = ops.array([[1.0, 1.0], [1.0, 0.0]])
        >>> layer([ops.array([[7.0], [float("nan")]]), flags]).numpy().tolist()
        [[7.0], [0.0]]
    """

    def __init__(self, index: int, *, learned: bool = True, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.index, self.learned = int(index), bool(learned)

    def build(self, input_shape: Sequence[Any]) -> None:
        """Makes the vector `(channels,)`, if it is learned."""
        if self.learned:
            self.vector = self.add_weight(
                name="vector", shape=(input_shape[0][-1],), initializer="zeros"
            )

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Returns the features, replaced where the modality is missing."""
        features, flags = inputs
        axes = (1,) * (len(features.shape) - 1)
        is_there = ops.reshape(flags[:, self.index], (-1, *axes)) > 0
        value = ops.convert_to_tensor(self.vector) if self.learned else ops.zeros((1,), "float32")
        return ops.where(is_there, features, ops.cast(value, features.dtype))

    def compute_output_shape(self, input_shape: Sequence[Any]) -> Any:
        """Returns the shape of the features."""
        return tuple(input_shape[0])

    def compute_output_spec(self, inputs: Sequence[Any]) -> Any:
        """Returns the shape and dtype of the features."""
        return keras.KerasTensor(inputs[0].shape, dtype=inputs[0].dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "index": self.index, "learned": self.learned}

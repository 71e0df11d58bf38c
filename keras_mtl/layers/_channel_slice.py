"""A contiguous range of the channels of features."""

from typing import Any

import keras

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class ChannelSlice(keras.layers.Layer):
    """Slices the channels from `start` to `stop` (not included) out of the last axis.

    Indexing a symbolic tensor, `features[..., start:stop]`, does the same, but it drops the mask,
    and it cannot be named in a summary.

    Args:
        start: The first channel of the slice, counted from 0.
        stop: The channel after the last one of the slice.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        features: Floats `(batch, ..., units)`. A mask is passed on.

    Returns:
        Floats `(batch, ..., stop - start)`.

    Raises:
        ValueError: If the features do not have these channels.

    Example:
        >>> import numpy as np
        >>> ChannelSlice(1, 3)(np.array([[4.0, 5.0, 6.0]])).numpy().tolist()
        [[5.0, 6.0]]
    """

    def __init__(self, start: int, stop: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.start = start
        self.stop = stop

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Checks that the features have the channels of the slice."""
        units = input_shape[-1]
        if units is None or not 0 <= self.start < self.stop <= units:
            raise ValueError(
                f"{self.name}: no channels from {self.start} to {self.stop} in features of the "
                f"shape {tuple(input_shape)}."
            )

    def call(self, features: Tensor) -> Tensor:
        """Slices the channels out of features `(batch, ..., units)`."""
        return features[..., self.start : self.stop]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns `(batch, ..., stop - start)`."""
        return (*input_shape[:-1], self.stop - self.start)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "start": self.start, "stop": self.stop}

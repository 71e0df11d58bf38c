"""Propagation of the feature maps of all tasks to the next finer scale."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Activation, Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class FeaturePropagation(keras.layers.Layer):
    """Joins the feature maps of all tasks into one, weighing the tasks at each pixel and channel.

    With the maps `F_1, ..., F_K` of C channels each, the output is `shared` in

        M = softmax_k( f([F_1, ..., F_K]) )
        shared = act( R * [M_1 . F_1, ..., M_K . F_K] )

    where `f` is a 3x3 convolution to K C / 4 channels, `act` and a 1x1 convolution back to K C
    channels, R is a 3x3 convolution to C channels, `*` a convolution and `.` an elementwise
    product. With one task there is no `f`, and M is 1.

    Args:
        activation: Activation of both 3x3 convolutions. Defaults to `"relu"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        maps: A list of maps `(batch, height, width, C)`, one per task.

    Returns:
        A map `(batch, height, width, C)`.

    Raises:
        ValueError: If the maps differ in shape.

    Example:
        >>> propagation = FeaturePropagation()
        >>> propagation([keras.Input((8, 8, 6)), keras.Input((8, 8, 6))]).shape
        (None, 8, 8, 6)

    Reference:
        Vandenhende et al., MTI-Net, ECCV 2020, arXiv:2001.06902. This layer has simple
        convolutions where the paper has residual blocks. The authors' code splits the joined
        channels so that most of its softmax runs over channels of one task; here it runs over
        the tasks, as in the paper.
    """

    def __init__(self, activation: Activation = "relu", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Sequence[Any]) -> None:
        """Makes the convolutions `R` and, for several tasks, the two of `f`."""
        shapes = {tuple(shape) for shape in input_shape}
        if len(shapes) > 1:
            raise ValueError(f"{self.name}: maps must be of one shape; received {input_shape}.")
        *leading, channels = shapes.pop()
        joined = len(input_shape) * channels
        self.reduction = self._convolution(channels, 3, "reduction")
        self.reduction.build((*leading, joined))
        if len(input_shape) > 1:
            hidden = max(joined // 4, 1)
            self.narrow = self._convolution(hidden, 3, "narrow")
            self.narrow.build((*leading, joined))
            self.widen = self._convolution(joined, 1, "widen")
            self.widen.build((*leading, hidden))

    def _convolution(self, channels: int, size: int, name: str) -> keras.layers.Conv2D:
        return keras.layers.Conv2D(
            channels, size, padding="same", dtype=self.dtype_policy, name=name
        )

    def call(self, maps: Sequence[Tensor]) -> Tensor:
        """Computes `act(R * [M_1 . F_1, ..., M_K . F_K])` from a list of maps `F_k`."""
        joined = ops.concatenate(maps, axis=-1)  # batch, height, width, K C
        if len(maps) > 1:
            scores = self.widen(self.activation(self.narrow(joined)))
            # batch, height, width, K, C: the softmax runs over the axis of the K tasks.
            by_task = (*ops.shape(maps[0])[:-1], len(maps), maps[0].shape[-1])
            attention = ops.softmax(ops.reshape(scores, by_task), axis=-2)
            weighed = attention * ops.reshape(joined, by_task)
            joined = ops.reshape(weighed, ops.shape(joined))  # batch, height, width, K C
        return self.activation(self.reduction(joined))

    def compute_output_shape(self, input_shape: Sequence[Any]) -> Any:
        """Returns the shape of one map."""
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "activation": activation}

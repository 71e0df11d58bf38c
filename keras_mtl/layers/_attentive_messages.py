"""Attention-weighted messages between the feature maps of tasks."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class AttentiveMessages(keras.layers.Layer):
    """Adds attention-weighted messages from other tasks' feature maps to a task's feature map.

    With the map `F_k` of the task, the maps `F_l` of the other tasks and, for each of the other
    tasks, two convolutions `V_l` and `W_l` without a bias, the output is

        F_k + sum_{l != k} sigmoid(V_l * F_l) . (W_l * F_l)

    where `*` is a convolution and `.` an elementwise product: `sigmoid(V_l * F_l)` is the
    attention, which says how much of the message `W_l * F_l` passes at each pixel and channel.

    Args:
        kernel_size: Size of the convolutions. Defaults to `3`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        maps: A list of maps `(batch, height, width, channels)`: first the map of the task, then
            those of the other tasks, which may have another number of channels.

    Returns:
        A map of the shape of the first map.

    Example:
        >>> messages = AttentiveMessages()
        >>> depth, parts = keras.Input((8, 8, 4)), keras.Input((8, 8, 6))
        >>> messages([depth, parts]).shape
        (None, 8, 8, 4)
        >>> [tuple(variable.shape) for variable in messages.variables]
        [(3, 3, 6, 4), (3, 3, 6, 4)]

    Reference:
        Vandenhende et al., MTI-Net, ECCV 2020, arXiv:2001.06902, where this is the distillation
        at one scale; after Xu et al., PAD-Net, CVPR 2018, arXiv:1805.04409.
    """

    def __init__(self, kernel_size: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kernel_size = kernel_size

    def build(self, input_shape: Sequence[Any]) -> None:
        """Makes two convolutions for the map of each of the other tasks."""
        task_shape, *sender_shapes = (tuple(shape) for shape in input_shape)
        channels, senders = task_shape[-1], range(len(sender_shapes))
        self.attentions = [self._convolution(channels, f"attention_{i}") for i in senders]
        self.messages = [self._convolution(channels, f"message_{i}") for i in senders]
        for attention, message, shape in zip(
            self.attentions, self.messages, sender_shapes, strict=True
        ):
            attention.build(shape)
            message.build(shape)

    def _convolution(self, channels: int, name: str) -> keras.layers.Conv2D:
        return keras.layers.Conv2D(
            channels,
            self.kernel_size,
            padding="same",
            use_bias=False,
            dtype=self.dtype_policy,
            name=name,
        )

    def call(self, maps: Sequence[Tensor]) -> Tensor:
        """Computes `F_k + sum_{l != k} sigmoid(V_l * F_l) . (W_l * F_l)` from a list of maps."""
        total, *senders = maps
        for attention, message, sender in zip(self.attentions, self.messages, senders, strict=True):
            total = total + ops.sigmoid(attention(sender)) * message(sender)
        return total

    def compute_output_shape(self, input_shape: Sequence[Any]) -> Any:
        """Returns the shape of the first map."""
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "kernel_size": self.kernel_size}

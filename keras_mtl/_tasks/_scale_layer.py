"""The layer that ends the tower of a task with a scale."""

from typing import Any

import keras

from keras_mtl._keras_internals import node_of, with_scaled
from keras_mtl._tasks._scale import Scale
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class InverseScale(keras.layers.Layer):
    """Maps the numbers that a network learns to predictions in the unit of the labels.

    The numbers stay beside the prediction, as logits stay beside a probability, and the loss of
    the task is computed from them: the gradient passes no exponential, and the digits that a
    large center would cost are kept.

    Args:
        scale: The fitted scale of the task.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        scaled: Floats `(batch, ..., units)`.

    Returns:
        Floats of the same shape.

    Raises:
        ValueError: If the last axis has another size than the scale.

    Example:
        >>> layer = InverseScale(Scale("standard", center=40.0, spread=10.0), dtype="float32")
        >>> layer(keras.ops.array([[2.0]])).numpy().tolist()
        [[60.0]]
    """

    def __init__(self, scale: Scale, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.scale = scale

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Checks that the scale has one number, or one per entry of the last axis."""
        if self.scale.size not in (1, input_shape[-1]):
            raise ValueError(
                f"{self.name}: the scale has {self.scale.size} centers, and the prediction has "
                f"the shape {tuple(input_shape)}; its last axis needs as many entries."
            )

    def call(self, scaled: Tensor) -> Tensor:
        """Computes `inverse(z)`, and keeps z for the loss."""
        return with_scaled(self.scale.inverse(scaled), scaled, self.scale)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        scale = keras.saving.serialize_keras_object(self.scale)
        return {**super().get_config(), "scale": scale}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "InverseScale":
        """Makes the layer that `get_config` described."""
        return cls(**{**config, "scale": keras.saving.deserialize_keras_object(config["scale"])})


def prediction_in_scale(output: Tensor) -> Tensor:
    """Returns a network's output in the unit that the network learns, for layers that read it.

    Args:
        output: The symbolic output of a task.

    Returns:
        The scaled number z of a task with a scale; otherwise the output itself.
    """
    node = node_of(output)  # the layer of the task's own name
    if node.is_input or len(node.input_tensors) != 1:
        return output
    node = node_of(node.input_tensors[0])
    return node.input_tensors[0] if isinstance(node.operation, InverseScale) else output

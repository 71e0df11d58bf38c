"""A learned embedding of a task."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Initializer, Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class TaskEmbedding(keras.layers.Layer):
    """Learns a vector that represents a task, such as the condition of `FiLM`.

    Args:
        units: Size of the vector.
        embeddings_initializer: Initializer of the vector. Defaults to `"uniform"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        features: Any tensor: it only connects the vector to a functional graph.

    Returns:
        The vector, `(1, units)`: the same for every example.

    Example:
        >>> TaskEmbedding(8)(keras.Input((3,))).shape
        (1, 8)
    """

    def __init__(
        self, units: int, embeddings_initializer: Initializer = "uniform", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.units = units
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the vector."""
        self.embeddings = self.add_weight(
            name="embeddings", shape=(1, self.units), initializer=self.embeddings_initializer
        )

    def call(self, features: Tensor) -> Tensor:
        """Returns the vector, `(1, units)`."""
        return ops.cast(self.embeddings, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns `(1, units)`."""
        return (1, self.units)

    def compute_mask(self, inputs: Tensor, previous_mask: Tensor | None) -> None:
        """Returns `None`: the vector has no positions that a mask could hide."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {
            **super().get_config(),
            "units": self.units,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
        }

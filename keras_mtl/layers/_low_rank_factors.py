"""The factors of low-rank matrices."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Initializer, Tensor
from keras_mtl.layers._initializers import distinct_initializers


@keras.saving.register_keras_serializable(package="keras_mtl")
class LowRankFactors(keras.layers.Layer):
    """Learns two factors of each of several matrices: `a` `(rows, r)` and `b` `(r, columns)`.

    `LowRankBody` adds the products `a b` to the kernels of a body. Its factors are all that a
    task owns there, so `get_weights` and `set_weights` of this layer save and restore a task.

    Args:
        shapes: The rows and columns of each matrix, by name.
        rank: `r`; it is reduced to the rows or columns of a matrix where these are fewer.
            Defaults to `8`.
        a_initializer: Initializer of `a`. Defaults to `"he_normal"`.
        b_initializer: Initializer of `b`. Defaults to `"zeros"`: the products start at zero.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Any tensor: it only connects the factors to a functional graph.

    Returns:
        The factors in a flat list: `a` and `b` of the first matrix, then of the second, and so
        on.

    Raises:
        ValueError: If `rank` is not a positive integer.

    Example:
        >>> factors = LowRankFactors({"dense": (5, 7), "dense_1": (7, 2)}, rank=3)
        >>> [factor.shape for factor in factors(keras.Input((5,)))]
        [(5, 3), (3, 7), (7, 2), (2, 2)]
    """

    def __init__(
        self,
        shapes: Mapping[str, Sequence[int]],
        rank: int = 8,
        a_initializer: Initializer = "he_normal",
        b_initializer: Initializer = "zeros",
        **kwargs: Any,
    ) -> None:
        # The body, not this layer, decides to which dtype kernels are cast.
        super().__init__(autocast=False, **{"dtype": "float32", **kwargs})
        if type(rank) is not int or rank < 1:
            raise ValueError(f"{self.name}: rank must be a positive integer; received {rank!r}.")
        self.supports_masking = True
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}
        self.rank = rank
        self.a_initializer = keras.initializers.get(a_initializer)
        self.b_initializer = keras.initializers.get(b_initializer)

    def build(self, input_shape: Any) -> None:
        """Makes the factors `a` and `b` of each matrix."""
        self.factors = []
        draws = zip(
            distinct_initializers(self.a_initializer, len(self.shapes)),
            distinct_initializers(self.b_initializer, len(self.shapes)),
            strict=True,
        )
        for (name, (rows, columns)), (a, b) in zip(self.shapes.items(), draws, strict=True):
            rank = min(self.rank, rows, columns)
            self.factors.append(self.add_weight((rows, rank), a, name=f"{name}_a"))
            self.factors.append(self.add_weight((rank, columns), b, name=f"{name}_b"))

    def call(self, inputs: Any) -> list[Tensor]:
        """Returns the factors."""
        return [ops.cast(factor, self.compute_dtype) for factor in self.factors]

    def compute_output_shape(self, input_shape: Any) -> list[tuple[int, int]]:
        """Returns the shapes of the factors."""
        sizes = [
            (rows, min(self.rank, rows, columns), columns) for rows, columns in self.shapes.values()
        ]
        return [shape for rows, rank, columns in sizes for shape in ((rows, rank), (rank, columns))]

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """Returns `None`: factors have no positions that a mask could hide."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {
            **super().get_config(),
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
            "rank": self.rank,
            "a_initializer": keras.initializers.serialize(self.a_initializer),
            "b_initializer": keras.initializers.serialize(self.b_initializer),
        }

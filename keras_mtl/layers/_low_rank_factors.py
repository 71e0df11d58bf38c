"""The factors of low-rank matrices."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._initial import spread


@keras.saving.register_keras_serializable(package="keras_mtl")
class LowRankFactors(keras.layers.Layer):
    """Learns two factors for each of several matrices: `a (rows, r)` and `b (r, columns)`.

    `LowRankBody` adds their products to the kernels of a body. A task's factors are all that it
    has for itself there: `get_weights` and `set_weights` keep and restore them.

    Args:
        shapes: Rows and columns of each matrix, by name.
        rank: `r`; where a matrix has fewer rows or columns, that many.
        a_initializer: Initializer of `a`. Defaults to `"he_normal"`.
        b_initializer: Initializer of `b`. Defaults to `"zeros"`: the products start at zero.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Anything: it only ties the factors to a functional graph.

    Returns:
        The factors in a flat list: `a` and `b` of the first matrix, of the second, and so on.

    Raises:
        ValueError: If `rank` is no positive integer.

    Example:
        >>> factors = LowRankFactors({"dense": (5, 7), "dense_1": (7, 2)}, rank=3)
        >>> [factor.shape for factor in factors(keras.Input((5,)))]
        [(5, 3), (3, 7), (7, 2), (2, 2)]
    """

    def __init__(
        self,
        shapes: Mapping[str, Sequence[int]],
        rank: int = 8,
        a_initializer: Any = "he_normal",
        b_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        # The body, not this layer, decides to which type kernels are cast.
        super().__init__(autocast=False, **{"dtype": "float32", **kwargs})
        if type(rank) is not int or rank < 1:
            raise ValueError(f"{self.name}: rank must be a positive integer; received {rank!r}.")
        self.supports_masking = True
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}
        self.rank = rank
        self.a_initializer = keras.initializers.get(a_initializer)
        self.b_initializer = keras.initializers.get(b_initializer)

    def build(self, input_shape: Any) -> None:
        """Makes the factors."""
        self.factors = []
        draws = zip(
            spread(self.a_initializer, len(self.shapes)),
            spread(self.b_initializer, len(self.shapes)),
            strict=True,
        )
        for (name, (rows, columns)), (a, b) in zip(self.shapes.items(), draws, strict=True):
            rank = min(self.rank, rows, columns)
            self.factors.append(self.add_weight((rows, rank), a, name=f"{name}_a"))
            self.factors.append(self.add_weight((rank, columns), b, name=f"{name}_b"))

    def call(self, inputs: Any) -> list[Tensor]:
        """The factors."""
        return [ops.cast(factor, self.compute_dtype) for factor in self.factors]

    def compute_output_shape(self, input_shape: Any) -> list[tuple[int, int]]:
        """The shapes of the factors."""
        sizes = [(m, min(self.rank, m, n), n) for m, n in self.shapes.values()]
        return [shape for m, r, n in sizes for shape in ((m, r), (r, n))]

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None: factors have no positions."""
        return None

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {
            **super().get_config(),
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
            "rank": self.rank,
            "a_initializer": keras.initializers.serialize(self.a_initializer),
            "b_initializer": keras.initializers.serialize(self.b_initializer),
        }

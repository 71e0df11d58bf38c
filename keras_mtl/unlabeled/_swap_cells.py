"""A layer that takes cells of a table from other rows of the batch."""

from typing import Any

import keras
import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.data._changes._cells import swap_cells
from keras_mtl.data._elements._numbers import read_number


@keras.saving.register_keras_serializable(package="keras_mtl")
class SwapCells(keras.layers.Layer):
    """Replaces cells of a table, in training, by those of other rows of the same column.

    Each cell, with probability `rate`, gets the value that another row of the batch (or the same
    one) has in this column, so that every column keeps its distribution, whatever its unit. Outside
    of training nothing changes.

    Choose it as the change of `unlabeled.Consistency` or `unlabeled.two_views`, for tables; not for
    images or texts, whose cells have no meaning of their own.

    Args:
        rate: The probability of a cell to be replaced; above 0, below 1. Defaults to `0.3`.
        seed: The seed of the draws. Defaults to `None`: drawn.
        name: Optional name.

    Raises:
        ValueError: If the rate is out of range.

    Example:
        >>> table = tf.constant([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
        >>> changed = SwapCells(0.9, seed=1)(table, training=True)
        >>> sorted(set(changed[:, 0].numpy().tolist()) | {1.0, 2.0, 3.0})
        [1.0, 2.0, 3.0]

    Reference:
        Yoon et al. 2020 (VIME), whose corrupted cells are drawn so, with rate .3; Bahri et al.
        2022 (SCARF), arXiv:2106.15147, draws 60 % of the cells.
    """

    def __init__(
        self, rate: float = 0.3, *, seed: int | None = None, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.rate = read_number(
            rate, f"layer {self.name!r}: rate is", low=0, high=1, above=True, below=True
        )
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Returns the table with swapped cells, `[rows, columns]`, in training."""
        if not training:
            return inputs
        # Whole: the seeds of replicas differ in the upper half of their 64 bits.
        return swap_cells(inputs, self.rate, tf.cast(self.seed_generator.next(), tf.int64))[0]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}

"""A learned choice of the parent that each node of a tree reads (Guo et al., 2020)."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.layers._gumbel import gumbel_softmax
from keras_mtl.layers._narrowing import built_shape, narrowed, take_branches


@keras.saving.register_keras_serializable(package="keras_mtl")
class Branching(keras.layers.Layer):
    """Lets each of several children choose which of several parents it reads.

    In training a child `c` reads the mixture `sum_p d_cp y_p` of the parents' features `y_p`,
    where `d_c = softmax((theta_c + g) / t)` is a draw of the Gumbel-softmax distribution, with
    Gumbel noise `g`; there is one draw for the whole batch. Outside training it reads only the
    parent with the largest `theta_cp`. The temperature `t` is a variable, which a callback may
    lower with time: `layer.temperature.assign(0.5)`.

    Args:
        num_children: The number of children.
        temperature: The initial value of `t`. Defaults to `1.0`.
        seed: Seed of the draws. Defaults to one that `keras.utils.set_random_seed` determines.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        parents: Floats `(batch, ..., num_parents, units)`. A mask is passed on.
        training: Whether to draw.

    Returns:
        The features that each child reads, `(batch, ..., num_children, units)`.

    Raises:
        ValueError: If `num_children` is less than 1, the temperature is not positive, or the
            number of parents is not known.

    Example:
        >>> layer = Branching(3)
        >>> layer(keras.Input((2, 8))).shape
        (None, 3, 8)
        >>> layer.choices.tolist()
        [0, 0, 0]

    Reference:
        Guo et al., Learning to Branch for Multi-Task Learning, ICML 2020, arXiv:2006.01895.
    """

    branched_inputs = ()  # in training each child reads all parents

    def __init__(
        self, num_children: int, temperature: float = 1.0, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if num_children < 1 or temperature <= 0:
            raise ValueError(
                f"{self.name}: expected num_children >= 1 and temperature > 0; "
                f"received {num_children} and {temperature}."
            )
        self.supports_masking = True
        self.num_children = num_children
        self.start_temperature = temperature
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes `theta` `(num_children, num_parents)` and the temperature."""
        if len(input_shape) < 3 or input_shape[-2] is None:
            raise ValueError(
                f"{self.name}: expected parents (batch, ..., num_parents, units); "
                f"received the shape {input_shape}."
            )
        self.theta = self.add_weight(
            name="theta",
            shape=(self.num_children, input_shape[-2]),
            initializer="zeros",
            autocast=False,
        )
        self.temperature = self.add_weight(
            name="temperature",
            shape=(),
            initializer=keras.initializers.Constant(self.start_temperature),
            trainable=False,
            autocast=False,
        )

    @property
    def choices(self) -> Any:
        """The parent that each child reads outside training, an array `(num_children,)`."""
        return np.argmax(self.theta.numpy(), axis=-1)

    def call(self, parents: Tensor, training: bool | None = None) -> Tensor:
        """Computes `sum_p d_cp y_p` for each child `c`, from parents `(batch, ..., p, units)`."""
        if training:
            mixing = gumbel_softmax(self.theta, self.temperature, self.seed_generator)
        else:
            mixing = ops.one_hot(ops.argmax(self.theta, axis=-1), self.theta.shape[-1])
        # (children, parents) times (batch, ..., parents, units) is (batch, ..., children, units).
        return ops.matmul(ops.cast(mixing, parents.dtype), parents)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns `(batch, ..., num_children, units)`."""
        return (*input_shape[:-2], self.num_children, input_shape[-1])

    def narrow(self, indices: Sequence[int]) -> Any:
        """Returns a copy of the layer with some of the children."""
        return narrowed(self, built_shape(self), take_branches(indices), num_children=len(indices))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_children": self.num_children,
            "temperature": self.start_temperature,
            "seed": self.seed,
        }

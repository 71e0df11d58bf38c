"""Dense layers of all tasks as one tensor of low rank (Yang and Hospedales, 2017)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Activation, Initializer, Tensor
from keras_mtl.layers._masks import feature_mask

_FORMS = ("laf", "tucker", "tt")


@keras.saving.register_keras_serializable(package="keras_mtl")
class FactorizedDense(keras.layers.Layer):
    """Applies a dense layer whose kernel is made from a task's factor and factors of all tasks.

    The kernels of T tasks form a tensor `(in, units, T)`. This layer holds the factors that the
    tasks share; each task holds its row `u` `(k,)` of the factor on the axis of tasks. The kernel
    `W` `(in, units)` of a task is

    - `"laf"`: `W = sum_c L_c u_c`, a mixture of k whole kernels `L` `(in, units, k)`
    - `"tucker"`: `W = U_1 (sum_c S_c u_c) U_2^T`, with a core `S` `(r, r, k)`, `U_1` `(in, r)`
      and `U_2` `(units, r)`
    - `"tt"`: `W = U_1 (sum_c U_2c u_c)`, with `U_1` `(in, r)` and `U_2` `(r, units, k)`

    The bias is the last row of the kernel, the weight of one more feature that is always 1, so
    the factors of this layer have `in + 1` where `in` stands above. If the task's factor has
    variance `1 / k`, a kernel starts with the variance of `glorot_uniform`.

    Args:
        units: Size of the output.
        form: `"laf"`, `"tucker"` or `"tt"`. Defaults to `"tucker"`.
        rank: `r`; it is reduced to `in + 1` or `units` where these are less. Defaults to `16`.
        activation: Activation. Defaults to none.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: `[features, factor]`: floats `(batch, ..., in)`, whose mask is passed on, and
            the task's factor `(1, k)`, as `TaskEmbedding` returns it.

    Returns:
        Features `(batch, ..., units)`.

    Raises:
        ValueError: If the form is unknown, or `units` or `rank` is not a positive integer.

    Example:
        >>> layer = FactorizedDense(8, "tt", rank=3)
        >>> layer([keras.Input((5,)), keras.Input((2,))]).shape
        (None, 8)
        >>> [tuple(factor.shape) for factor in layer.factors]
        [(6, 3), (3, 8, 2)]
    """

    def __init__(
        self,
        units: int,
        form: str = "tucker",
        rank: int = 16,
        activation: Activation = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if form not in _FORMS:
            raise ValueError(f"{self.name}: form must be one of {[*_FORMS]}; received {form!r}.")
        if any(type(size) is not int or size < 1 for size in (units, rank)):
            raise ValueError(
                f"{self.name}: units and rank must be positive integers; received {units!r} and "
                f"{rank!r}."
            )
        self.supports_masking = True
        self.units = units
        self.form = form
        self.rank = rank
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Any) -> None:
        """Makes the factors that all tasks share."""
        size, factor_size = input_shape[0][-1], input_shape[1][-1]
        glorot_deviation = (2 / (size + self.units)) ** 0.5
        in_rank, out_rank = min(self.rank, size + 1), min(self.rank, self.units)
        shapes = {
            "laf": [(size + 1, self.units, factor_size)],
            "tucker": [
                (size + 1, in_rank),
                (in_rank, out_rank, factor_size),
                (self.units, out_rank),
            ],
            "tt": [(size + 1, in_rank), (in_rank, self.units, factor_size)],
        }[self.form]
        self.factors = []
        for i, shape in enumerate(shapes):
            # A matrix with deviation 1 / sqrt(r) keeps the variance of its product with the core.
            draw = keras.initializers.RandomNormal(
                stddev=glorot_deviation if len(shape) == 3 else shape[1] ** -0.5
            )
            draw = _with_zero_bias(draw) if i == 0 else draw
            self.factors.append(self.add_weight(shape, draw, name=f"factor_{i}"))

    def kernel(self, factor: Tensor) -> Tensor:
        """Returns the kernel of one task, `(in + 1, units)`, whose last row is the bias.

        Args:
            factor: The task's factor `u`, `(1, k)`.
        """
        # The sum over c in all forms: `L`, `S` or `U_2`, whose last axis is k, times u.
        core = self.factors[0 if self.form == "laf" else 1]
        mixed = ops.squeeze(ops.matmul(core, ops.transpose(factor)), -1)  # first two axes of core
        if self.form == "laf":
            return mixed
        mixed = ops.matmul(self.factors[0], mixed)  # in + 1, r; or in + 1, units
        if self.form == "tt":
            return mixed
        return ops.matmul(mixed, ops.transpose(self.factors[2]))

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Computes `activation(x W + b)` from `[features, factor]`."""
        features, factor = inputs
        kernel = self.kernel(factor)
        return self.activation(ops.matmul(features, kernel[:-1]) + kernel[-1])

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        """Returns `(batch, ..., units)`."""
        return (*input_shape[0][:-1], self.units)

    def compute_mask(
        self, inputs: Sequence[Tensor], previous_mask: Sequence[Tensor | None] | None
    ) -> Tensor | None:
        """Returns the mask of the features."""
        return feature_mask(previous_mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {
            **super().get_config(),
            "units": self.units,
            "form": self.form,
            "rank": self.rank,
            "activation": keras.activations.serialize(self.activation),
        }


def _with_zero_bias(draw: Initializer) -> Initializer:
    """Returns an initializer whose last row, the one of the bias, is zero."""

    def initialize(shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        rows = draw((shape[0] - 1, *shape[1:]), dtype=dtype)
        return ops.concatenate([rows, ops.zeros((1, *shape[1:]), dtype)])

    return initialize

"""Periodic embeddings of numbers, with learned frequencies."""

import math
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Activation, Tensor
from keras_mtl.layers._parallel_dense import ParallelDense


@keras.saving.register_keras_serializable(package="keras_mtl")
class PeriodicEmbedding(keras.layers.Layer):
    """Embeds each number by sines and cosines of learned frequencies.

    A number x of column j becomes

        a(W_j [sin(2 pi c_j x), cos(2 pi c_j x)] + b_j),

    where `c_j` are frequencies, drawn from a normal distribution of mean 0 and deviation `sigma`
    and learned, `W_j` and `b_j` a dense layer of the column, and `a` its activation. Choose it for
    numbers in which the target bends, standardized before; `data.embed_columns(numeric="periodic")`
    does so. It depends on `sigma` more than on anything else: small ones begin with nearly linear
    functions, large ones fit noise. The paper searches it from 0.01 to 100.
    Search it on your validation rows: on Census-Income a trial with 0.3 came before those with
    1 and 3 for two single-task networks of three.

    Args:
        units: Size of an embedding. Defaults to `8`.
        num_frequencies: Length of `c_j`. Defaults to `48`.
        sigma: Deviation of the frequencies at the start, above 0. Defaults to `1.0`.
        activation: `a`. Defaults to `"relu"`, as in the paper's PLR.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Floats `(batch, ..., columns)`.

    Returns:
        Floats `(batch, ..., columns, units)`.

    Raises:
        ValueError: If a size is not a positive integer, or sigma not a number above 0.

    Example:
        >>> layer = PeriodicEmbedding(units=4)
        >>> layer(keras.Input((3,))).shape
        (None, 3, 4)
        >>> tuple(layer.frequencies.shape)  # columns, num_frequencies
        (3, 48)

    Reference:
        Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning"
        (arXiv:2203.05556), section 3.3. The dense layers begin as Keras's do, by Glorot's
        uniform distribution, the authors' as PyTorch's; their later code cuts the normal
        distribution at three deviations.
    """

    def __init__(
        self,
        units: int = 8,
        num_frequencies: int = 48,
        sigma: float = 1.0,
        activation: Activation = "relu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for argument, value in {"units": units, "num_frequencies": num_frequencies}.items():
            if type(value) is not int or value < 1:
                raise ValueError(
                    f"{self.name}: {argument} must be a positive integer; received {value!r}."
                )
        if isinstance(sigma, bool) or not isinstance(sigma, int | float) or not 0 < sigma < 1e9:
            raise ValueError(f"{self.name}: sigma must be a number above 0; received {sigma!r}.")
        self.supports_masking = True
        self.units, self.num_frequencies = units, num_frequencies
        self.sigma = float(sigma)
        self.activation = keras.activations.get(activation)
        self.dense = ParallelDense(units, activation, dtype=self.dtype_policy, name="dense")

    def build(self, input_shape: Any) -> None:
        """Makes frequencies `(columns, num_frequencies)` and one dense layer per column."""
        if input_shape[-1] is None:
            raise ValueError(
                f"{self.name}: expected numbers (batch, ..., columns) whose last axis is known; "
                f"received the shape {input_shape}."
            )
        self.frequencies = self.add_weight(
            name="frequencies",
            shape=(input_shape[-1], self.num_frequencies),
            initializer=keras.initializers.RandomNormal(stddev=self.sigma),
        )
        self.dense.build((*input_shape, 2 * self.num_frequencies))

    def call(self, inputs: Tensor) -> Tensor:
        """Computes `a(W_j [sin(2 pi c_j x), cos(2 pi c_j x)] + b_j)` for each column."""
        # (batch, ..., columns, 1) times (columns, num_frequencies)
        angles = 2 * math.pi * ops.expand_dims(inputs, -1) * self.frequencies
        waves = ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)
        return self.dense(waves)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns `(batch, ..., columns, units)`."""
        return (*input_shape, self.units)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {
            **super().get_config(),
            "units": self.units,
            "num_frequencies": self.num_frequencies,
            "sigma": self.sigma,
            "activation": keras.activations.serialize(self.activation),
        }

"""A layer from numbers that stand for categories to whole numbers."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor

UNKNOWN = -(2**63)
"""The code of a number that is none: infinite, or not whole. No vocabulary holds it."""

MISSING = UNKNOWN + 1
"""The code of NaN, which a vocabulary holds if its column has gaps."""


@keras.saving.register_keras_serializable(package="keras_mtl")
class CategoryCodes(keras.layers.Layer):
    """Reads codes out of floats, which hold codes where some of them are missing.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Floats `(batch,)`.

    Returns:
        int64 `(batch,)`: the code, `MISSING` for NaN, and `UNKNOWN` for what is no code.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs}, autocast=False)
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Casts whole numbers, and marks all others."""
        whole = ops.logical_and(ops.equal(inputs, ops.round(inputs)), ops.abs(inputs) < 2.0**62)
        codes = ops.cast(ops.where(whole, inputs, ops.zeros_like(inputs)), "int64")
        codes = ops.where(whole, codes, ops.full_like(codes, UNKNOWN))
        return ops.where(ops.isnan(inputs), ops.full_like(codes, MISSING), codes)

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        """Returns a spec of int64 in the shape of the inputs."""
        return keras.KerasTensor(inputs.shape, dtype="int64")

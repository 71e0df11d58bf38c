"""A layer from raw columns of numbers to features, with the statistics of training data."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.data._tables._numeric_statistics import NumericColumn


@keras.saving.register_keras_serializable(package="keras_mtl")
class NumericColumns(keras.layers.Layer):
    """Standardizes the columns of numbers of a table, fills their gaps and flags them.

    All columns are computed together, in float64 whatever the policy: dollars overflow in
    float16, and dates in seconds are blurred in float32. `keras.layers.Normalization` divides by
    1e-7 where there is no deviation (docs/keras_notes.md, pain 99).

    Args:
        columns: One `NumericColumn` per input, or its fields in a dict.
        limit: Encoded values are clipped to this many deviations. Defaults to no limit.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: One tensor `(batch,)` per column, of any dtype of numbers.

    Returns:
        float32 `(batch, columns + flags)`: the numbers, then the flags of those columns that have
        one.

    Raises:
        tf.errors.InvalidArgumentError: At a call, if the result would not be finite: a number is
            NaN and its column has no fill, or infinite and not clipped. The message names the
            columns. XLA cannot compile this check.
    """

    def __init__(
        self,
        columns: Sequence[NumericColumn | dict[str, Any]],
        limit: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs}, autocast=False)
        self.columns = [
            column if isinstance(column, NumericColumn) else _from_fields(column)
            for column in columns
        ]
        self.limit = limit
        self.flagged = [place for place, column in enumerate(self.columns) if column.flag]
        bounded = limit is not None or all(column.high is not None for column in self.columns)
        self.checks = not bounded or any(column.fill is None for column in self.columns)
        self.supports_jit = not self.checks
        self.built = True

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Computes `(clip(f(x)) - mean) / deviation` for all columns at once."""
        values = ops.stack([ops.cast(column, "float64") for column in inputs], axis=-1)
        missing = ops.isnan(values)
        # Comparisons with NaN give whatever they give, so that gaps are filled before and after.
        values = ops.where(missing, ops.zeros_like(values), values)
        if any(column.log for column in self.columns):
            shortened = ops.sign(values) * ops.log1p(ops.abs(values))
            values = ops.where(self._row("log", False, bool), shortened, values)
        values = ops.maximum(values, self._row("low", -np.inf))
        values = ops.minimum(values, self._row("high", np.inf))
        encoded = (values - self._row("mean")) / self._row("deviation")
        if self.limit is not None:
            encoded = ops.clip(encoded, -self.limit, self.limit)
        encoded = ops.where(missing, self._row("fill", np.nan), encoded)
        encoded = ops.cast(encoded, "float32")
        if self.checks:
            encoded = self._check(encoded)
        if not self.flagged:
            return encoded
        flags = ops.cast(ops.take(missing, self.flagged, axis=-1), "float32")
        return ops.concatenate([encoded, flags], axis=-1)

    def compute_output_spec(self, inputs: Sequence[Tensor]) -> keras.KerasTensor:
        """Returns a float32 spec with one entry per column and flag."""
        size = len(self.columns) + len(self.flagged)
        return keras.KerasTensor((inputs[0].shape[0], size), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        columns = [dataclasses.asdict(column) for column in self.columns]
        return {**super().get_config(), "columns": columns, "limit": self.limit}

    def _row(self, field: str, default: Any = None, dtype: Any = np.float64) -> Any:
        """Returns a field of all columns, `(columns,)`."""
        values = [getattr(column, field) for column in self.columns]
        return np.array([default if value is None else value for value in values], dtype)

    def _check(self, encoded: tf.Tensor) -> tf.Tensor:
        """Checks that encoded values are finite: ReLU would make a plausible 0 of NaN."""
        broken = tf.reduce_any(~tf.math.is_finite(encoded), axis=0)
        names = tf.constant([column.name for column in self.columns])
        message = (
            "A column of numbers holds NaN or infinity. tabular_encoder(missing=...) fills NaN, "
            "and clip=... bounds infinity. Columns:"
        )
        data = [message, tf.boolean_mask(names, broken)]
        check = tf.debugging.Assert(~tf.reduce_any(broken), data, summarize=10)
        # Executing eagerly, the check has raised already, and is None.
        with tf.control_dependencies([] if check is None else [check]):
            return tf.identity(encoded)


def _from_fields(fields: dict[str, Any]) -> NumericColumn:
    """Returns a column of what a configuration holds, where tuples have become lists."""
    return NumericColumn(**{**fields, "boundaries": tuple(fields["boundaries"])})

"""Piecewise-linear encoding of numbers by bins."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class PiecewiseLinearEncoding(keras.layers.Layer):
    """Says for each number, bin by bin, how far it has come.

    With boundaries `b_0 < ... < b_T` of a column, entry t of a number x is

        e_t = (x - b_(t-1)) / (b_t - b_(t-1)),

    raised to 0 but for the first bin, and cut at 1 but for the last: bins below the number are 1,
    those above it are 0, and beyond the outermost boundaries the encoding goes on linearly. A
    linear layer of it is any function that is linear in each bin. Choose it for numbers in which
    the target bends or jumps; `data.embed_columns(numeric="piecewise")` puts it, with quantiles of
    the training data as boundaries, before one dense layer per column. Nothing is learned here.

    Args:
        boundaries: For each column its boundaries, two or more, in increasing order. Columns may
            have different numbers of them: the entries of bins that a column does not have are 0.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`; in half
            precision, neighboring boundaries may meet.

    Call arguments:
        inputs: Floats `(batch, ..., columns)`.

    Returns:
        Floats `(batch, ..., columns, bins)`, with the largest number of bins of a column.

    Raises:
        ValueError: If a column has fewer than two boundaries, or they do not increase.

    Example:
        >>> layer = PiecewiseLinearEncoding([[0.0, 1.0, 3.0]])
        >>> layer(ops.array([[0.5], [2.0], [5.0], [-1.0]])).numpy().tolist()
        [[[0.5, 0.0]], [[1.0, 0.5]], [[1.0, 2.0]], [[-1.0, 0.0]]]

    Reference:
        Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning"
        (arXiv:2203.05556), equation 1.
    """

    def __init__(self, boundaries: Sequence[Sequence[float]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.boundaries = [[float(value) for value in column] for column in boundaries]
        for place, column in enumerate(self.boundaries):
            # As the layer holds them: two boundaries that float32 takes for one bound no bin.
            if len(column) < 2 or not (np.diff(np.array(column, np.float32)) > 0).all():
                raise ValueError(
                    f"{self.name}: column {place} has the boundaries {column}; expected two or "
                    "more finite numbers in increasing order."
                )
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Computes `(x - b_(t-1)) / (b_t - b_(t-1))`, between 0 and 1 but for the ends."""
        size = max(map(len, self.boundaries)) - 1
        left, width = np.zeros((2, len(self.boundaries), size))
        low, high = np.zeros((2, len(self.boundaries), size))
        width += 1.0
        for place, column in enumerate(self.boundaries):
            bins = len(column) - 1
            left[place, :bins], width[place, :bins] = column[:-1], np.diff(column)
            high[place, :bins] = 1.0
            low[place, 0], high[place, bins - 1] = -np.inf, np.inf
        dtype = self.compute_dtype
        left, width, low, high = (ops.cast(part, dtype) for part in (left, width, low, high))
        # (batch, ..., columns, 1) against (columns, bins)
        share = (ops.expand_dims(inputs, -1) - left) / width
        return ops.minimum(ops.maximum(share, low), high)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns `(batch, ..., columns, bins)`."""
        if input_shape[-1] != len(self.boundaries):
            raise ValueError(
                f"{self.name}: expected {len(self.boundaries)} columns, one per list of "
                f"boundaries; received the shape {input_shape}."
            )
        return (*input_shape, max(map(len, self.boundaries)) - 1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "boundaries": self.boundaries}

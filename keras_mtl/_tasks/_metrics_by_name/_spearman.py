"""Spearman's rank correlation."""

from typing import Any, ClassVar

import keras
from keras import ops

from keras_mtl._keras_internals import set_direction
from keras_mtl._replicas import sum_over_replicas
from keras_mtl._types import Tensor


@keras.saving.register_keras_serializable(package="keras_mtl")
class Spearman(keras.metrics.Metric):
    """Computes Spearman's rank correlation of labels and predictions: Pearson's of their ranks.

    Equal values share the mean of their ranks. With weights, a value counts in the ranks as often
    as its weight says.

    Choose it where the order matters, and not the unit: it does not change if predictions are
    mapped by a growing function.

    All ranks are known only when all labels are, so the metric counts labels and predictions in
    `num_bins` x `num_bins` cells. The first batch decides which values a bin holds, so that each
    holds about as many of them. With 512 bins the result is within .001 of
    `scipy.stats.spearmanr` for some hundred labels or more, and within .005 for some dozens,
    whatever the distribution is; whole numbers up to some dozens are exact. If the first batch is
    unlike the rest, as in data that are sorted by the label, it is within .03. The metric keeps
    1 MiB; more than four columns share 4 MiB.

    Args:
        num_columns: The number of columns; the result is the mean of those with labels. Defaults
            to `1`.
        num_bins: The number of bins of the labels, and of the predictions. Defaults to `512`, or
            fewer for more than four columns.
        name: Name in the logs. Defaults to `"spearman"`.

    Call arguments:
        y_true: Labels `(labels, num_columns)`.
        y_pred: Predictions `(labels, num_columns)`.
        sample_weight: `None`, or weights `(labels, num_columns)`, or `(labels,)`.

    Example:
        >>> metric = Spearman()
        >>> metric.update_state([[1.0], [2.0], [3.0], [4.0]], [[1.0], [9.0], [4.0], [16.0]])
        >>> round(float(metric.result()), 4)
        0.8
    """

    reads = "column"
    kinds: ClassVar[tuple[str, ...]] = ("number", "yes or no")

    def __init__(
        self, num_columns: int = 1, num_bins: int | None = None, name: str = "spearman"
    ) -> None:
        super().__init__(name=name)
        set_direction(self, "up")
        self.num_columns = num_columns
        self.num_bins = num_bins or max(32, min(512, int((2**20 / num_columns) ** 0.5)))
        self.counts = self.add_variable(
            (num_columns, self.num_bins, self.num_bins), "zeros", name="counts"
        )
        num_knots = max(8, min(32, 512 // num_columns))
        # Quantiles of labels and of predictions, and which columns have some.
        self.knots = self.add_variable(
            (2, num_knots, num_columns), "zeros", aggregation="mean", name="knots"
        )
        self.is_set = self.add_variable((num_columns,), "zeros", aggregation="mean", name="is_set")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the labels of a batch."""
        y_pred = ops.convert_to_tensor(y_pred)
        if len(y_pred.shape) > 1 and y_pred.shape[-1] != self.num_columns:
            raise ValueError(
                f"metric {self.name!r} has num_columns={self.num_columns}, and predictions have "
                f"{y_pred.shape[-1]} columns."
            )
        shape = (-1, self.num_columns)
        pair = ops.stack(
            [ops.reshape(ops.cast(values, "float32"), shape) for values in (y_true, y_pred)]
        )  # [2, labels, columns]
        weights = ops.ones_like(pair[0])
        if sample_weight is not None:
            factors = ops.cast(sample_weight, "float32")
            weights = weights * (factors[:, None] if len(factors.shape) == 1 else factors)
        places = _distribution(pair, self._set_knots(pair, weights))
        bins = ops.cast(ops.clip(ops.floor(places * self.num_bins), 0, self.num_bins - 1), "int32")
        cells = (ops.arange(self.num_columns) * self.num_bins + bins[0]) * self.num_bins + bins[1]
        counts = ops.segment_sum(
            ops.reshape(weights, (-1,)),
            ops.reshape(cells, (-1,)),
            num_segments=self.num_columns * self.num_bins**2,
        )
        self.counts.assign_add(ops.reshape(counts, self.counts.shape))

    def _set_knots(self, pair: Tensor, weights: Tensor) -> Tensor:
        """Returns the knots `[2, knots, columns]`, which the first labels of a column set.

        All replicas set the same ones, since their counts are added up.
        """
        is_used = weights > 0.0
        number = ops.sum(ops.cast(is_used, "float32"), axis=0)  # [columns]
        flags = ops.cast(number > 0.0, "float32")
        knots = _quantiles(ops.where(is_used, pair, float("inf")), number, self.knots.shape[1])
        knots = sum_over_replicas(ops.where(number > 0.0, knots, 0.0))
        flags = sum_over_replicas(flags)
        is_new = ops.logical_and(ops.equal(self.is_set, 0.0), flags > 0.0)
        knots = ops.where(is_new, ops.divide_no_nan(knots, flags), self.knots)
        self.knots.assign(knots)
        self.is_set.assign(ops.where(is_new, 1.0, self.is_set))
        return knots

    def known(self) -> Tensor:
        """Returns which columns have labels and predictions that are not all equal."""
        _, of_labels, of_predictions = self._moments()
        return ops.logical_and(of_labels > 0.0, of_predictions > 0.0)

    def by_column(self) -> Tensor:
        """Returns the correlation of each column, `[num_columns]`; 0 where it is not defined."""
        covariances, of_labels, of_predictions = self._moments()
        return ops.divide_no_nan(covariances, ops.sqrt(of_labels * of_predictions))

    def _moments(self) -> tuple[Tensor, Tensor, Tensor]:
        """Returns covariance and variances of the ranks, each `[num_columns]`."""
        totals = ops.sum(self.counts, axis=(1, 2), keepdims=True)
        cells = ops.divide_no_nan(self.counts, totals)
        rates = [ops.sum(cells, axis=2), ops.sum(cells, axis=1)]  # of labels, of predictions
        # The mean rank of a bin, as a share of all; the mean of these is one half.
        ranks = [ops.cumsum(rate, axis=1) - rate / 2.0 - 0.5 for rate in rates]
        covariance = ops.einsum("kij,ki,kj->k", cells, *ranks)
        variances = [
            ops.sum(rate * rank**2, axis=1) for rate, rank in zip(rates, ranks, strict=True)
        ]
        # A rounding error is no spread.
        variances = [ops.where(variance > 1e-9, variance, 0.0) for variance in variances]
        return covariance, variances[0], variances[1]

    def result(self) -> Tensor:
        """Returns the mean over the columns where it is defined; 0 where it is in none."""
        known = ops.cast(self.known(), "float32")
        return ops.divide_no_nan(ops.sum(self.by_column() * known), ops.sum(known))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal metric."""
        return {"num_columns": self.num_columns, "num_bins": self.num_bins, "name": self.name}


def _quantiles(values: Tensor, number: Tensor, num_quantiles: int) -> Tensor:
    """Returns evenly spread quantiles of the first `number` of the sorted values.

    Args:
        values: `[2, labels, columns]`; infinite where there is no label.
        number: The number of labels of each column, `[columns]`.
        num_quantiles: The number of quantiles.
    """
    ordered = ops.sort(values, axis=1)
    shares = (ops.arange(num_quantiles, dtype="float32")[:, None] + 0.5) / num_quantiles
    places = ops.cast(ops.floor(shares * number), "int32")  # [quantiles, columns]
    places = ops.stack([places, places])
    return ops.take_along_axis(ordered, places, axis=1)


def _distribution(values: Tensor, knots: Tensor) -> Tensor:
    """Returns a smooth distribution function, 0 to 1, that the knots are quantiles of.

    Each knot adds a step as wide as the distance between its neighbors, with long tails, so that
    no two values are mapped to one.
    """
    neighbors = ops.pad(knots, ((0, 0), (2, 2), (0, 0)), mode="symmetric")
    widths = (neighbors[:, 4:] - neighbors[:, :-4]) / 2.0
    spread = knots[:, -1:] - knots[:, :1]
    # Many knots are equal where values are whole numbers or all the same.
    sizes = ops.abs(knots)
    least = ops.where(spread > 0.0, 1e-6 * sizes + 1e-30, 1.0 + sizes)
    steps = (values[:, :, None] - knots[:, None]) / ops.maximum(widths, least)[:, None]
    return ops.mean(0.5 + 0.5 * steps / (1.0 + ops.abs(steps)), axis=2)

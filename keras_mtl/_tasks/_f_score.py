"""Keras's F scores of single entries, and with a weight for each label."""

import keras
import numpy as np
from keras import ops

from keras_mtl._keras_internals import build_metric
from keras_mtl._tasks._metric_reading import MetricInputs


def cut_single_entries(metric: keras.metrics.Metric, width: int | None) -> None:
    """Sets the threshold of an F score without one where a prediction has a single entry.

    Keras takes the largest entry of a row for positive: of one entry, every prediction.
    """
    if isinstance(metric, keras.metrics.FBetaScore) and metric.threshold is None and width == 1:
        metric.threshold = 0.5


def count_by_column(metric: keras.metrics.FBetaScore, inputs: MetricInputs) -> None:
    """Counts a batch as `FBetaScore.update_state` does, with weights `(rows, columns)`.

    Args:
        metric: The metric, with a threshold.
        inputs: Labels, predictions and weights of one shape.
    """
    labels, predictions, weights = (ops.cast(value, metric.dtype) for value in inputs)
    row = np.zeros((1, predictions.shape[-1]), "float32")
    build_metric(metric, row, row)
    chosen = ops.cast(predictions > metric.threshold, metric.dtype)
    sums = (
        (metric.true_positives, chosen * labels),
        (metric.false_positives, chosen * (1.0 - labels)),
        (metric.false_negatives, (1.0 - chosen) * labels),
        (metric.intermediate_weights, labels),
    )
    for variable, values in sums:
        # The micro average adds up all labels: its axis is None.
        variable.assign_add(ops.sum(values * weights, axis=metric.axis))

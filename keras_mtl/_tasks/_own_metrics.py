"""The metrics of this package: which tasks each of them is for, and what it reads."""

import keras

from keras_mtl._keras_internals import reads_logits
from keras_mtl._tasks._column_metric import ColumnMetric
from keras_mtl._tasks._known_metrics import CURES
from keras_mtl._tasks._metric_reading import MetricReading
from keras_mtl._tasks._metrics_by_name import NDCG, SpanF1
from keras_mtl._tasks._output import Output


def is_own(metric: keras.metrics.Metric) -> bool:
    """Returns whether a metric is one of this package."""
    return type(metric).__module__.startswith("keras_mtl.") and hasattr(metric, "reads")


def read_own(metric: keras.metrics.Metric, output: Output) -> MetricReading:
    """Returns what a metric of this package reads of a task.

    Raises:
        ValueError: If the metric is not for such a task; the message says for which.
    """
    if isinstance(metric, ColumnMetric):
        return MetricReading("column", one_hot=output.width or 0 if output.kind == "class" else 0)
    what = f"metric {metric.name!r}"
    if output.kind not in (*metric.kinds, "unknown"):
        raise ValueError(
            f"{what} is for labels of the kinds {', '.join(metric.kinds)}; this task's kind is "
            f"{output.kind}{_cure(metric, output)}"
        )
    _check_size(what, metric, output)
    _check_threshold(what, metric, output)
    if metric.reads == "row":
        return MetricReading("row")
    if metric.reads == "list":
        _check_lists(what, metric, output)
    if metric.reads == "batch" and output.copies > 1:
        raise ValueError(f"{what} is for whole sequences, and not for columns")
    is_pooled = metric.reads == "last axis" and output.kind == "yes or no"
    return MetricReading("element" if is_pooled else metric.reads, compares=metric.reads == "list")


def _cure(metric: keras.metrics.Metric, output: Output) -> str:
    cures = {
        ("auc", "class"): "take 'macro_auc'",
        ("f1", "class"): "take 'macro_f1'",
        ("f1", "one-hot"): "take 'macro_f1'",
        ("f1", "distribution"): "take 'macro_f1'",
        ("spearman", "class"): "take 'balanced_accuracy' or 'mcc'",
    }
    if output.kind in CURES:
        return f"; {CURES[output.kind]}"
    if output.kind == "number" and "number" not in metric.kinds:
        return "; take 'mae', 'rmse', 'r2' or 'spearman'"
    cure = cures.get((metric.name, output.kind))
    return f"; {cure}" if cure else ""


def _check_size(what: str, metric: keras.metrics.Metric, output: Output) -> None:
    expected = {
        "num_classes": 2 if output.kind == "yes or no" else output.width,
        "num_columns": output.width,
        "tags": output.width,
        "levels": len(output.levels) or None,
    }
    for argument, width in expected.items():
        value = getattr(metric, argument, None)
        size = len(value) if isinstance(value, list) else value
        if None not in (size, width) and size != width:
            raise ValueError(f"{what} has {argument} for {size} entries, and this task has {width}")
    if isinstance(metric, SpanF1) and output.positions == 0:
        raise ValueError(f"{what} is for one class per position of a sequence, as Task.tagging")


def _check_threshold(what: str, metric: keras.metrics.Metric, output: Output) -> None:
    """Checks that a metric takes logits for logits and probabilities for probabilities."""
    from_logits = reads_logits(metric)
    if from_logits is not None and from_logits != output.logits and output.kind != "unknown":
        raise ValueError(f"{what} needs from_logits={output.logits} for this task")
    threshold = getattr(metric, "threshold", None)
    if output.logits and threshold == 0.5 and output.kind == "yes or no":
        raise ValueError(f"{what} cuts at 0.5, and this task predicts logits; pass threshold=0.0")


def _check_lists(what: str, metric: keras.metrics.Metric, output: Output) -> None:
    if output.copies > 1 or (output.width == 1 and output.positions == 0):
        raise ValueError(
            f"{what} compares the labels of one example with each other, and this task has one "
            "label per example; bring the items of a group as one example, with predictions "
            "(batch, items) or (batch, items, 1)"
        )
    low = None if output.labels is None else output.labels.low
    if isinstance(metric, NDCG) and output.labels is not None and (low is None or low < 0):
        raise ValueError(f"{what} is for relevances of at least 0; say so by Labels(shape, low=0)")

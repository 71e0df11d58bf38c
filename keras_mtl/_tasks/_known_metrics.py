"""The metrics of Keras: which tasks each of them is for, and what it reads."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import keras

from keras_mtl._keras_internals import arguments_of_function, reads_logits
from keras_mtl._tasks._metric_reading import MetricReading, MetricReads
from keras_mtl._tasks._output import Output

K = keras.metrics

Wants = Literal["numbers", "yes or no", "one-hot", "class"]


class Known(NamedTuple):
    """Holds what is known of a metric of Keras: the labels that it wants, and what it reads."""

    wants: Wants
    reads: MetricReads = "element"


_KNOWN: dict[type[keras.metrics.Metric], Known] = {
    K.MeanAbsoluteError: Known("numbers"),
    K.MeanAbsolutePercentageError: Known("numbers"),
    K.MeanSquaredError: Known("numbers"),
    K.MeanSquaredLogarithmicError: Known("numbers"),
    K.RootMeanSquaredError: Known("numbers"),
    K.LogCoshError: Known("numbers"),
    K.Poisson: Known("numbers"),
    K.Hinge: Known("numbers"),
    K.SquaredHinge: Known("numbers"),
    K.Accuracy: Known("numbers"),
    K.R2Score: Known("numbers", "column"),
    K.CosineSimilarity: Known("numbers", "last axis"),
    K.PearsonCorrelation: Known("numbers", "last axis"),
    K.ConcordanceCorrelation: Known("numbers", "last axis"),
    K.BinaryAccuracy: Known("yes or no"),
    K.BinaryCrossentropy: Known("yes or no"),
    K.TruePositives: Known("yes or no"),
    K.TrueNegatives: Known("yes or no"),
    K.FalsePositives: Known("yes or no"),
    K.FalseNegatives: Known("yes or no"),
    K.Precision: Known("yes or no"),
    K.Recall: Known("yes or no"),
    K.AUC: Known("yes or no"),
    K.SensitivityAtSpecificity: Known("yes or no"),
    K.SpecificityAtSensitivity: Known("yes or no"),
    K.PrecisionAtRecall: Known("yes or no"),
    K.RecallAtPrecision: Known("yes or no"),
    K.BinaryIoU: Known("yes or no"),
    K.FBetaScore: Known("yes or no", "column"),
    K.CategoricalAccuracy: Known("one-hot", "last axis"),
    K.CategoricalCrossentropy: Known("one-hot", "last axis"),
    K.CategoricalHinge: Known("one-hot", "last axis"),
    K.KLDivergence: Known("one-hot", "last axis"),
    K.TopKCategoricalAccuracy: Known("one-hot", "last axis"),
    K.OneHotIoU: Known("one-hot", "last axis"),
    K.OneHotMeanIoU: Known("one-hot", "last axis"),
    K.IoU: Known("class", "last axis"),
    K.SparseCategoricalAccuracy: Known("class", "last axis"),
    K.SparseCategoricalCrossentropy: Known("class", "last axis"),
    K.SparseTopKCategoricalAccuracy: Known("class", "last axis"),
}

CURES = {
    "quantiles": "this task predicts quantiles: take 'pinball' or 'coverage_error'",
    "survival": "this task's labels are times with events: take 'concordance'",
    "scores": "this task orders the items of lists: take 'ndcg', 'mrr' or 'gauc'",
}
"""Kinds of tasks whose predictions no metric of Keras reads, and the metrics that do."""

_FUNCTIONS: dict[str, Known] = {
    "huber": Known("numbers"),
    "binary_focal_crossentropy": Known("yes or no"),
    "categorical_focal_crossentropy": Known("one-hot", "last axis"),
    "categorical_generalized_cross_entropy": Known("class", "last axis"),
    "log_cosh": Known("numbers"),
}
"""Functions of Keras to which no class of `keras.metrics` belongs."""


def known_of(metric: keras.metrics.Metric) -> Known | None:
    """Returns what is known of a metric; `None` for a metric that is not Keras's own.

    A subclass that overrides `update_state` is a user's metric.
    """
    for parent in type(metric).__mro__:
        if parent in _KNOWN:
            return _KNOWN[parent]
        if "update_state" in vars(parent):
            return None
    return None


def known_function(function: Callable[..., object] | None) -> Known | None:
    """Returns what is known of a function of Keras; `None` for other functions."""
    name = getattr(function, "__name__", "")
    if function is None or function not in (
        getattr(keras.metrics, name, None),
        getattr(keras.losses, name, None),
    ):
        return None
    by_name = {kind.__name__.lower(): known for kind, known in _KNOWN.items()}
    return _FUNCTIONS.get(name) or by_name.get(name.replace("_", ""))


def read_known(metric: keras.metrics.Metric, known: Known, output: Output) -> MetricReading:
    """Returns what a metric of Keras reads of a task.

    Raises:
        ValueError: If the metric is not for such a task; the message says for which.
    """
    what = f"metric {metric.name!r} ({type(metric).__name__})"
    if known.wants == "class" and getattr(metric, "sparse_y_true", True) is False:
        known = known._replace(wants="one-hot")  # an IoU of one-hot labels
    _check_kind(what, known, output)
    _check_width(what, metric, known, output)
    _check_arguments(what, metric, output)
    _check_logits(what, metric, output)
    one_hot = output.width or 0 if output.kind == "class" and known.wants != "class" else 0
    reads, entry = known.reads, getattr(metric, "class_id", None)
    if isinstance(metric, keras.metrics.FBetaScore):
        reads = _reads_of_f_score(metric)
    elif entry is not None or _reads_columns(metric):
        reads = "column"
    drops = isinstance(metric, K.PearsonCorrelation)  # 0 / 0 in a row of equal labels
    return MetricReading(
        reads, drops=drops, one_hot=one_hot, entry=entry, compares=known.reads == "last axis"
    )


def _reads_columns(metric: keras.metrics.Metric) -> bool:
    """Returns whether a metric of single labels also looks at the column of a label."""
    arguments = ("top_k", "multi_label", "label_weights")
    values = [getattr(metric, argument, None) for argument in arguments]
    return any(value is not None and value is not False for value in values)


def _reads_of_f_score(metric: keras.metrics.FBetaScore) -> MetricReads:
    # Without a threshold the largest entry of a row is the positive one.
    return "last axis" if metric.threshold is None else "column"


def _check_kind(what: str, known: Known, output: Output) -> None:
    wants, kind = known.wants, output.kind
    if kind in CURES:
        raise ValueError(f"{what} reads one number or class per label; {CURES[kind]}")
    if kind in ("unknown", "distribution") or wants == "one-hot":
        return
    if wants == "class" and kind != "class":
        raise ValueError(
            f"{what} compares class numbers, and the task's labels have the shape of its "
            "prediction; take the metric for one-hot labels, such as CategoricalAccuracy"
        )
    if wants == "numbers" and kind == "class":
        raise ValueError(
            f"{what} compares numbers, and the task compares class numbers with a distribution "
            "over the classes; take 'accuracy', 'log_loss' or 'macro_f1'"
        )
    if wants == "yes or no" and kind == "number":
        raise ValueError(
            f"{what} is for labels 0 and 1, and the task predicts any number; take 'mae', 'rmse' "
            "or 'spearman', or end the task in Head(1, 'sigmoid')"
        )


def _check_width(what: str, metric: keras.metrics.Metric, known: Known, output: Output) -> None:
    width = output.width
    if width == 1:
        wide = known.reads == "last axis" or getattr(metric, "top_k", None) is not None
        wide = wide or getattr(metric, "num_labels", None) not in (None, 1)
        if wide:
            raise ValueError(
                f"{what} compares the entries of one prediction with each other, and here a "
                "prediction has one entry; take a metric of single labels, such as 'accuracy', "
                "'auc' or 'spearman'"
            )
    for argument in ("class_id", "num_labels"):
        value = getattr(metric, argument, None)
        allowed = width if argument == "num_labels" else (width or 0) - 1
        if width is None or value is None:
            continue
        if (value > allowed) or (argument == "num_labels" and value != width):
            raise ValueError(f"{what} has {argument}={value}, and predictions have {width} entries")


def _check_arguments(what: str, metric: keras.metrics.Metric, output: Output) -> None:
    axis = arguments_of_function(metric).get("axis", getattr(metric, "axis", -1))
    if axis not in (-1, None) and not isinstance(metric, keras.metrics.FBetaScore):
        raise ValueError(f"{what} has axis={axis}; metrics of tasks read the last axis, axis=-1")
    if isinstance(metric, K.R2Score) and metric.num_regressors:
        raise ValueError(
            f"{what} has num_regressors={metric.num_regressors}, which Keras cannot compute inside "
            "a graph (docs/keras_notes.md, pain 106); leave it out"
        )
    if type(metric) is K.Accuracy and output.kind != "number":
        raise ValueError(
            f"{what} asks whether labels and probabilities are equal, which they never are; take "
            "the name 'accuracy', or BinaryAccuracy, CategoricalAccuracy or "
            "SparseCategoricalAccuracy"
        )
    if arguments_of_function(metric).get("from_sorted_ids"):
        raise ValueError(f"{what} has from_sorted_ids=True, and a task predicts a distribution")
    if isinstance(metric, K.IoU) and not isinstance(metric, K.BinaryIoU):
        _check_iou(what, metric, output)


def _check_iou(what: str, metric: keras.metrics.IoU, output: Output) -> None:
    if metric.sparse_y_pred:
        raise ValueError(
            f"{what} has sparse_y_pred=True, and the task predicts a distribution over the "
            "classes; take sparse_y_pred=False, or the name 'iou'"
        )
    if output.width is not None and metric.num_classes != output.width:
        raise ValueError(
            f"{what} has num_classes={metric.num_classes}, and predictions have {output.width} "
            "entries"
        )


def _check_logits(what: str, metric: keras.metrics.Metric, output: Output) -> None:
    """Checks that a metric wants logits where the task predicts logits, and only there."""
    from_logits = reads_logits(metric)
    if from_logits and not output.logits and output.kind in ("yes or no", "class", "one-hot"):
        raise ValueError(
            f"{what} has from_logits=True, and the task predicts probabilities; leave it out"
        )
    cure = _cure_for_logits(metric, output) if output.logits and not from_logits else ""
    if cure:
        raise ValueError(
            f"{what} reads probabilities, and the task predicts logits (from_logits=True in its "
            f"loss); {cure}, or end the task in a head with 'sigmoid' or 'softmax'"
        )


def _cure_for_logits(metric: keras.metrics.Metric, output: Output) -> str:
    """Returns how a metric of probabilities comes to read logits; `""` if it does already."""
    if isinstance(metric, K.FBetaScore):
        cuts = metric.threshold is not None or output.width == 1
        return "take the name 'f1' or 'macro_f1'" if cuts else ""
    if isinstance(metric, K.KLDivergence):
        return "take the name 'log_loss'"
    if reads_logits(metric) is False:
        return "pass from_logits=True to the metric"
    if arguments_of_function(metric).get("threshold", getattr(metric, "threshold", None)) == 0.5:
        return "pass threshold=0.0"
    thresholds = getattr(metric, "thresholds", None) or ()
    if len(thresholds) > 1 and not hasattr(metric, "init_thresholds"):
        return "take a metric without thresholds between 0 and 1"
    return "pass thresholds=0.0" if 0.5 in thresholds else ""

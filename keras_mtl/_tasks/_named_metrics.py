"""Metrics by name: which metric a name stands for in which kind of task."""

import re
from collections.abc import Callable, Sequence
from typing import Literal

import keras

from keras_mtl._tasks._column_metric import ColumnMetric
from keras_mtl._tasks._metrics_by_name import (
    AUC,
    F1,
    MCC,
    MRR,
    NDCG,
    BalancedAccuracy,
    CalibrationError,
    ClassAccuracy,
    Concordance,
    CoverageError,
    GroupAUC,
    IoU,
    Kappa,
    LogLoss,
    MacroF1,
    Perplexity,
    PinballLoss,
    RankMAE,
    SpanF1,
    Spearman,
)
from keras_mtl._tasks._output import Output

Make = Callable[[Output], keras.metrics.Metric]


def named_metric(name: str, output: Output) -> keras.metrics.Metric:
    """Returns a new metric for a name of this package or of Keras.

    Args:
        name: A name; `Task` lists those of this package.
        output: The task's labels and prediction, which decide the meaning of a name: `"accuracy"`
            is `BinaryAccuracy` for a binary task.

    Raises:
        ValueError: If the name is unknown, or stands for nothing in such a task.
    """
    metric = _from_keras(name) if name not in NAMES else NAMES[name](output)
    metric.name = name
    return metric


def cuts_before(name: str, output: Output) -> tuple[float, ...]:
    """Returns the cuts at which predictions become decisions before the metric gets them.

    The metrics of this package cut at any number, but at the same for all entries. Those of Keras
    cut at a number from 0 to 1, which is none for logits; their own default is 0.5.

    Returns:
        One cut per entry of the prediction, or one for all; none where the metric cuts itself, or
        does not cut.
    """
    if output.kind != "yes or no":
        return ()
    if name in _CUT:
        return output.thresholds if output.cuts else ()
    name = name.lower().replace("_", "")
    # An F score of Keras takes the largest of several entries instead.
    is_cut = name in _CUT_OF_KERAS or (name in _F_SCORES and output.width == 1)
    is_default = output.cut == 0.5 and not output.cuts and not output.logits
    return output.thresholds if is_cut and not is_default else ()


def _from_keras(name: str) -> keras.metrics.Metric:
    cut = re.fullmatch(r"ndcg_([1-9]\d*)", name)
    if cut:
        return NDCG(k=int(cut[1]))
    try:
        return keras.metrics.get(name)
    except TypeError as error:
        raise ValueError(
            f"the metric {name!r} of Keras needs arguments; pass the object instead ({error})"
        ) from error


def _accuracy(output: Output) -> keras.metrics.Metric:
    """Returns the accuracy of a kind of task, which Keras chooses by shapes."""
    if output.kind == "yes or no":
        return keras.metrics.BinaryAccuracy(threshold=output.threshold)
    if output.kind == "class":
        return keras.metrics.SparseCategoricalAccuracy()
    if output.kind == "one-hot":
        return keras.metrics.CategoricalAccuracy()
    if output.kind == "distribution":
        return ClassAccuracy()
    raise ValueError(
        "'accuracy' is the share of right classes, and "
        + (
            "the task predicts numbers; take 'mae', 'rmse' or 'r2'"
            if output.kind == "number"
            else "nothing says what the classes of this task are; pass one of BinaryAccuracy, "
            "CategoricalAccuracy and SparseCategoricalAccuracy of keras.metrics, or end the task "
            "in Head(1, 'sigmoid') or Head(n, 'softmax')"
        )
    )


def _auc(curve: Literal["ROC", "PR"], most: int) -> Make:
    def make(output: Output) -> keras.metrics.Metric:
        if output.kind == "unknown":  # thresholds for any number, probabilities among them
            return AUC(curve, _num_thresholds(output.copies, 4 * most), from_logits=True)
        return AUC(curve, _num_thresholds(output.copies, most), output.logits)

    return make


def _num_thresholds(copies: int, most: int) -> int:
    """Returns a number of thresholds: fewer for many columns, which keep some megabytes in all."""
    return max(512, min(most, 2**18 // copies))


def _macro_auc(output: Output) -> keras.metrics.Metric:
    if output.width in (None, 1) or output.kind not in ("yes or no", "class", "one-hot"):
        raise ValueError(
            "'macro_auc' is the mean over the entries of a prediction with several yes-or-no "
            "labels or classes; take 'auc' for one yes-or-no label, and for columns, which it "
            "averages"
        )
    width = int(output.width or 1)
    return ColumnMetric(_auc("ROC", 4096)(output.among(width)), width)


def _of_classes(kind: Callable[..., keras.metrics.Metric]) -> Make:
    """Returns a metric of counts of classes, of which yes-or-no labels have two."""

    def make(output: Output) -> keras.metrics.Metric:
        # A task of numbers is refused by the metric itself.
        num_classes = 2 if output.kind in ("yes or no", "number") else output.width
        if num_classes is None or num_classes < 2:
            raise ValueError(
                "the metric is for yes-or-no labels and for classes, and nothing says how many "
                f"classes this task has; pass keras_mtl.metrics.{kind.__name__}(num_classes)"
            )
        return kind(num_classes=num_classes, threshold=output.threshold)

    return make


def _macro_f1(output: Output) -> keras.metrics.Metric:
    if output.kind == "yes or no" and (output.width or 1) > 1:
        return ColumnMetric(F1(output.threshold), int(output.width or 1))
    return _of_classes(MacroF1)(output)


def _iou(output: Output) -> keras.metrics.Metric:
    if output.kind == "yes or no":
        return IoU(threshold=output.threshold, ones_only=True)
    return _of_classes(IoU)(output)


def _span_f1(output: Output) -> keras.metrics.Metric:
    names = None if output.labels is None else output.labels.names
    if not names:
        raise ValueError(
            "'span_f1' has to know which tags begin a span and which go on with it; pass "
            "Task.tagging(name, ['O', 'B-PER', 'I-PER', ...]), or the metric "
            "keras_mtl.metrics.SpanF1([...])"
        )
    return SpanF1(names)


def _of_ranks(kind: Callable[[int], keras.metrics.Metric]) -> Make:
    """Returns a metric of classes with an order."""

    def make(output: Output) -> keras.metrics.Metric:
        if output.kind != "class" or output.width is None:
            raise ValueError(
                "the metric is for class numbers with an order, as those of Task.ordinal; this "
                f"task's labels are of the kind {output.kind!r}"
            )
        return kind(output.width)

    return make


def _concordance(output: Output) -> keras.metrics.Metric:
    if output.kind != "survival":
        raise ValueError(
            "'concordance' is for times until an event, as Task.survival has them; this task's "
            f"labels are of the kind {output.kind!r}"
        )
    return Concordance(output.levels)


def _of_quantiles(kind: Callable[[Sequence[float]], keras.metrics.Metric]) -> Make:
    """Returns a metric of quantiles."""

    def make(output: Output) -> keras.metrics.Metric:
        if output.kind != "quantiles":
            raise ValueError(
                "the metric is for quantiles, as Task.quantiles predicts them; this task's labels "
                f"are of the kind {output.kind!r}"
            )
        return kind(output.levels)

    return make


_CUT = frozenset({"accuracy", "balanced_accuracy", "f1", "iou", "macro_f1", "mcc"})
_CUT_OF_KERAS = frozenset(
    {
        "binaryaccuracy",
        "binaryiou",
        "falsenegatives",
        "falsepositives",
        "precision",
        "recall",
        "truenegatives",
        "truepositives",
    }
)
_F_SCORES = frozenset({"f1score", "fbetascore"})

NAMES: dict[str, Make] = {
    "accuracy": _accuracy,
    "auc": _auc("ROC", 4096),
    "balanced_accuracy": _of_classes(BalancedAccuracy),
    "calibration_error": lambda output: CalibrationError(from_logits=output.logits),
    "concordance": _concordance,
    "coverage_error": _of_quantiles(CoverageError),
    "f1": lambda output: F1(output.threshold),
    "gauc": lambda output: GroupAUC(),
    "iou": _iou,
    "kappa": _of_ranks(Kappa),
    "log_loss": lambda output: LogLoss(output.logits),
    "macro_auc": _macro_auc,
    "macro_f1": _macro_f1,
    "mcc": _of_classes(MCC),
    "mrr": lambda output: MRR(),
    "ndcg": lambda output: NDCG(),
    "perplexity": lambda output: Perplexity(output.logits),
    "pinball": _of_quantiles(PinballLoss),
    "pr_auc": _auc("PR", 16384),
    "r2": lambda output: keras.metrics.R2Score(),
    "rank_mae": _of_ranks(RankMAE),
    "rmse": lambda output: keras.metrics.RootMeanSquaredError(),
    "span_f1": _span_f1,
    "spearman": lambda output: Spearman(output.width or 1),
}

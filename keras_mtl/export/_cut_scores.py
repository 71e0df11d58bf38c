"""The cut of predictions that scores best, of all cuts."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Numbers: TypeAlias = npt.NDArray[np.float64]
Costs: TypeAlias = tuple[float, float]
"""The cost of a false yes and of a false no."""

Score: TypeAlias = Callable[[Numbers, Numbers, Numbers, Numbers], Numbers]
"""From true and false yes, false and true no, each for all cuts, to a score; higher is better."""


def _divide(values: Numbers, by: Numbers) -> Numbers:
    return np.divide(values, by, out=np.zeros_like(values), where=by > 0)


def _f1(tp: Numbers, fp: Numbers, fn: Numbers, tn: Numbers) -> Numbers:
    return _divide(2 * tp, 2 * tp + fp + fn)


def _youden(tp: Numbers, fp: Numbers, fn: Numbers, tn: Numbers) -> Numbers:
    return tp / (tp + fn) + tn / (tn + fp) - 1


def _mcc(tp: Numbers, fp: Numbers, fn: Numbers, tn: Numbers) -> Numbers:
    sizes = (tp + fp) * (fn + tn) * (tp + fn) * (fp + tn)
    return _divide(tp * tn - fp * fn, np.sqrt(sizes))


def _accuracy(tp: Numbers, fp: Numbers, fn: Numbers, tn: Numbers) -> Numbers:
    return (tp + tn) / (tp + fp + fn + tn)


_SCORES: dict[str, Score] = {"f1": _f1, "youden": _youden, "mcc": _mcc, "accuracy": _accuracy}


def check_metric(metric: str, costs: Costs | Mapping[str, Costs] | None) -> None:
    """Checks that a metric is known, and has costs if and only if it is the cost.

    Raises:
        ValueError: If not.
    """
    if metric not in (*_SCORES, "cost"):
        raise ValueError(f"metric is one of {[*_SCORES, 'cost']}; received {metric!r}.")
    if (metric == "cost") != (costs is not None):
        raise ValueError(
            "costs=(of a false yes, of a false no) belong to metric='cost'; received "
            f"metric={metric!r} and costs={costs!r}."
        )


def best_cut(what: str, rows: Numbers, metric: str, costs: Costs | None) -> float:
    """Returns the cut of predictions with the best score; above it a prediction counts as yes.

    Args:
        what: The task, or the column of a task, for messages.
        rows: Predictions, labels, weights and columns, `[labels, 4]`.
        metric: The name of the score.
        costs: The costs, if the metric is the cost.

    Raises:
        ValueError: If labels are of one value only, or a weight is negative.
    """
    predictions, labels, weights, _ = rows.T
    positives, negatives = weights * (labels == 1), weights * (labels == 0)
    if not positives.sum() > 0 or not negatives.sum() > 0 or weights.min() < 0:
        raise ValueError(
            f"{what}: a threshold needs labels 0 and 1 with weights above 0; this data have "
            f"a weight of {positives.sum():g} on 1 and of {negatives.sum():g} on 0."
        )
    order = np.argsort(predictions, kind="stable")
    values, first = np.unique(predictions[order], return_index=True)
    # Cut i lies below value i, so that the i smallest values are no; the last cut is above all.
    fn = np.concatenate([[0.0], np.add.reduceat(positives[order], first).cumsum()])
    tn = np.concatenate([[0.0], np.add.reduceat(negatives[order], first).cumsum()])
    tp, fp = fn[-1] - fn, tn[-1] - tn
    if metric == "cost" and costs is not None:
        scores = -(costs[0] * fp + costs[1] * fn)
    else:
        scores = _SCORES[metric](tp, fp, fn, tn)
    cuts = _cuts(values)
    # Without a number below the smallest prediction, not all can be yes.
    usable = np.concatenate([[values[0] > 0.0], np.ones(len(values), bool)])
    best = usable & (scores >= scores[usable].max() - 1e-12 * max(1.0, np.abs(scores).max()))
    return float(cuts[best][np.abs(cuts[best] - 0.5).argmin()])


def _cuts(values: Numbers) -> Numbers:
    """Returns a number below all values, one between each two neighbors, and one above all.

    They are exact in float32: of two neighbors without a number between them, it is the lower.
    """
    low = np.concatenate([[0.0], values])
    high = np.concatenate([values, [max(1.0, values[-1])]])
    middle = ((low + high) / 2).astype(np.float32).astype(np.float64)
    # Probabilities of logits are in float64, and the rounded middle may be below both.
    return np.where((middle >= high) | (middle < low), low, middle)


def flatten(
    name: str, prediction: Any, labels: Any, sample_weight: Any, *, logits: bool
) -> Numbers:
    """Returns the valid labels of a batch as rows of prediction, label, weight and column.

    Args:
        name: The task, for messages.
        prediction: Predictions `(batch, units)`.
        labels: Labels `(batch,)` or `(batch, units)`; NaN where one is missing.
        sample_weight: `None`, or weights with the first axes of the labels.
        logits: Whether predictions are logits.

    Raises:
        ValueError: If shapes do not fit.
    """
    p = np.asarray(prediction, np.float64)
    y = np.asarray(labels, np.float64).reshape(len(p), -1)
    w = np.asarray(1.0 if sample_weight is None else sample_weight, np.float64)
    w = w.reshape(len(p), -1) if w.ndim else w
    if p.shape != y.shape or w.shape[-1:] not in ((), (1,), y.shape[1:]):
        raise ValueError(
            f"task {name!r}: a threshold is for predictions (batch, units) and as many labels; "
            f"received predictions {p.shape}, labels {np.shape(labels)} and weights "
            f"{np.shape(sample_weight)}."
        )
    columns = np.broadcast_to(np.arange(y.shape[1]), y.shape)
    rows: Numbers = np.stack([p, y, np.broadcast_to(w, y.shape), columns], axis=-1).reshape(-1, 4)
    rows = rows[~np.isnan(rows[:, 1]) & (rows[:, 2] != 0)]
    if not np.isfinite(rows).all() or not np.isin(rows[:, 1], (0, 1)).all():
        raise ValueError(
            f"task {name!r}: a threshold needs finite predictions, and labels 0 and 1 (or NaN)."
        )
    if logits:
        rows[:, 0] = 1 / (1 + np.exp(-rows[:, 0]))
    return rows

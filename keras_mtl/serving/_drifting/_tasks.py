"""Predictions of a task beside the reference, and beside the labels that came back."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mtl.export._beside._interface import Interface, TaskSpec
from keras_mtl.serving._drifting._read import FloatArray, read_numbers, read_predictions
from keras_mtl.serving._drifting._rows import ReliabilityBin, TaskDrift
from keras_mtl.serving._watching._bins import Bins
from keras_mtl.serving._watching._bounds import bound_ece, bound_psi
from keras_mtl.serving._watching._calibration import CalibrationCounts
from keras_mtl.serving._watching._drift import population_stability

CALIBRATED = ("yes or no", "class", "one-hot")
"""Kinds of labels whose predictions are probabilities of something that happens or does not."""

_ROW_KINDS = ("class", "one-hot", "distribution")


def compare_tasks(
    interface: Interface,
    bins: Mapping[str, Bins],
    predictions: Mapping[str, Any],
    labels: Mapping[str, Any],
) -> tuple[TaskDrift, ...]:
    """Returns for each task with predictions how far it is from the reference and its labels.

    Args:
        interface: What outputs.json says.
        bins: By task, the bins of the reference.
        predictions: By task, new predictions.
        labels: By task, the labels of the same rows; NaN where one has not come back.

    Raises:
        ValueError: If predictions or labels do not fit their task, or each other.
    """
    judged = sum(task in bins for task in predictions)
    labeled = sum(interface.tasks[task].kind in CALIBRATED for task in labels)
    results = []
    for task, spec in interface.tasks.items():
        if task not in predictions:
            continue
        array = read_predictions(predictions[task], spec.shape, f"the predictions of task {task!r}")
        counts = CalibrationCounts()
        if task in labels and spec.kind in CALIBRATED:
            counts = _count_labels(task, spec, array, labels[task])
        calibration = counts.result() if counts.bins()[0].sum() else None
        results.append(
            TaskDrift(
                task=task,
                reads=interface.signatures[spec.signature].inputs,
                **_compare(array, spec, bins.get(task), judged),
                calibration=calibration,
                ece_bound=bound_ece(counts, labeled) if calibration else math.nan,
                reliability=_list_reliability(counts),
            )
        )
    return tuple(results)


def _compare(array: FloatArray, spec: TaskSpec, bins: Bins | None, judged: int) -> dict[str, Any]:
    """Returns those fields of `TaskDrift` that say something of predictions."""
    by_class = spec.kind == "class"
    values = array.reshape(-1, array.shape[-1]) if by_class else array.reshape(-1)
    finite = np.isfinite(values).all(-1) if by_class else np.isfinite(values)
    bins = bins or Bins((), ())
    counts = np.zeros(len(bins.counts), int)
    if finite.any() and bins.counts:
        counts = bins.count(values[finite])
    drift = None
    if len(bins.counts) > 1 and counts.sum() and sum(bins.counts):
        drift = population_stability(bins.counts, counts)
    return {
        "drift": drift,
        "psi_bound": math.nan if drift is None else bound_psi(drift, len(bins.counts), judged),
        "edges": bins.edges or (),
        "bins": _name_bins(bins, spec),
        "reference_counts": bins.counts,
        "counts": tuple(map(int, counts)),
        "left_out": int((~finite).sum()),
        "per_row": len(values) // max(len(array), 1),
    }


def _name_bins(bins: Bins, spec: TaskSpec) -> tuple[str, ...]:
    count = len(bins.counts)
    if bins.edges is None:
        names = spec.classes or ()
        return names if len(names) == count else tuple(f"class {i}" for i in range(count))
    if not bins.edges:
        return ("all",) * count
    edges = [f"{edge:.3g}" for edge in bins.edges]
    between = [f"{low} to {high}" for low, high in itertools.pairwise(edges)]
    return (f"below {edges[0]}", *between, f"from {edges[-1]}")


def _count_labels(task: str, spec: TaskSpec, array: FloatArray, values: Any) -> CalibrationCounts:
    """Counts the labels that came back, beside the probabilities of what they say."""
    what = f"the labels of task {task!r}"
    labels = read_numbers(values, what)
    expected = array[..., 0] if spec.kind == "class" else array
    if labels.size != expected.size or len(labels) != len(array):
        raise ValueError(
            f"{what} have the shape {labels.shape} and its predictions {array.shape}; expected one "
            "label per prediction of the same rows, NaN where it has not come back."
        )
    if spec.kind in _ROW_KINDS:
        y, p = _read_classes(spec, labels, array)
    else:
        y = labels.reshape(-1)
        p = array.reshape(-1)
        p = 0.5 * (1 + np.tanh(p / 2)) if spec.logits else p
    is_known = np.isfinite(y) & np.isfinite(p)
    counts = CalibrationCounts()
    try:
        counts.add(y[is_known], p[is_known])
    except ValueError as error:
        raise ValueError(f"task {task!r}: {error}") from None
    return counts


def _read_classes(
    spec: TaskSpec, labels: FloatArray, array: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Returns whether the most probable class was the right one, and its probability."""
    scores = array.reshape(-1, array.shape[-1])
    scores = np.where(np.isfinite(scores).all(-1, keepdims=True), scores, np.nan)
    if spec.logits:
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
    if spec.kind == "class":
        right = labels.reshape(-1)
        right = np.where(right < 0, np.nan, right)  # negative numbers mark missing labels
    else:
        rows = labels.reshape(scores.shape)
        right = np.where(np.isnan(rows).any(-1), np.nan, rows.argmax(-1))
    right = np.where(np.isnan(scores).any(-1), np.nan, right)
    y = np.where(np.isnan(right), np.nan, scores.argmax(-1) == right)
    return y, scores.max(-1)


def _list_reliability(counts: CalibrationCounts) -> tuple[ReliabilityBin, ...]:
    return tuple(
        ReliabilityBin(int(n), float(p / n), float(yes / n), float(np.sqrt(variance) / n))
        for n, yes, p, variance in counts.bins().T
        if n
    )

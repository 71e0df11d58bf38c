"""Kinds of task, with data, and the roads by which the value of a metric is found without a task.

A road gets labels, predictions and weights of all batches as `(rows, width)`, with one-hot labels
for classes, and returns the value of a metric on those that have a weight.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np

from keras_mtl import Head, Labels, Task

Array = Any
Batch = tuple[Array, Array, Array]
Make = Callable[[], keras.metrics.Metric]
Road = Callable[[Make, Array, Array, Array], Array]

K = keras.metrics
CLASSES, ROWS = 4, 24


def one_hot_task(metrics: Sequence[Any]) -> Task:
    """Returns a task with one-hot labels."""
    return Task(
        "t",
        head=Head(CLASSES, "softmax"),
        loss=keras.losses.CategoricalCrossentropy(),
        labels=Labels((CLASSES,)),
        metrics=metrics,
    )


KINDS: dict[str, Callable[[Sequence[Any]], Task]] = {
    "binary": lambda metrics: Task.binary("t", metrics=metrics),
    "multilabel": lambda metrics: Task.multilabel("t", 3, metrics=metrics),
    "columns": lambda metrics: Task.multilabel("t", columns=["a", "b", "c"], metrics=metrics),
    "multiclass": lambda metrics: Task.multiclass("t", CLASSES, metrics=metrics),
    "one-hot": one_hot_task,
    "regression": lambda metrics: Task.regression("t", metrics=metrics),
    "targets": lambda metrics: Task.regression("t", 3, metrics=metrics),
    "count": lambda metrics: Task.count("t", metrics=metrics),
    "tagging": lambda metrics: Task.tagging("t", CLASSES, metrics=metrics),
    "segmentation": lambda metrics: Task.segmentation("t", CLASSES, metrics=metrics),
}
"""How a task of each kind is made; what its labels are is said by `SORTS`."""

SORTS = {
    "yes or no": {"binary", "multilabel", "columns"},
    "class": {"multiclass", "tagging", "segmentation"},
    "one-hot": {"one-hot"},
    "number": {"regression", "targets", "count"},
}
SORT = {kind: sort for sort, kinds in SORTS.items() for kind in kinds}
WIDTH = {"binary": 1, "multilabel": 3, "columns": 3, "regression": 1, "targets": 3, "count": 1}
POSITIONS = {"tagging": (5,), "segmentation": (2, 3)}
WEIGHTS = {
    "none": (),
    "zeros and ones": (0.0, 1.0),
    "fractions": (0.0, 0.25, 0.5, 1.75),
    "zeros": (0.0,),
}


def batch(kind: str, weights: str, seed: int) -> Batch:
    """Returns labels, predictions and weights as a task of this kind has them.

    Args:
        kind: The kind of task.
        weights: A key of `WEIGHTS`; missing labels are filled with zeros.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    width = WIDTH.get(kind, CLASSES)
    shape = (ROWS, *POSITIONS.get(kind, ()))
    scores = rng.normal(size=(*shape, width)).astype("float32")
    softmax = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    match SORT[kind]:
        case "yes or no":
            y, p = rng.integers(0, 2, (*shape, width)).astype("float32"), 1 / (1 + np.exp(-scores))
        case "class":
            y, p = rng.integers(0, width, shape), softmax
        case "one-hot":
            y, p = np.eye(width, dtype="float32")[rng.integers(0, width, shape)], softmax
        case _:
            y, p = rng.integers(0, 5, (*shape, width)).astype("float32"), np.abs(scores) + 0.1
    if weights == "none":
        return y, p, None
    w = rng.choice(WEIGHTS[weights], y.shape).astype("float32")
    if kind == "one-hot":  # a class is missing or not
        w = np.repeat(w[..., :1], width, axis=-1)
    return np.where(w > 0, y, 0).astype(y.dtype), p, w


def dense(kind: str, batches: Iterable[Batch]) -> Batch:
    """Returns labels, predictions and weights of batches as `(rows, width)`."""
    rows = []
    for y, p, w in batches:
        width = p.shape[-1]
        w = np.ones(y.shape, "float32") if w is None else w
        if SORT[kind] == "class":
            y, w = np.eye(width)[y], np.repeat(w[..., None], width, axis=-1)
        rows.append([np.reshape(values, (-1, width)) for values in (y, p, w)])
    y, p, w = (np.concatenate(values) for values in zip(*rows, strict=True))
    return y.astype("float32"), p.astype("float32"), w


def stock(make: Make, y: Array, p: Array, w: Array) -> Array:
    """Returns the value of Keras's metric on some rows."""
    metric = make()
    metric.update_state(y, p, sample_weight=w)
    return np.squeeze(keras.ops.convert_to_numpy(metric.result()))


def pooled(make: Make, y: Array, p: Array, w: Array) -> Array:
    """Returns the value on the single labels that have a weight."""
    valid = w > 0
    return stock(make, y[valid][:, None], p[valid][:, None], w[valid])


def by_row(make: Make, y: Array, p: Array, w: Array) -> Array:
    """Returns the value on the rows all of whose labels have a weight."""
    rows = (w > 0).all(axis=1)
    return stock(make, y[rows], p[rows], w[rows].mean(axis=1))


def by_class(make: Make, y: Array, p: Array, w: Array) -> Array:
    """Returns the value on class numbers instead of one-hot labels."""
    rows = (w > 0).all(axis=1)
    return stock(make, y[rows].argmax(axis=1), p[rows], w[rows].mean(axis=1))


def each_column(make: Make, y: Array, p: Array, w: Array) -> Array:
    """Returns the value on the labels of each column that have a weight."""
    columns = ([values[:, [k]] for values in (y, p, w)] for k in range(y.shape[1]))
    return np.array([pooled(make, *column) for column in columns])


def mean_of_columns(make: Make, y: Array, p: Array, w: Array) -> Array:
    """Returns the mean over the columns of their values."""
    return each_column(make, y, p, w).mean()


def entry(plain: Make, k: int) -> Road:
    """Returns the road of metrics that look at the entry `k` alone: the metric without it."""
    return lambda make, y, p, w: pooled(plain, y[:, [k]], p[:, [k]], w[:, [k]])


def f1_of_rows(make: Make, y: Array, p: Array, w: Array) -> Array:
    """Returns the F1 score of the largest entry of a row, and of a single one above 0.5."""
    if y.shape[1] > 1:
        return by_row(make, y, p, w)
    return pooled(lambda: K.F1Score("macro", 0.5), y, p, w)


def weighted_f1(make: Make, y: Array, p: Array, w: Array) -> Array:
    """Returns the mean of the columns, weighted by their positive labels."""
    support = (y * w).sum(axis=0)
    return (each_column(make, y, p, w) * support).sum() / support.sum()


def top_entry(part: str) -> Road:
    """Returns the road of precision and recall of the largest entry of a row."""

    def road(make: Make, y: Array, p: Array, w: Array) -> Array:
        top = p == p.max(axis=1, keepdims=True)
        hits = (w * y * top).sum()
        return hits / ((w * top).sum() if part == "precision" else (w * y).sum())

    return road


def iou(classes: Iterable[int] = range(CLASSES)) -> Road:
    """Returns the road of intersections over unions: Keras rounds fractional weights to 0."""

    def road(make: Make, y: Array, p: Array, w: Array) -> Array:
        label, chosen, weight = y.argmax(axis=1), p.argmax(axis=1), w.mean(axis=1)
        unions = [weight[(label == k) | (chosen == k)].sum() for k in classes]
        hits = [weight[(label == k) & (chosen == k)].sum() for k in classes]
        return np.mean([hit / union for hit, union in zip(hits, unions, strict=True) if union])

    return road


def binary_iou(make: Make, y: Array, p: Array, w: Array) -> Array:
    """Returns the mean of the intersections over unions of zeros and of ones."""
    label, chosen = y > 0, p >= 0.5
    values = [
        (w * (label == k) * (chosen == k)).sum() / (w * ((label == k) | (chosen == k))).sum()
        for k in (False, True)
    ]
    return np.mean(values)

"""Draws the examples of a dataset so that the classes of one task come at given rates."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.data._elements._element import split_element
from keras_mtl.data._elements._make_blank import is_batched
from keras_mtl.data._mask_missing import fill_missing
from keras_mtl.data._mixing._draw import choose
from keras_mtl.data._mixing._order import draw_cycle, first_end, last_end


def resample(
    dataset: tf.data.Dataset,
    task: Task,
    *,
    rates: Mapping[int, float] | Literal["uniform"] = "uniform",
    until: Literal["first", "last"] = "last",
    seed: int = 0,
) -> tf.data.Dataset:
    """Repeats or leaves out examples, so that the classes of one task come as often as asked.

    Choose it where a class is so rare that most batches hold none of it; `class_weights` keeps
    every example once, and is better where batches hold some. The labels of other tasks come
    along, at rates that change with it. Evaluate on data as they are.

    Examples whose label of the task is missing (NaN, -1, or of weight 0) are left out: add them
    with `data.mixture`, as a set of their own.

    The data are read once to count the classes, and in training once for each class, so this
    is for tasks of few classes. Shuffle before, not behind: examples of a class keep their order.

    Args:
        dataset: Finite; yields single examples `(x, y)` or `(x, y, w)`.
        task: One label an example, of classes.
        rates: By class; they sum to 1, and classes that are not named are left out. Defaults
            to all classes that there are alike.
        until: `"last"`: until each example has come, those of rare classes repeatedly.
            `"first"`: before an example would come again, so that frequent classes lose some.
        seed: Of the order of the classes.

    Returns:
        A dataset of single examples, of known cardinality.

    Raises:
        TypeError: If the dataset does not yield `(x, y)` or `(x, y, w)` with `y` a dict.
        ValueError: If the task has no label in it, or not one class an example; if rates do
            not fit the classes that there are.

    Example:
        >>> y = {"fraud": [0] * 9 + [1]}
        >>> dataset = tf.data.Dataset.from_tensor_slices((list(range(10)), y))
        >>> even = resample(dataset, Task.binary("fraud"))
        >>> labels = [int(y["fraud"]) for _, y in even]
        >>> len(labels) >= 18, labels.count(0) >= 9
        (True, True)
    """
    _check(dataset, task)
    counts = _count_classes(dataset, task)
    if not counts:
        raise ValueError(f"task {task.name!r}: the dataset has no label of it.")
    if isinstance(rates, Mapping):
        counts = _check_rates(task, rates, counts)
    sizes = {str(value): count for value, count in counts.items()}
    named = {str(value): rate for value, rate in rates.items()} if rates != "uniform" else rates
    cycle = draw_cycle(named, sizes, 1, seed)
    parts = [_of_class(dataset, task, value).repeat() for value in counts]
    ends = {"last": last_end, "first": first_end}
    if until not in ends:
        raise ValueError(f"until is {until!r}; expected 'last' or 'first'.")
    draws = ends[until](cycle, sizes)
    drawn = choose(parts, cycle).take(draws)
    return drawn.apply(tf.data.experimental.assert_cardinality(draws))


def _check(dataset: tf.data.Dataset, task: Task) -> None:
    inputs, labels, _ = split_element(dataset)
    if task.name not in labels:
        raise ValueError(
            f"task {task.name!r}: the dataset has no label of it; it has {sorted(labels)}."
        )
    if task.labels is not None and (task.labels.shape or task.labels.high is None):
        raise ValueError(f"task {task.name!r} has not one class an example to draw by.")
    if is_batched(inputs, labels, [task]):
        raise ValueError(
            f"task {task.name!r}: resample draws single examples, and the dataset yields batches; "
            "use it before .batch()."
        )
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("the dataset is infinite; pass it as it is before .repeat().")


def _check_rates(
    task: Task, rates: Mapping[int, float], counts: Mapping[int, int]
) -> dict[int, int]:
    """The counts of the classes that are to be drawn."""
    absent = sorted(rates.keys() - counts.keys())
    if absent:
        raise ValueError(
            f"task {task.name!r}: rates name the class(es) {absent}, which have no example; there "
            f"are examples of {sorted(counts)}."
        )
    return {value: counts[value] for value in rates}


def _class(task: Task, y: Any, w: Any = None) -> tf.Tensor:
    """The class of an example or of each in a batch; the lowest number where it is missing."""
    label, valid = fill_missing(y[task.name], None, -1)
    if w and task.name in w:
        valid &= tf.reshape(w[task.name], tf.shape(valid)) > 0
    if label.shape.rank and label.shape[-1] == 1:
        label, valid = label[..., 0], valid[..., 0]
    return tf.where(valid, tf.cast(label, tf.int64), tf.int64.min)


def _count_classes(dataset: tf.data.Dataset, task: Task) -> dict[int, int]:
    counts: dict[int, int] = {}
    for classes in (
        dataset.map(lambda x, *rest: _class(task, *rest)).batch(4096).as_numpy_iterator()
    ):
        for value, count in zip(*np.unique(classes, return_counts=True), strict=True):
            counts[int(value)] = counts.get(int(value), 0) + int(count)
    counts.pop(tf.int64.min, None)
    return dict(sorted(counts.items()))


def _of_class(dataset: tf.data.Dataset, task: Task, value: int) -> tf.data.Dataset:
    """The examples of one class."""
    leaves = tf.nest.flatten(dataset.element_spec)
    if not all(
        isinstance(leaf, tf.TensorSpec) and leaf.shape.is_fully_defined() for leaf in leaves
    ):
        return dataset.filter(lambda x, *rest: _class(task, *rest) == value)

    def select(x: Any, *rest: Any) -> Any:
        rows = tf.where(_class(task, *rest) == value)[:, 0]
        return tf.nest.map_structure(lambda entries: tf.gather(entries, rows), (x, *rest))

    # Many examples at once: calling a function costs more than its work.
    return dataset.batch(512).map(select).unbatch()

"""Draws the examples of a dataset so that the classes of one task come at wanted rates."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.data._elements._element import is_batched, read_specs
from keras_mtl.data._elements._fill_missing import fill_missing
from keras_mtl.data._elements._numbers import read_classes
from keras_mtl.data._mixing._draw import draw
from keras_mtl.data._mixing._order import draw_cycle, first_end, last_end

# Examples that are selected at once: a call of a function costs more than its work on one of them
# (docs/keras_notes.md, pain 83).
_CHUNK = 512


def resample(
    dataset: tf.data.Dataset,
    task: Task,
    *,
    rates: Mapping[int, float] | Literal["uniform"] = "uniform",
    until: Literal["first", "last"] = "last",
    seed: int = 0,
) -> tf.data.Dataset:
    """Repeats or leaves out examples, so that the classes of one task come as often as wanted.

    Choose it where a class is so rare that most batches hold none of it; `class_weights` keeps
    every example once, and is better where batches hold some. The labels of other tasks come
    along, at rates that change with it. Evaluate on data as they are.

    Examples whose label of the task is missing (NaN, -1, or of weight 0) are left out: add them
    with `data.mixture`, as a set of their own.

    The data are read once to count the classes, and in training once for each class, so this
    is for tasks of few classes. Shuffle before it, not after it: examples of a class keep their
    order.

    Args:
        dataset: Finite; yields single examples `(x, y)` or `(x, y, w)`.
        task: A task with one label per example, which is a class.
        rates: By class; they sum to 1, and classes that are not named are left out. Defaults
            to equal rates for all classes that the dataset has. NumPy's numbers, or a sequence
            with one rate per class, will do.
        until: `"last"`: until each example has come, those of rare classes repeatedly.
            `"first"`: before an example would come again, so that frequent classes lose some.
        seed: Seed of the order of the classes.

    Returns:
        A dataset of single examples, of known cardinality.

    Raises:
        TypeError: If the dataset does not yield `(x, y)` or `(x, y, w)` with `y` a dict.
        ValueError: If the dataset has no label of the task, is batched or infinite; if the task
            has not one class per example; or if `rates` are no numbers, do not sum to 1, or do not
            fit the classes in the dataset.

    Example:
        >>> y = {"fraud": [0] * 9 + [1]}
        >>> dataset = tf.data.Dataset.from_tensor_slices((list(range(10)), y))
        >>> even = resample(dataset, Task.binary("fraud"))
        >>> labels = [int(y["fraud"]) for _, y in even]
        >>> len(labels) >= 18, labels.count(0) >= 9
        (True, True)
    """
    _check_task(dataset, task)
    counts = _count_classes(dataset, task)
    if not counts:
        raise ValueError(f"task {task.name!r}: the dataset has no label of it.")
    # A class is drawn like a set of a mixture, and sets have names.
    named: Mapping[str, float] | str = "uniform"
    if not isinstance(rates, str):
        numbers = read_classes(rates, task, "has the rate")
        counts = _select_counts(task, numbers, counts)
        named = {str(value): rate for value, rate in numbers.items()}
    elif rates != "uniform":
        raise ValueError(
            f"task {task.name!r}: rates is {rates!r}; expected 'uniform' or a dict by class."
        )
    sizes = {str(value): count for value, count in counts.items()}
    try:
        cycle = draw_cycle(named, sizes, 1, seed)
    except ValueError as error:
        raise ValueError(f"task {task.name!r}: {error}") from error
    classes = [_select_class(dataset, task, value).repeat() for value in counts]
    ends = {"last": last_end, "first": first_end}
    if until not in ends:
        raise ValueError(f"until is {until!r}; expected 'last' or 'first'.")
    draws = ends[until](cycle, sizes)
    drawn = draw(classes, cycle).take(draws)
    # docs/keras_notes.md, F1
    return drawn.apply(tf.data.experimental.assert_cardinality(draws))


def _check_task(dataset: tf.data.Dataset, task: Task) -> None:
    """Checks that the dataset yields single examples, finitely many, with one class of the task."""
    element = read_specs(dataset)
    if task.name not in element.labels:
        raise ValueError(
            f"task {task.name!r}: the dataset has no label of it; it has {sorted(element.labels)}."
        )
    if task.labels is not None and (task.labels.shape or task.labels.high is None):
        raise ValueError(f"task {task.name!r} has not one class per example to draw by.")
    if is_batched(element.inputs, element.labels, [task]):
        raise ValueError(
            f"task {task.name!r}: resample draws single examples, and the dataset yields batches; "
            "use it before .batch()."
        )
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("the dataset is infinite; pass it as it is before .repeat().")


def _select_counts(
    task: Task, rates: Mapping[float, float], counts: Mapping[int, int]
) -> dict[int, int]:
    """Returns the counts of the classes that are to be drawn; checks that they have examples."""
    absent = sorted(rates.keys() - counts.keys())
    if absent:
        raise ValueError(
            f"task {task.name!r}: rates name the class(es) {absent}, which have no example; there "
            f"are examples of {sorted(counts)}."
        )
    return {int(value): counts[int(value)] for value in rates}


def _read_class(task: Task, y: Any, w: Any = None) -> tf.Tensor:
    """Returns the classes of an example or a batch; the lowest int64 where they are missing."""
    label, valid = fill_missing(y[task.name], None, -1)
    if w and task.name in w:
        valid &= tf.reshape(w[task.name], tf.shape(valid)) > 0
    if label.shape.rank and label.shape[-1] == 1:
        label, valid = label[..., 0], valid[..., 0]
    return tf.where(valid, tf.cast(label, tf.int64), tf.int64.min)


def _count_classes(dataset: tf.data.Dataset, task: Task) -> dict[int, int]:
    """Counts the examples of each class, in one pass over the data."""
    counts: dict[int, int] = {}
    for classes in (
        dataset.map(lambda x, *rest: _read_class(task, *rest)).batch(4096).as_numpy_iterator()
    ):
        for value, count in zip(*np.unique(classes, return_counts=True), strict=True):
            counts[int(value)] = counts.get(int(value), 0) + int(count)
    counts.pop(tf.int64.min, None)
    return dict(sorted(counts.items()))


def _select_class(dataset: tf.data.Dataset, task: Task, value: int) -> tf.data.Dataset:
    """Returns the examples of one class."""
    leaves = tf.nest.flatten(dataset.element_spec)
    if not all(
        isinstance(leaf, tf.TensorSpec) and leaf.shape.is_fully_defined() for leaf in leaves
    ):
        return dataset.filter(lambda x, *rest: _read_class(task, *rest) == value)

    def select(x: Any, *rest: Any) -> Any:
        rows = tf.where(_read_class(task, *rest) == value)[:, 0]
        return tf.nest.map_structure(lambda entries: tf.gather(entries, rows), (x, *rest))

    return dataset.batch(_CHUNK).map(select).unbatch()

"""A description of a dataset's labels: counts, classes, missing labels, and warnings."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from keras_mtl._tasks import Labels, Task, check_tasks
from keras_mtl.data._elements._element import is_batched
from keras_mtl.data._label_summary import LabelSummary
from keras_mtl.data._mask_missing import mask_missing

_SMALL_SHARE = 0.01  # a task with fewer labels than this share of the largest is warned of


def describe(dataset: tf.data.Dataset, tasks: Sequence[Task]) -> dict[str, LabelSummary]:
    """Summarizes the labels of each task, prints a table, and warns of labels that harm training.

    Reads the dataset once. Missing labels are those that `mask_missing` masks, and those with
    weight 0. It warns of a task or column without labels, a task with less than 1 % of the labels
    of another, a class without examples, and a target that is always the same.

    Args:
        dataset: Finite; yields `(x, y)` or `(x, y, w)`, single examples or batches; a `mixture`
            does. In padded batches the padding counts as missing.
        tasks: The tasks that the labels belong to.

    Returns:
        A `LabelSummary` by task: `balanced_class_weights` and `weigh_tasks` take it.

    Raises:
        TypeError: If the dataset does not yield `(x, y)` or `(x, y, w)` with `y` a dict.
        ValueError: If a task has no label, a label belongs to no task, or the dataset is infinite
            or empty.

    Example:
        >>> y = {"age": [31.0, 40.0, float("nan")], "topic": [0, 3, 3]}
        >>> dataset = tf.data.Dataset.from_tensor_slices(([[0.0]] * 3, y)).batch(2)
        >>> tasks = [Task.regression("age"), Task.multiclass("topic", 4)]
        >>> with warnings.catch_warnings(action="ignore"):
        ...     summary = describe(dataset, tasks)
        task   examples  labels  missing  values
        age           3       2   33.3 %  mean 35.5, std 4.5, from 31 to 40
        topic         3       3    0.0 %  0: 1, 3: 2
        >>> summary["topic"].classes
        {0: 1, 3: 2}
    """
    tasks = check_tasks(tasks)
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("the dataset is infinite; pass it as it is before .repeat().")
    batches = _label_batches(dataset, tasks)
    summaries = {task.name: LabelSummary() for task in tasks}
    for labels, weights in batches.as_numpy_iterator():
        for task in tasks:
            _add(summaries[task.name], task, labels[task.name], weights[task.name])
    if not summaries[tasks[0].name].examples:
        raise ValueError("the dataset is empty; expected at least one example.")
    _print(summaries)
    for message in _list_warnings(summaries, tasks):
        warnings.warn(message, stacklevel=2)
    return summaries


def _label_batches(dataset: tf.data.Dataset, tasks: Sequence[Task]) -> tf.data.Dataset:
    """Returns batches of labels and weights; entries added by padding here have weight -1."""
    masked = mask_missing(dataset, tasks)
    inputs, labels, weights = masked.element_spec
    batches = masked.map(lambda x, y, w: (y, w))
    if is_batched(inputs, labels, tasks):
        return batches
    padding = (
        {name: tf.zeros((), spec.dtype) for name, spec in labels.items()},
        {name: tf.constant(-1.0) for name in weights},
    )
    return batches.padded_batch(1024, padding_values=padding)


def _add(
    summary: LabelSummary, task: Task, values: npt.NDArray[Any], weights: npt.NDArray[Any]
) -> None:
    """Adds the labels of a batch to the summary of a task, and to those of its columns."""
    if values.ndim > 1 and values.shape[-1] == 1 and not task.elementwise:
        values, weights = values[..., 0], weights[..., 0]
    classes = _num_classes(task.labels) is not None
    summary.add(values, weights, classes=classes)
    if not task.elementwise:
        return
    for index in range(values.shape[-1]):
        name = task.columns[index] if task.columns is not None else str(index)
        column = summary.columns.setdefault(name, LabelSummary())
        column.add(values[..., index], weights[..., index], classes=classes)


def _num_classes(labels: Labels | None) -> int | None:
    """Returns the number of a task's classes; `None` where its labels are numbers."""
    if labels is None or labels.low is None or labels.high is None:
        return None
    return int(labels.high - labels.low) + 1


def _print(summaries: Mapping[str, LabelSummary]) -> None:
    rows = [("task", "examples", "labels", "missing", "values")]
    for name, summary in summaries.items():
        columns = f" ({len(summary.columns)} columns)" if summary.columns else ""
        counts = (
            f"{summary.examples:,}",
            f"{summary.labels:,}",
            f"{summary.missing:.1%}".replace("%", " %"),
        )
        rows.append((name + columns, counts[0], counts[1], counts[2], _values(summary)))
    widths = [max(len(row[index]) for row in rows) for index in range(4)]
    for first, *numbers, values in rows:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True)]
        print("  ".join([*cells, values]))


def _values(summary: LabelSummary) -> str:
    """Returns the last cell of a row: the count of each class, or mean and range."""
    if not summary.labels:
        return "none"
    if summary.classes:
        counts = [f"{value}: {count:,}" for value, count in sorted(summary.classes.items())]
        return ", ".join(
            counts if len(counts) <= 12 else [*counts[:10], f"... {len(counts)} in all"]
        )
    return (
        f"mean {summary.mean:.4g}, std {summary.std:.4g}, "
        f"from {summary.low:.4g} to {summary.high:.4g}"
    )


def _list_warnings(summaries: Mapping[str, LabelSummary], tasks: Sequence[Task]) -> list[str]:
    """Returns a message for each harmful property of the labels."""
    largest = max(summaries, key=lambda name: summaries[name].labels)
    messages = []
    for task in tasks:
        summary = summaries[task.name]
        share = summary.labels / max(summaries[largest].labels, 1)
        if not summary.labels:
            messages.append(f"task {task.name!r} has no label in this dataset: it cannot learn.")
            continue
        if share < _SMALL_SHARE:
            messages.append(
                f"task {task.name!r} has {summary.labels} labels, {share:.2%} of those of "
                f"{largest!r}: most batches will hold none. data.mixture(sampling=...) draws them "
                "more often."
            )
        messages += _flaws(task, summary)
        names = [name for name, column in summary.columns.items() if _flaws(task, column)]
        if names:
            listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            messages.append(
                f"task {task.name!r}: {len(names)} of {len(summary.columns)} columns have no "
                f"label or one value only, and nothing to learn: {listed}."
            )
    return messages


def _flaws(task: Task, summary: LabelSummary) -> list[str]:
    """Returns a message if the values of a task or a column leave nothing, or less, to learn."""
    classes = _num_classes(task.labels)
    if not summary.labels:
        return [f"task {task.name!r} has no label."]
    if summary.low == summary.high:
        return [f"task {task.name!r}: all labels are {summary.low:g}; there is nothing to learn."]
    if classes is None or task.labels is None or summary.columns:
        return []
    low = int(task.labels.low or 0)
    empty = [str(value) for value in range(low, low + classes) if value not in summary.classes]
    if not empty:
        return []
    listed = ", ".join(empty[:10]) + (", ..." if len(empty) > 10 else "")
    return [
        f"task {task.name!r}: {len(empty)} of {classes} classes have no example: {listed}. The "
        "network will never predict them."
    ]

"""What labels a dataset has: counts, classes, what is missing, and what of it will hurt."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from keras_mtl._tasks import Labels, Task, check_tasks
from keras_mtl.data._elements._element import split_element
from keras_mtl.data._elements._make_blank import is_batched
from keras_mtl.data._label_summary import LabelSummary
from keras_mtl.data._mask_missing import mask_missing

_FEW = 0.01


def describe(dataset: tf.data.Dataset, tasks: Sequence[Task]) -> dict[str, LabelSummary]:
    """Prints what labels a dataset has of each task, and warns of what will hurt.

    Reads the dataset once. Missing labels are those that `mask_missing` masks, and those with
    weight 0. Warned of are: a task or column without labels, a task with less than 1 % of the
    labels of another, a class without examples, a target that is always the same.

    Args:
        dataset: Finite; yields `(x, y)` or `(x, y, w)`, single examples or batches, such as a
            `mixture`. In padded batches the padding counts as missing.
        tasks: The tasks that the labels belong to.

    Returns:
        A `LabelSummary` by task: `balanced_class_weights` and `weigh_tasks` take it.

    Raises:
        TypeError: If the dataset does not yield `(x, y)` or `(x, y, w)` with `y` a dict.
        ValueError: If a task has no label or a label no task, or the dataset is infinite or
            empty.

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
    for message in _what_hurts(summaries, tasks):
        warnings.warn(message, stacklevel=2)
    return summaries


def _label_batches(dataset: tf.data.Dataset, tasks: Sequence[Task]) -> tf.data.Dataset:
    """Batches of labels and weights; the weight of what is no label at all, padding, is -1."""
    inputs, labels, _ = split_element(dataset)
    batched = is_batched(inputs, labels, [task for task in tasks if task.name in labels])
    masked = mask_missing(dataset, tasks).map(lambda x, y, w: (y, w))
    if batched:
        return masked
    y, w = masked.element_spec
    padding = (
        {name: tf.zeros((), spec.dtype) for name, spec in y.items()},
        {name: tf.constant(-1.0) for name in w},
    )
    return masked.padded_batch(1024, padding_values=padding)


def _add(
    summary: LabelSummary, task: Task, values: npt.NDArray[Any], weights: npt.NDArray[Any]
) -> None:
    if values.ndim > 1 and values.shape[-1] == 1 and not task.elementwise:
        values, weights = values[..., 0], weights[..., 0]
    classes = _num_classes(task.labels) is not None
    summary.add(values, weights, classes=classes)
    if not task.elementwise:
        return
    for place in range(values.shape[-1]):
        name = task.columns[place] if task.columns is not None else str(place)
        column = summary.columns.setdefault(name, LabelSummary())
        column.add(values[..., place], weights[..., place], classes=classes)


def _num_classes(labels: Labels | None) -> int | None:
    """How many classes a task has; `None` where its labels are numbers."""
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
    widths = [max(len(row[place]) for row in rows) for place in range(4)]
    for first, *numbers, values in rows:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True)]
        print("  ".join([*cells, values]))


def _values(summary: LabelSummary) -> str:
    if not summary.labels:
        return "none"
    if summary.classes:
        listed = [f"{value}: {count:,}" for value, count in sorted(summary.classes.items())]
        return ", ".join(
            listed if len(listed) <= 12 else [*listed[:10], f"... {len(listed)} in all"]
        )
    return (
        f"mean {summary.mean:.4g}, std {summary.std:.4g}, "
        f"from {summary.low:.4g} to {summary.high:.4g}"
    )


def _what_hurts(summaries: Mapping[str, LabelSummary], tasks: Sequence[Task]) -> list[str]:
    most = max(summaries, key=lambda name: summaries[name].labels)
    found = []
    for task in tasks:
        summary = summaries[task.name]
        share = summary.labels / max(summaries[most].labels, 1)
        if not summary.labels:
            found.append(f"task {task.name!r} has no label in this dataset: it cannot learn.")
            continue
        if share < _FEW:
            found.append(
                f"task {task.name!r} has {summary.labels} labels, {share:.2%} of those of "
                f"{most!r}: most batches will hold none. data.mixture(sampling=...) draws them "
                "more often."
            )
        found += _flaws(task, summary)
        names = [name for name, each in summary.columns.items() if _flaws(task, each)]
        if names:
            listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            found.append(
                f"task {task.name!r}: {len(names)} of {len(summary.columns)} columns have no "
                f"label or one value only, and nothing to learn: {listed}."
            )
    return found


def _flaws(task: Task, summary: LabelSummary) -> list[str]:
    """What is wrong with the values of a task or a column."""
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

"""A description of a dataset's labels: counts, classes, missing labels, and warnings."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._elements._element import is_batched
from keras_mtl.data._elements._numbers import num_classes
from keras_mtl.data._findings._forms import list_advice
from keras_mtl.data._findings._inputs import InputSummary, list_input_warnings, select_inputs
from keras_mtl.data._findings._labels import list_label_warnings
from keras_mtl.data._label_summary import LabelSummary
from keras_mtl.data._mask_missing import mask_missing


def describe(dataset: tf.data.Dataset, tasks: Sequence[Task]) -> dict[str, LabelSummary]:
    """Summarizes the labels of each task, prints a table, and warns of data that harm training.

    Reads the dataset once. Missing labels are those that `mask_missing` masks, and those with
    weight 0. It warns of

    - a task or column without labels, or with one value only; a task with less than 1 % of the
      labels of another; a class without examples, or with fewer than 50 (of 100 or more labels);
      one of two classes that comes less than once in 256 labels;
    - targets whose variances differ tenfold, among tasks or among the units of a task;
    - inputs with NaN, with one value only, or with huge numbers: beyond 10,000 in features
      `(batch, ..., features)` of floats, beyond 2^24 in columns `(batch,)` of a table.

    Below the table it says where another form would fit several labels better: `units` (one loss,
    for labels that come together and vary alike), `columns` (one loss per label, for labels that
    are missing one by one or differ in scale) or named tasks (for labels of different kinds). It
    says nothing where all is well.

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
    batches, inputs = _read_batches(dataset, tasks)
    summaries = {task.name: LabelSummary() for task in tasks}
    for values, labels, weights in batches.as_numpy_iterator():
        for summary, value in zip(inputs, values, strict=True):
            summary.add(value)
        for task in tasks:
            _add(summaries[task.name], task, labels[task.name], weights[task.name])
    if not summaries[tasks[0].name].examples:
        raise ValueError("the dataset is empty; expected at least one example.")
    _print(summaries)
    for line in list_advice(summaries, tasks):
        print(line)
    for message in [*list_label_warnings(summaries, tasks), *list_input_warnings(inputs)]:
        warnings.warn(message, stacklevel=2)
    return summaries


def _read_batches(
    dataset: tf.data.Dataset, tasks: Sequence[Task]
) -> tuple[tf.data.Dataset, list[InputSummary]]:
    """Returns batches of inputs, labels and weights, and an empty summary for each of the inputs.

    Entries of labels that are added by padding here have weight -1.
    """
    masked = mask_missing(dataset, tasks)
    inputs, labels, weights = masked.element_spec
    batched = is_batched(inputs, labels, tasks)
    if not batched:  # the specs that a batch will have
        inputs = tf.nest.map_structure(_add_batch_axis, inputs)
    selected = select_inputs(inputs)
    places = [place for place, _ in selected.values()]
    batches = masked.map(lambda x, y, w: (_pick(x, places), y, w))
    summaries = [InputSummary(name, column=column) for name, (_, column) in selected.items()]
    if batched:
        return batches, summaries
    padding = (
        tuple(None for _ in places),
        {name: tf.zeros((), spec.dtype) for name, spec in labels.items()},
        {name: tf.constant(-1.0) for name in weights},
    )
    return batches.padded_batch(1024, padding_values=padding), summaries


def _pick(inputs: Any, places: Sequence[int]) -> tuple[Any, ...]:
    leaves = tf.nest.flatten(inputs)
    return tuple(leaves[place] for place in places)


def _add_batch_axis(spec: Any) -> Any:
    """Returns the spec of a batch of dense tensors; other specs as they are."""
    if not isinstance(spec, tf.TensorSpec):
        return spec
    return tf.TensorSpec([None, *spec.shape] if spec.shape.rank is not None else None, spec.dtype)


def _add(
    summary: LabelSummary, task: Task, values: npt.NDArray[Any], weights: npt.NDArray[Any]
) -> None:
    """Adds the labels of a batch to the summary of a task, and to those of its columns."""
    if values.ndim > 1 and values.shape[-1] == 1 and not task.elementwise:
        values, weights = values[..., 0], weights[..., 0]
    if task.labels is not None and task.labels.time_to_event:
        # The times; a row is one label, and missing if an entry is.
        values, weights = values[..., 0], weights.min(axis=-1)
    if task.labels is not None and task.labels.one_hot:
        # A row is one label, and missing if an entry is.
        values, weights = values.argmax(axis=-1), weights.min(axis=-1)
    classes = num_classes(task) is not None
    summary.add(values, weights, classes=classes)
    if not task.elementwise:
        return
    labeled = weights > 0
    summary.partly += int((labeled.any(axis=-1) & ~labeled.all(axis=-1)).sum())
    for index in range(values.shape[-1]):
        name = task.columns[index] if task.columns is not None else str(index)
        column = summary.columns.setdefault(name, LabelSummary())
        column.add(values[..., index], weights[..., index], classes=classes)


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

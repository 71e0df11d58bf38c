"""The door to training: what a dataset must be, said before the first step."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Labels, Task, check_tasks
from keras_mtl.data._elements._element import check_keys, split_element


def check_dataset(
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    *,
    steps_per_epoch: int | None = None,
    peek: bool = True,
) -> None:
    """Refuses a dataset that would fail in training, or spoil it silently.

    Looks at the structure, shapes and dtypes of what the dataset yields, at its number of
    batches and, with `peek`, at the labels of the first batch. `BalancedModel.fit` calls it;
    call it yourself before `network.fit`. A task with `labels=None` has only its name checked.

    Args:
        dataset: Batches of `(x, y)` or `(x, y, w)`; `y` is a dict with exactly the names of
            the tasks, `w` too, if there is one.
        tasks: The tasks of the network.
        steps_per_epoch: As given to `fit`: with it, an infinite dataset is fine.
        peek: Whether to read the first batch (which fills a shuffle buffer, if there is one).
            Defaults to `True`.

    Raises:
        TypeError: If the dataset is none, or labels or weights are no dicts.
        ValueError: If a label has no task or a task no label; if the number of batches is
            unknown, or infinite without `steps_per_epoch`; if labels are not batched, have the
            wrong shape or dtype, are out of range or NaN. The message names the task.

    Example:
        >>> from keras_mtl import Task
        >>> y = {"click": [0, 1, 2], "price": [1.5, 2.5, 3.5]}
        >>> dataset = tf.data.Dataset.from_tensor_slices(([[0.0]] * 3, y)).batch(3)
        >>> check_dataset(dataset, [Task.binary("click"), Task.regression("price")])
        Traceback (most recent call last):
            ...
        ValueError: task 'click': labels go from 0 to 2; expected 0 to 1. ...
    """
    tasks = check_tasks(tasks)
    _, labels, weights = split_element(dataset)
    check_keys(labels, tasks, "label", complete=True)
    check_keys(weights, tasks, "sample weight", complete=len(dataset.element_spec) == 3)
    _check_cardinality(dataset, steps_per_epoch)
    for task in tasks:
        if task.labels is not None:
            _check_spec(task, task.labels, labels[task.name])
            if weights:
                _check_weight_spec(task, weights[task.name], labels[task.name])
    if peek:
        for batch in dataset.take(1):
            _check_values(tasks, *batch[1:])


def _check_cardinality(dataset: tf.data.Dataset, steps_per_epoch: int | None) -> None:
    cardinality = int(dataset.cardinality())
    if cardinality == 0:
        raise ValueError("the dataset is empty; expected at least one batch.")
    if cardinality == tf.data.UNKNOWN_CARDINALITY:
        raise ValueError(
            "the number of batches is unknown: Keras would take a broken step at the end of "
            "each epoch. Wrap the dataset in data.known_cardinality(dataset), or use "
            "dataset.repeat() and steps_per_epoch."
        )
    if cardinality == tf.data.INFINITE_CARDINALITY and steps_per_epoch is None:
        raise ValueError("the dataset is infinite; pass steps_per_epoch to fit.")


def _check_spec(task: Task, expected: Labels, spec: Any) -> None:
    """Compares shape and dtype of a label with what the task expects."""
    if not isinstance(spec, tf.TensorSpec) or spec.dtype == tf.string:
        raise ValueError(
            f"task {task.name!r}: labels are {spec}; expected a dense tensor of numbers. "
            "Turn names into classes, and ragged labels into padded ones, with dataset.map."
        )
    # Labels (batch, 1) are as good as (batch,): losses and metrics align them.
    shape = tf.TensorShape((None, *expected.shape))
    received = spec.shape
    if received.is_compatible_with(shape) or received.is_compatible_with([*shape, 1]):
        return
    hint = "the first axis is the batch."
    if received.rank == shape.rank - 1:
        hint = "the dataset seems not to be batched: add .batch(batch_size)."
    raise ValueError(f"task {task.name!r}: labels have shape {received}; expected {shape}: {hint}")


def _check_weight_spec(task: Task, weights: tf.TensorSpec, labels: tf.TensorSpec) -> None:
    """Weights may have the shape of the labels, or fewer axes."""
    shape, rank = labels.shape, weights.shape.rank
    if None in (rank, shape.rank) or weights.shape.is_compatible_with([*shape, 1]):
        return
    if not weights.shape.is_compatible_with(shape[:rank]):
        raise ValueError(
            f"task {task.name!r}: sample weights have shape {weights.shape}; expected one a "
            f"label, {shape}, or one an example, {shape[:1]}."
        )


def _check_values(
    tasks: Sequence[Task], labels: Mapping[str, Any], weights: Mapping[str, Any] | None = None
) -> None:
    """Looks at the labels of one batch that count."""
    for task in tasks:
        if task.labels is None:
            continue
        values = np.asarray(labels[task.name])
        if weights is not None and task.name in weights:
            values = values[_counts(np.asarray(weights[task.name]), values)]
        _check_range(task, task.labels, values)


def _counts(weights: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> Any:
    """Which labels have a weight, for weights of as many axes as the labels or fewer."""
    if weights.ndim > labels.ndim:
        weights = weights[..., 0]
    weights = weights.reshape(weights.shape + (1,) * (labels.ndim - weights.ndim))
    return np.broadcast_to(weights != 0, labels.shape)


def _check_range(task: Task, expected: Labels, values: np.ndarray[Any, Any]) -> None:
    """Looks at the labels of a batch that count."""
    if not values.size:
        return
    low, high = values.min(), values.max()
    if np.isnan(low):
        raise ValueError(
            f"task {task.name!r}: a label is NaN and has a weight, which would make the whole "
            "network NaN. data.mask_missing(dataset, tasks) turns missing labels into zero weight."
        )
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"task {task.name!r}: a label is infinite; expected finite numbers.")
    if (expected.low is not None and low < expected.low) or (
        expected.high is not None and high > expected.high
    ):
        bounds = f"{expected.low} to {expected.high}"
        if expected.high is None:
            bounds = f"at least {expected.low}"
        raise ValueError(
            f"task {task.name!r}: labels go from {low} to {high}; expected {bounds}. If an entry "
            "marks a missing label, use data.mask_missing(dataset, tasks, sentinel=...)."
        )
    if expected.integer and np.any(values != np.round(values)):
        raise ValueError(
            f"task {task.name!r}: labels are classes, and {values[values != np.round(values)][0]} "
            "is not a whole number."
        )

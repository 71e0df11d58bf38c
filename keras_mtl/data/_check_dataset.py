"""Checks of a dataset before the first training step."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Labels, Task, check_tasks
from keras_mtl.data._elements._element import read_element
from keras_mtl.data._elements._labels_together import (
    check_events,
    check_one_hot,
    check_weights_together,
)
from keras_mtl.data._inputs._missing_path import MissingPath
from keras_mtl.data._inputs._readable_inputs import check_input_names


def check_dataset(
    dataset: tf.data.Dataset,
    tasks: Sequence[Task],
    *,
    steps_per_epoch: int | None = None,
    peek: bool = True,
    network: keras.Model | None = None,
) -> None:
    """Refuses a dataset that would fail in training, or spoil the training silently.

    Checks the structure, shapes and dtypes of the dataset's elements, its number of batches and,
    with `peek`, the labels of the first batch. `BalancedModel` checks all that it receives in
    this way, and each batch when it comes; with plain Keras, call it yourself before
    `network.fit`. Of a task with `labels=None` only the name is checked.

    Args:
        dataset: Batches of `(x, y)` or `(x, y, w)`. `y` is a dict with exactly the names of the
            tasks; so is `w`, if there is one.
        tasks: The tasks of the network.
        steps_per_epoch: The argument of `fit`: if it is set, an infinite dataset is fine.
        peek: Whether to read the first batch (which fills a shuffle buffer, if there is one).
            Defaults to `True`.
        network: The functional network that takes the inputs. Those of the first batch must then
            be finite, unless a layer of it fills gaps, as that of
            `data.tabular_encoder(missing=...)` does. Defaults to `None`: the values of inputs are
            not read.

    Raises:
        TypeError: If `dataset` is no dataset, or labels or weights are no dicts.
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
    check_structure(dataset, tasks)
    if network is not None:
        check_input_names(network, dataset.element_spec[0])
    check_cardinality(dataset, steps_per_epoch)
    if peek:
        for batch in dataset.take(1):
            check_values(tasks, *batch[1:])
            if network is not None:
                MissingPath(network).check(batch[0], "of the first batch")


def check_structure(dataset: tf.data.Dataset, tasks: Sequence[Task]) -> None:
    """Checks the keys, shapes and dtypes of a dataset's elements; reads none of them."""
    # Keras raises a bare KeyError for a partial dict of weights (docs/keras_notes.md, pain 16).
    element = read_element(dataset, tasks, every_weight=True)
    check_specs(tasks, element.labels, element.weights)


def check_specs(
    tasks: Sequence[Task], labels: Mapping[str, Any], weights: Mapping[str, Any]
) -> None:
    """Checks the shapes and dtypes of labels and weights, specs by task.

    Without weights, the dict of weights is empty.
    """
    for task in tasks:
        if task.labels is not None:
            _check_spec(task, task.labels, labels[task.name])
            if weights:
                _check_weight_spec(task, weights[task.name], labels[task.name])


def check_cardinality(
    dataset: tf.data.Dataset, steps: int | None, argument: str = "steps_per_epoch"
) -> None:
    """Checks that an epoch ends where the dataset's batches do, or after a number of steps.

    Args:
        dataset: The dataset.
        steps: The number of steps, if it is set.
        argument: The argument of `fit` that sets it.
    """
    cardinality = int(dataset.cardinality())
    if cardinality == 0:
        raise ValueError("the dataset is empty; expected at least one batch.")
    if cardinality == tf.data.UNKNOWN_CARDINALITY:  # docs/keras_notes.md, F1
        raise ValueError(
            "the number of batches is unknown: Keras would take a broken step at the end of "
            "each epoch. Wrap the dataset in data.known_cardinality(dataset), or use "
            f"dataset.repeat() and {argument}."
        )
    if cardinality == tf.data.INFINITE_CARDINALITY and steps is None:
        raise ValueError(f"the dataset is infinite; pass {argument} to fit.")


def _check_spec(task: Task, expected: Labels, spec: Any) -> None:
    """Checks shape and dtype of a task's labels against those that the task expects."""
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
        if expected.one_hot:
            hint += " (Or, if labels are class numbers, leave out labels='one_hot'.)"
    num_classes = int(expected.high or 0) + 1
    if expected.integer and received.is_compatible_with([*shape, num_classes]):
        hint = (
            "they look like one-hot labels. Take the argmax of the last axis, or describe them "
            "with labels='one_hot', as Task.multiclass takes it."
        )
    raise ValueError(f"task {task.name!r}: labels have shape {received}; expected {shape}: {hint}")


def _check_weight_spec(task: Task, weights: tf.TensorSpec, labels: tf.TensorSpec) -> None:
    """Checks that weights have the shape of the labels, or only the first axes of it."""
    shape, rank = labels.shape, weights.shape.rank
    if None in (rank, shape.rank) or weights.shape.is_compatible_with([*shape, 1]):
        return
    if not weights.shape.is_compatible_with(shape[:rank]):
        raise ValueError(
            f"task {task.name!r}: sample weights have shape {weights.shape}; expected one per "
            f"label, {shape}, or one per example, {shape[:1]}."
        )


def check_values(
    tasks: Sequence[Task], labels: Mapping[str, Any], weights: Mapping[str, Any] | None = None
) -> None:
    """Checks the labels of one batch, except for those of weight 0."""
    for task in tasks:
        if task.labels is None:
            continue
        values, of_task = np.asarray(labels[task.name]), None
        if weights is not None and task.name in weights:
            of_task = np.asarray(weights[task.name])
            check_weights_together(task, of_task, values)
        check_one_hot(task, values, of_task)
        check_events(task, values, of_task)
        if of_task is not None:
            values = values[_weighted(of_task, values)]
        if task.ignored_label is not None:  # the loss leaves it out, whatever it is
            values = values[values != task.ignored_label]
        _check_range(task, task.labels, values)


def _weighted(weights: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> Any:
    """Tells which labels have a weight other than 0; a boolean for each label."""
    if weights.ndim > labels.ndim:
        weights = weights[..., 0]
    weights = weights.reshape(weights.shape + (1,) * (labels.ndim - weights.ndim))
    return np.broadcast_to(weights != 0, labels.shape)


def _check_range(task: Task, expected: Labels, values: np.ndarray[Any, Any]) -> None:
    """Checks that labels are finite, in the task's range and, if they are classes, whole."""
    if not values.size:
        return
    low, high = values.min(), values.max()
    if np.isnan(low):  # the minimum of any values with a NaN among them
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

"""The scales of tasks, fitted to training data."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._tasks import Task, check_tasks
from keras_mtl.data._elements._element import check_keys, is_batched, read_element


def fit_scales(data: Any, tasks: Sequence[Task]) -> tuple[Task, ...]:
    """Fits the scales of tasks to the labels of training data.

    Call it before the network is built, on the training data alone: with the validation data in
    it, the scale knows what is to be predicted. It reads the data once. A label counts if it is
    not NaN and its sample weight is not 0, as after `mask_missing`; all that count do so once.

    Args:
        data: What `fit` is called with: a finite `tf.data.Dataset` or `keras.utils.PyDataset` of
            `(x, y)` or `(x, y, w)`, or a tuple `(x, y)` or `(x, y, w)` of arrays, with `y` and `w`
            dicts by task.
        tasks: All tasks of the data. Those without a scale, and those whose scale is fitted
            already, are returned as they are; for the scales of other data begin with the
            tasks as they were before.

    Returns:
        The tasks, in their order. Build the network from these, and train with these.

    Raises:
        TypeError: If the data are of another kind.
        ValueError: If the data are infinite, a task has no label, a label belongs to no task, or
            labels do not fit the scale of their task: none is there, one is infinite, or one is
            below 0 for a logarithm. The message names the task.

    Example:
        >>> y = {"price": [100.0, 300.0, float("nan")], "sold": [0, 1, 1]}
        >>> tasks = [Task.regression("price", scale="standard"), Task.binary("sold")]
        >>> tasks = fit_scales(([[0.0]] * 3, y), tasks)
        >>> tasks[0].scale
        Scale(method='standard', center=(200.0,), spread=(100.0,))
    """
    tasks = check_tasks(tasks)
    open_tasks = [task for task in tasks if task.scale is not None and not task.scale.is_fitted]
    if not open_tasks:
        return tasks
    statistics = {task.name: task.label_statistics() for task in open_tasks}
    for labels, weights in _read_labels(data, tasks, list(statistics)):
        for name, of_task in statistics.items():
            of_task.add(labels[name], weights.get(name))
    return tuple(
        dataclasses.replace(task, scale=statistics[task.name].fit())
        if task.name in statistics
        else task
        for task in tasks
    )


def _read_labels(
    data: Any, tasks: Sequence[Task], names: Sequence[str]
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yields labels and weights of batches, or of single examples, by task."""
    if isinstance(data, tf.data.Dataset):
        yield from _read_dataset(data, tasks, names)
    elif isinstance(data, keras.utils.PyDataset):
        size = data.num_batches
        if size is None:
            raise ValueError("the data are infinite; pass a finite part of them.")
        for index in range(size):
            yield _read_tuple(data[index], tasks)
    else:
        yield _read_tuple(data, tasks)


def _read_dataset(
    dataset: tf.data.Dataset, tasks: Sequence[Task], names: Sequence[str]
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yields the labels and weights of a dataset, without its inputs."""
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("the dataset is infinite; pass it as it is before .repeat().")
    element = read_element(dataset, tasks)
    for name in names:
        if not isinstance(element.labels[name], tf.TensorSpec):
            raise ValueError(
                f"task {name!r}: its labels are ragged or sparse; data.mask_missing makes ragged "
                "ones dense."
            )

    def pick(x: Any, y: Mapping[str, Any], w: Mapping[str, Any] | None = None) -> Any:
        weights = w or {}
        return {n: y[n] for n in names}, {n: weights[n] for n in names if n in weights}

    picked = dataset.map(tf.autograph.experimental.do_not_convert(pick))
    if not is_batched(element.inputs, element.labels, tasks):
        picked = picked.map(lambda *parts: tf.nest.map_structure(lambda v: v[tf.newaxis], parts))
    yield from picked.as_numpy_iterator()


def _read_tuple(batch: Any, tasks: Sequence[Task]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Returns the labels and weights of `(x, y)` or `(x, y, w)`.

    Raises:
        TypeError: If it is something else.
    """
    is_data = isinstance(batch, tuple | list) and len(batch) in (2, 3)
    parts = [{} if part is None else part for part in batch[1:]] if is_data else []
    if not parts or not all(isinstance(part, Mapping) for part in parts):
        raise TypeError(
            "expected a tf.data.Dataset, a keras.utils.PyDataset or arrays, of (x, y) or "
            "(x, y, w) with y and w dicts by task; received "
            f"{_brief(batch)}."
        )
    labels, weights = parts[0], parts[1] if len(parts) > 1 else {}
    check_keys(labels, tasks, "label", complete=True)
    check_keys(weights, tasks, "sample weight", complete=False)
    return labels, weights


def _brief(batch: Any) -> str:
    if isinstance(batch, tuple | list):
        return f"a {type(batch).__name__} of {[type(part).__name__ for part in batch]}"
    return f"a {type(batch).__name__}"

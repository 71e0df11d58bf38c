"""Metrics that many tasks have alike, counted for all of them at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._keras_internals import is_built
from keras_mtl._tasks import ColumnMetric, Task, TaskMetric
from keras_mtl._types import Tensor

LEAST = 8
"""From so many tasks on: each metric of its own takes a tenth of a second to trace."""


class MetricGroup(keras.metrics.Metric):
    """One metric of several tasks whose predictions are one number each.

    Args:
        metric: The metric, whose state is kept for each task.
        tasks: The names of the tasks; its values are logged as `<task>_<metric>`.
    """

    def __init__(self, metric: keras.metrics.Metric, tasks: Sequence[str]) -> None:
        super().__init__(name=f"{metric.name}_of_{len(tasks)}_tasks")
        self.tasks = tuple(tasks)
        self.columns = ColumnMetric(metric, len(tasks))

    def update_state(
        self, labels: Mapping[str, Tensor], predictions: Mapping[str, Tensor], weights: Any = None
    ) -> None:
        """Counts the valid labels of a batch, by task; further tasks are passed over."""

        def together(of_tasks: Sequence[Tensor]) -> Tensor:
            columns = [ops.reshape(ops.cast(each, "float32"), (-1, 1)) for each in of_tasks]
            return ops.concatenate(columns, axis=1)

        y_pred = together([predictions[name] for name in self.tasks])
        y_true = together([labels[name] for name in self.tasks])
        given = [(weights or {}).get(name) for name in self.tasks]
        if any(each is not None for each in given):
            ones = ops.ones_like(y_pred[:, 0])
            weights = together([ones if each is None else each for each in given])
        else:
            weights = None
        self.columns.update_state(y_true, y_pred, weights)

    def result(self) -> dict[str, Tensor]:
        """The value of each task."""
        values = ops.unstack(self.columns.by_column(), len(self.tasks))
        name = self.columns.name
        return {f"{task}_{name}": value for task, value in zip(self.tasks, values, strict=True)}

    def reset_state(self) -> None:
        """Forgets all batches."""
        self.columns.reset_state()


def group_metrics(tasks: Sequence[Task], outputs: Mapping[str, Tensor]) -> list[MetricGroup]:
    """The metrics of those tasks of which at least `LEAST` have all metrics alike.

    Args:
        tasks: The tasks.
        outputs: The network's symbolic outputs, by task.
    """
    alike: dict[str, list[Task]] = {}
    for task in tasks:
        if task.columns is None and task.metrics and outputs[task.name].shape[1:] == (1,):
            kinds = [each if isinstance(each, str) else _describe(each) for each in task.metrics]
            loss = task.make_loss().loss  # what "accuracy" is depends on it
            alike.setdefault(f"{kinds} {type(loss)} {task.elementwise}", []).append(task)
    groups = []
    for many in alike.values():
        if len(many) < LEAST:
            continue
        metrics = [made.metric for made in many[0].make_metrics() if isinstance(made, TaskMetric)]
        # Those of users may do what cannot be done for many tasks at once; others make variables
        # when they see a batch.
        if all(_is_of_keras(each) and is_built(each) for each in metrics):
            groups += [MetricGroup(metric, [task.name for task in many]) for metric in metrics]
    return groups


def _describe(metric: keras.metrics.Metric) -> str:
    return str(keras.saving.serialize_keras_object(metric))


def _is_of_keras(metric: keras.metrics.Metric) -> bool:
    return type(metric).__module__.startswith("keras.")

"""Equal metrics of many tasks, counted for all of them at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._tasks import ColumnMetric, Task, TaskMetric
from keras_mtl._types import Tensor

MIN_TASKS = 8
"""Fewer tasks keep separate metrics.

Each of these takes a tenth of a second to trace (docs/keras_notes.md, pain 77).
"""


class MetricGroup(keras.metrics.Metric):
    """Counts one metric for several tasks, each of which predicts one number per example.

    Args:
        metric: The metric of one of the tasks, whose state is kept for each task.
        tasks: The names of the tasks; its values are logged as `<task>_<metric>`.
    """

    def __init__(self, metric: TaskMetric, tasks: Sequence[str]) -> None:
        super().__init__(name=f"{metric.metric.name}_of_{len(tasks)}_tasks")
        self.tasks = tuple(tasks)
        self.columns = ColumnMetric(metric.metric, len(tasks), cuts=metric.reading.cuts)

    def update_state(
        self, labels: Mapping[str, Tensor], predictions: Mapping[str, Tensor], weights: Any = None
    ) -> None:
        """Counts the valid labels of a batch, by task; ignores tasks that are not in the group."""

        def together(of_tasks: Sequence[Tensor]) -> Tensor:
            columns = [ops.reshape(ops.cast(v, "float32"), (-1, 1)) for v in of_tasks]
            return ops.concatenate(columns, axis=1)  # [batch, tasks]

        y_pred = together([predictions[name] for name in self.tasks])
        y_true = together([labels[name] for name in self.tasks])
        by_task = [(weights or {}).get(name) for name in self.tasks]
        if all(of_task is None for of_task in by_task):
            self.columns.update_state(y_true, y_pred, None)
            return
        # Some tasks of the group have weights: labels of the others weigh 1.
        ones = ops.ones_like(y_pred[:, 0])
        filled = [ones if of_task is None else of_task for of_task in by_task]
        self.columns.update_state(y_true, y_pred, together(filled))

    def result(self) -> dict[str, Tensor]:
        """Returns the value of each task by log key."""
        values = ops.unstack(self.columns.by_column(), len(self.tasks))
        name = self.columns.name
        return {f"{task}_{name}": value for task, value in zip(self.tasks, values, strict=True)}

    def reset_state(self) -> None:
        """Resets the metric."""
        self.columns.reset_state()


def group_metrics(tasks: Sequence[Task], outputs: Mapping[str, Tensor]) -> list[MetricGroup]:
    """Returns the metrics of those tasks of which at least `MIN_TASKS` have equal metrics.

    Args:
        tasks: The tasks.
        outputs: The network's symbolic outputs, by task.
    """
    alike: dict[str, list[Task]] = {}
    for task in tasks:
        if task.columns is None and task.metrics and outputs[task.name].shape[1:] == (1,):
            kinds = [m if isinstance(m, str) else _describe(m) for m in task.metrics]
            # What a name means depends on the loss and on the labels.
            loss = type(task.make_loss().loss)
            alike.setdefault(f"{kinds} {loss} {task.described()}", []).append(task)
    groups = []
    for group in alike.values():
        if len(group) < MIN_TASKS:
            continue
        metrics = [m for m in group[0].make_metrics() if isinstance(m, TaskMetric)]
        if all(_counts_labels(metric) for metric in metrics):
            names = [task.name for task in group]
            groups += [MetricGroup(metric, names) for metric in metrics]
    return groups


def _describe(metric: Any) -> str:
    """Returns the arguments of a metric of Keras; a user's metric is like no other."""
    if isinstance(metric, keras.metrics.Metric) and _is_known(metric):
        return str(keras.saving.serialize_keras_object(metric))
    return f"{type(metric)} {id(metric)}"


def _counts_labels(metric: TaskMetric) -> bool:
    """Returns whether a metric reads labels one by one, so that it can be computed for many tasks.

    Those of users may do what cannot be done for many tasks at once.
    """
    reading = metric.reading
    is_single = reading.reads in ("element", "last axis") and not reading.drops
    return is_single and reading.weighted and _is_known(metric.metric)


def _is_known(metric: keras.metrics.Metric) -> bool:
    """Returns whether a metric is one of Keras or of this package, and wraps no user's function."""
    if type(metric) is keras.metrics.MeanMetricWrapper:
        return False
    return type(metric).__module__.startswith(("keras.", "keras_mtl."))

"""The logs of a model: what its steps count, and the values that are shown of it."""

import math
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._keras_internals import compiled_metrics, direction_of, loss_tracker
from keras_mtl._tasks import value_of
from keras_mtl._types import Tensor
from keras_mtl.training._batch import Batch
from keras_mtl.training._frontier import named_outputs
from keras_mtl.training._logs._metric_groups import group_metrics
from keras_mtl.training._logs._task_means import TaskMeans


class StepLogs:
    """Counts what is logged of a model's steps, and marks the values that broken tasks have.

    A task is broken where its loss was not finite: in every step of training with labels for it,
    or in any batch of evaluation. Its metrics say nothing then (predictions that are all NaN have
    an accuracy, too), and no monitor may take them for better ones. In their place stands the
    worst value there is, which a monitor keeps for no longer than one epoch, unlike NaN
    (docs/keras_notes.md, pain 98).

    Args:
        model: The `BalancedModel`.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.means = TaskMeans({task.name: len(task.loss_names) for task in model.tasks})
        self.metric_groups = group_metrics(model.tasks, named_outputs(model.network))
        # For each task, the log keys of its metrics, with the worst value that each can have.
        self._worst: dict[str, dict[str, float]] = {}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The metrics that are kept beside those of `compile`."""
        return [self.means, *self.metric_groups]

    def make_task_metrics(self) -> dict[str, list[keras.metrics.Metric]]:
        """Makes the metrics that Keras compiles and counts, by task."""
        tasks = self.model.tasks
        # Keras prefixes metrics only where there are several outputs (docs/keras_notes.md, pain 6;
        # keras#21513).
        prefix = f"{tasks[0].name}_" if len(tasks) == 1 else ""
        grouped = {name for group in self.metric_groups for name in group.tasks}
        metrics = {
            # The mean loss is known already; Keras would compute it again.
            task.name: [] if task.name in grouped else task.make_metrics(prefix=prefix)[:-1]
            for task in tasks
        }
        self._worst = {
            name: {m.name if prefix else f"{name}_{m.name}": _worst_value(m) for m in of_task}
            for name, of_task in metrics.items()
        }
        for group in self.metric_groups:
            for name in group.tasks:
                self._worst[name][f"{name}_{group.columns.name}"] = _worst_value(group.columns)
        return metrics

    def make_variables(self) -> None:
        """Makes the variables of the metrics that `compile` was given."""
        metrics = compiled_metrics(self.model)
        if metrics is not None:
            outputs = named_outputs(self.model.network)
            metrics.build(outputs, outputs)  # metrics are objects: no label is read

    def add(
        self, batch: Batch, predictions: dict[str, Tensor], scalar: Tensor, counts: Tensor
    ) -> dict[str, Tensor]:
        """Counts a batch, of whose losses `means` knows already; returns the logs so far.

        Args:
            batch: The batch.
            predictions: Its predictions, by task.
            scalar: Its `loss`, of the global batch.
            counts: Whether it counts in the mean of `loss`, a bool scalar.
        """
        size = tf.cast(batch.size, tf.float32) * tf.cast(counts, tf.float32)
        scalar = tf.where(counts, scalar, tf.zeros_like(scalar))  # NaN times a weight of 0 is NaN
        # Otherwise `loss` is logged as 0 (docs/keras_notes.md, pain 27; keras#14705).
        loss_tracker(self.model).update_state(scalar, sample_weight=size)
        for group in self.metric_groups:
            group.update_state(batch.y, predictions, batch.sample_weight)
        logs: dict[str, Tensor] = self.model.compute_metrics(
            batch.x, batch.y, predictions, batch.sample_weight
        )
        return logs

    def mark_loss(self, logs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Returns the logs with a `loss` of NaN where no batch has counted."""
        loss = tf.convert_to_tensor(logs["loss"])
        counts = tf.convert_to_tensor(loss_tracker(self.model).count) > 0.0
        return {**logs, "loss": tf.where(counts, loss, tf.cast(float("nan"), loss.dtype))}

    def mark_evaluated(self, logs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Returns the logs of evaluation with the worst values for the metrics of broken tasks."""
        marked = dict(logs)
        broken_tasks = self.means.broken_tasks()
        for task, broken in zip(self.model.tasks, broken_tasks, strict=True):
            if tf.executing_eagerly() and not broken:
                continue
            for key, worst in self._worst[task.name].items():
                value = tf.cast(marked[key], tf.float32)
                marked[key] = tf.where(broken, tf.fill(tf.shape(value), worst), value)
        return marked

    def mark_epoch(self, logs: dict[str, float]) -> None:
        """Marks in the logs of an epoch the tasks that had no finite step of training.

        Their metrics get the worst values, and `loss`, which adds up the tasks that took part, is
        NaN: without the broken task it would be lower, that is, better.

        Args:
            logs: The logs, which are changed.
        """
        for task in self.model.tasks:
            if math.isnan(logs.get(f"{task.name}_loss", 0.0)):
                logs |= self._worst[task.name]
                if value_of(task.weight):
                    logs["loss"] = math.nan


def _worst_value(metric: keras.metrics.Metric) -> float:
    """Returns the value that no other is worse than; NaN where the metric has no direction."""
    direction = direction_of(metric) or direction_of(getattr(metric, "metric", None))
    return {"up": -math.inf, "down": math.inf}.get(direction or "", math.nan)

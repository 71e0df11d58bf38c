"""One metric of each task, of all rows that are kept in memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mtl._keras_internals import run_in_mode
from keras_mtl._tasks import Task
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._inside._core import Core
from keras_mtl.analysis._inside._rows import Rows


class Scorer:
    """Computes one metric of each task, all of them from one pass over the rows.

    Args:
        core: The network.
        names: By task, the name of the metric: see `choose_metrics`.
        rows: The batches, whose labels and weights are those of the scores.
    """

    def __init__(self, core: Core, names: Mapping[str, str], rows: Sequence[Rows]) -> None:
        self._core = core
        self._rows = rows
        self._metrics = {task.name: _metric_of(task, names[task.name]) for task in core.tasks}
        self._predict = keras.Function(list(core.network.inputs), core.outputs)
        self._count(rows[0].x, rows[0].labels, rows[0].weights)  # makes the metrics' variables
        self._step = tf.function(self._count, autograph=False, reduce_retracing=True)

    def score(self, batches: Sequence[Any]) -> FloatArray:
        """Returns the metric of each task, `[K]`.

        Args:
            batches: The inputs of all batches.
        """
        for metric in self._metrics.values():
            metric.reset_state()
        for x, rows in zip(batches, self._rows, strict=True):
            self._step(x, rows.labels, rows.weights)
        return np.array([float(metric.result()) for metric in self._metrics.values()])

    def _count(self, x: Any, labels: Any, weights: Any) -> None:
        predictions = run_in_mode(self._predict, self._core.read(x), False)
        for name, metric in self._metrics.items():
            metric.update_state(labels[name], predictions[name], sample_weight=weights[name])


def choose_metrics(
    tasks: Sequence[Task], metrics: str | Mapping[str, str] | None
) -> tuple[dict[str, str], FloatArray]:
    """Returns the name of one metric per task, and its sign: 1 if higher is better, else -1.

    Raises:
        ValueError: If a task has no such metric, or its direction is unknown.
    """
    if isinstance(metrics, Mapping):
        unknown = sorted(set(metrics) - {task.name for task in tasks})
        if unknown:
            raise ValueError(
                f"metrics name {unknown}; expected names of tasks: {[t.name for t in tasks]}."
            )
    names, signs = {}, []
    for task in tasks:
        wanted = metrics.get(task.name) if isinstance(metrics, Mapping) else metrics
        name = _first_with_direction(task) if wanted is None else wanted
        if name in ("loss", "mean_loss"):
            name, mode = "mean_loss", "min"
        elif name not in task.metric_names:
            raise ValueError(
                f"task {task.name!r} has no metric {name!r}; it has {[*task.metric_names, 'loss']}."
            )
        else:
            mode = str(task.mode(name))
        if mode not in ("min", "max"):
            raise ValueError(
                f"task {task.name!r}: whether {name!r} is better high or low is not known; give "
                "the metric a direction, or choose 'loss'."
            )
        names[task.name] = name
        signs.append(1.0 if mode == "max" else -1.0)
    return names, np.array(signs)


def _first_with_direction(task: Task) -> str:
    known = (name for name in task.metric_names if task.mode(name) is not None)
    return next(known, "mean_loss")


def _metric_of(task: Task, name: str) -> keras.metrics.Metric:
    return next(metric for metric in task.make_metrics() if metric.name == name)

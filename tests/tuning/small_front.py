"""Searches with several objectives whose metrics are a known function of the weights."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from small_search import rows

import keras_mtl as mtl
from keras_mtl.tuning import ParetoResult, search

Logs = dict[str, float]


class WriteLogs(keras.callbacks.Callback):
    """Replaces validation metrics by values that a function of the trial computes.

    The function receives the hyper-parameters of the trial and the epoch. So the engine, its
    folders and its processes are those of a real search, and all metrics are known.
    """

    def __init__(self, metrics: Callable[[Mapping[str, float], int], Logs]) -> None:
        super().__init__()
        self.metrics = metrics

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes the metrics."""
        logs.update(self.metrics(self.model.drawn, epoch))


TASKS = [mtl.Task.regression("z"), mtl.Task.regression("m")]


def build_drawn(num_variables: int) -> Callable[..., keras.Model]:
    """Returns a `build` that draws variables in [0, 1] and keeps them with a tiny network."""

    def build(tasks: Sequence[mtl.Task], hp: Any) -> keras.Model:
        x = keras.Input((3,))
        network = keras.Model(x, {task.name: task.output(x) for task in tasks})
        network.compile("sgd", run_eagerly=True, **mtl.compile_args(tasks))
        network.drawn = {f"x{i}": hp.Float(f"x{i}", 0.0, 1.0) for i in range(num_variables)}
        return network

    return build


def search_known(
    metrics: Callable[[Mapping[str, float], int], Logs],
    *,
    num_variables: int = 1,
    tasks: Sequence[mtl.Task] = TASKS,
    **arguments: Any,
) -> ParetoResult:
    """Searches a front whose metrics are those of a function."""
    names = [task.name for task in tasks]
    arguments = {
        "objective": [mtl.monitor(task, "mae") for task in tasks],
        "reference": 1.1,
        "callbacks": [WriteLogs(metrics)],
        **arguments,
    }
    build = build_drawn(num_variables)
    result: ParetoResult = search(build, tasks, rows(names), rows(names, seed=1), **arguments)
    return result


def zdt(number: int) -> Callable[[Mapping[str, float], int], Logs]:
    """Returns a problem of Zitzler, Deb and Thiele with two objectives to be minimized."""

    def metrics(drawn: Mapping[str, float], epoch: int) -> Logs:
        first, *rest = drawn.values()
        g = 1 + 9 * float(np.mean(rest))
        second = {
            1: 1 - (first / g) ** 0.5,
            2: 1 - (first / g) ** 2,
            3: 1 - (first / g) ** 0.5 - first / g * np.sin(10 * np.pi * first),
        }[number]
        return {"val_z_mae": first, "val_m_mae": g * float(second)}

    return metrics

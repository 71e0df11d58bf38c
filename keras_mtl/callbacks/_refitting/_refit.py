"""The refit as a whole, and the file by which one that was killed begins again."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_mtl._tasks import Task
from keras_mtl.callbacks._refit_heads import RefitHeads
from keras_mtl.callbacks._refitting._best_heads import BestHeads
from keras_mtl.callbacks._refitting._heads_network import make_heads_network
from keras_mtl.callbacks._watching._watched_metrics import WatchedMetric
from keras_mtl.training._data_checks import DataChecker

Refitted = dict[str, tuple[float, float]]
"""The watched metric of each task on validation data: before the refit, and after."""


def unfitted_path(path: Path) -> Path:
    """Returns the file of the weights before the refit; it exists while a refit is unfinished."""
    return path.with_name(f"unfitted-{path.name}")


def begin_refit(path: Path) -> Path:
    """Copies the kept weights to the file from which a refit begins, however often."""
    unfitted = unfitted_path(path)
    new = unfitted.with_name(f"new-{unfitted.name}")
    shutil.copyfile(path, new)
    os.replace(new, unfitted)
    return unfitted


def refit(
    model: keras.Model,
    tasks: Sequence[Task],
    metrics: Sequence[WatchedMetric],
    settings: RefitHeads,
) -> Refitted:
    """Trains the heads of a model on its trunk as it is.

    Args:
        model: The model, with the weights of the epoch that was best.
        tasks: Its tasks.
        metrics: The watched metric of each task.
        settings: Data, epochs and patience.

    Returns:
        The watched metrics on validation data before and after.
    """
    with model.distribute_strategy.scope():
        network = make_heads_network(model, tasks)
        network.compile_tasks(settings.learning_rate)
    checker = DataChecker(_network_of(model), tasks)
    best = BestHeads(network.heads, metrics, settings.patience)
    validation = checker.for_validation(settings.validation, None)
    before = _evaluate(network, validation, settings.batch_size)
    best.begin(before)
    x, y, weights = _unpack(settings.train)
    with checker.refusals():
        network.fit(
            checker.for_training(x, y, weights, None, True),
            y,
            sample_weight=weights,
            batch_size=None if y is None else settings.batch_size,
            validation_data=validation,
            shuffle=y is not None,  # a stream has an order of its own
            epochs=settings.epochs,
            callbacks=[best],
            verbose=0,
        )
    best.restore()
    return {
        metric.task: (before[metric.log], best.scores.get(metric.task, before[metric.log]))
        for metric in metrics
    }


def _network_of(model: keras.Model) -> keras.Model:
    return getattr(model, "network", model)


def _unpack(data: Any) -> tuple[Any, Any, Any]:
    """Returns inputs, labels and weights of arrays; of a stream, it alone."""
    if isinstance(data, tuple | list):
        x, y, weights = keras.utils.unpack_x_y_sample_weight(tuple(data))
        return x, y, weights
    return data, None, None


def _evaluate(network: keras.Model, validation: Any, batch_size: int) -> dict[str, float]:
    """Returns the validation metrics under their names in the logs of `fit`."""
    x, y, weights = _unpack(validation)
    logs = network.evaluate(
        x,
        y,
        sample_weight=weights,
        batch_size=None if y is None else batch_size,
        return_dict=True,
        verbose=0,
    )
    return {f"val_{name}": float(value) for name, value in logs.items()}

"""Trains one network: its curve, its best epoch, its predictions."""

import copy
import dataclasses
import math
import os
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_mtl.callbacks import KeepBest
from keras_mtl.callbacks._watching._watched_metrics import WatchedMetric
from keras_mtl.studies._contenders._settings import Settings
from keras_mtl.studies._data._fingerprint import Fingerprint, take_fingerprint
from keras_mtl.studies._data._parts import StudyData
from keras_mtl.studies._trainings._count_steps import CountSteps
from keras_mtl.studies._trainings._job import Job
from keras_mtl.studies._trainings._make_variables import MakeVariables
from keras_mtl.studies._trainings._passes import passes_per_step
from keras_mtl.studies._trainings._record import Training, write_record
from keras_mtl.training._quiet_tracing import quiet_tracing


@dataclasses.dataclass(frozen=True)
class KerasSettings:
    """Holds the settings of Keras in this process, for others."""

    floatx: str = dataclasses.field(default_factory=keras.config.floatx)
    policy: str = dataclasses.field(default_factory=lambda: keras.config.dtype_policy().name)
    image_data_format: str = dataclasses.field(default_factory=keras.config.image_data_format)

    def apply(self) -> None:
        """Gives the process in which it is called these settings."""
        keras.config.set_floatx(self.floatx)
        keras.config.set_dtype_policy(self.policy)
        keras.config.set_image_data_format(self.image_data_format)


@dataclasses.dataclass(frozen=True)
class Setup:
    """Holds what all trainings of a study have in common.

    Args:
        folder: The folder of the study.
        data: The data.
        epochs: The number of epochs.
        metrics: By task, the metric that is watched.
        by_rows: The tasks whose predictions of the test rows are kept.
        seed: The seed of the draws of settings.
        batches: The number of batches of an epoch; -1 if it is not known.
        test: The fingerprint of the test part.
        callbacks: Callbacks of the user's, copied for each training.
        keras: The settings of Keras, for other processes.
    """

    folder: Path
    data: StudyData
    epochs: int
    metrics: Mapping[str, WatchedMetric]
    by_rows: frozenset[str]
    seed: int
    batches: int
    test: Fingerprint
    callbacks: Sequence[keras.callbacks.Callback] = ()
    keras: KerasSettings = dataclasses.field(default_factory=KerasSettings)


class Diverged(ValueError):
    """Says that no epoch of a training had finite metrics.

    Args:
        curves: By task, the validation metric of each epoch.
    """

    def __init__(self, curves: Mapping[str, Sequence[float]]) -> None:
        super().__init__("no epoch had finite validation metrics of all tasks")
        self.curves = curves


def train(job: Job, setup: Setup) -> Training:
    """Trains a network, and writes its record.

    An error of the network or the training becomes part of the record: the study goes on.
    """
    start = time.perf_counter()
    settings = job.settings or Settings()
    outcome: dict[str, Any]
    try:
        if job.settings is None:
            settings = job.network.settings_of(job.number, setup.seed)
        with quiet_tracing():
            outcome = {"state": "done", **_fit(job, settings, setup)}
    except Exception as error:
        outcome = {"state": "failed", "error": _describe(error)}
        if isinstance(error, Diverged):
            outcome = {"state": "failed", "error": str(error), "curves": error.curves}
    outcome["seconds"] = time.perf_counter() - start
    return record_outcome(job, settings, setup, outcome)


def record_outcome(
    job: Job, settings: Settings, setup: Setup, outcome: Mapping[str, Any]
) -> Training:
    """Writes the record of a training that ended, and returns it."""
    training = Training(
        contender=job.network.contender,
        network=job.network.index,
        tasks=job.network.names,
        stage=job.stage,
        number=job.number,
        seed=job.seed,
        learning_rate=settings.learning_rate,
        weights=settings.weights,
        hyper_parameters=settings.hyper_parameters,
        **outcome,
    )
    write_record(setup.folder / f"{job.path}.json", training)
    return training


def _describe(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}, line {place.lineno}"
    return f"{type(error).__name__}: {error}"[:2000] + f" ({where})"


def _fit(job: Job, settings: Settings, setup: Setup) -> dict[str, Any]:
    """Trains a network; returns the fields of its record that training gives."""
    network = job.network
    model = network.make(settings, job.seed)
    # Again, so that the data of a contender and of the baseline are drawn alike, whatever random
    # numbers their networks took.
    keras.utils.set_random_seed(job.seed)
    tasks, steps = network.tasks, setup.data.steps
    files = setup.folder / job.path
    files.parent.mkdir(parents=True, exist_ok=True)
    counted = CountSteps()
    callbacks = [counted, *(copy.deepcopy(callback) for callback in setup.callbacks)]
    keep = KeepBest(
        tasks,
        files.with_name(f"{files.name}.part.weights.h5"),
        metrics={name: _watched(setup.metrics[name]) for name in network.names},
        baselines=_usable(job.baselines, network.names),
    )
    if job.stage == "seed":
        callbacks.append(keep)
    callbacks.append(MakeVariables())
    rows = setup.data.open("train", tasks)
    history = model.fit(
        rows if network.labeled is None else network.labeled.of(rows),
        validation_data=setup.data.open("validation", tasks),
        epochs=setup.epochs,
        steps_per_epoch=steps,
        callbacks=callbacks,
        verbose=0,
        # A dataset keeps its own order, and Keras warns of its default.
        shuffle=False,
    ).history
    if not setup.callbacks:  # those of the user may stop a training
        labeled = network.labeled
        batches = setup.batches if labeled is None or labeled.batches < 0 else labeled.batches
        counted.check(setup.epochs, batches)
    curves = _read_curves(history, network.names, setup.metrics)
    if not _any_finite(curves):
        raise Diverged(curves)
    fields = {
        "curves": curves,
        "parameters": sum(math.prod(v.shape) for v in model.trainable_variables),
        "steps": counted.steps,
        "passes": passes_per_step(model),
    }
    if job.stage == "trial":
        return fields
    return {**fields, **_finish(job, model, keep, files, setup)}


def _finish(
    job: Job, model: keras.Model, keep: KeepBest, files: Path, setup: Setup
) -> dict[str, Any]:
    """Writes weights and test predictions of the best epoch; returns its fields."""
    tasks = job.network.tasks
    # Labels were read before the trainings, perhaps in another process.
    if take_fingerprint(setup.data.source("test")) != setup.test:
        raise ValueError(
            "test yields other batches than it did when the study began, so that predictions "
            "would be compared with the labels of other rows. Fix the order of its rows, and draw "
            "no random numbers."
        )
    test = setup.data.open("test", tasks)
    scores: dict[str, float] = {}
    if not setup.by_rows.issuperset(job.network.names):
        logs = model.evaluate(test, verbose=0, return_dict=True)
        for name in set(job.network.names) - setup.by_rows:
            scores[name] = float(logs[setup.metrics[name].log.removeprefix("val_")])
    kept = [name for name in job.network.names if name in setup.by_rows]
    if kept:
        predictions = model.predict(test.map(lambda x, *_: x), verbose=0)
        _save_arrays(files, {name: np.asarray(predictions[name]) for name in kept})
    # Arrays in the order of the network's weights: a file of Keras would hold the optimizer too.
    weights = getattr(model, "network", model).get_weights()
    _save_arrays(
        files.with_name(f"{files.name}-weights"), {str(i): w for i, w in enumerate(weights)}
    )
    for part in files.parent.glob(f"{files.name}.part.*"):
        part.unlink()
    return {"best_epoch": keep.best_epoch, "scores": scores}


def _save_arrays(files: Path, arrays: Mapping[str, Any]) -> None:
    new = files.with_name(f"{files.name}.{os.getpid()}.npz")
    np.savez(new, **arrays)
    os.replace(new, files.with_name(f"{files.name}.npz"))


def _watched(metric: WatchedMetric) -> tuple[str, str]:
    """Returns the name and the mode of a metric, as callbacks take them."""
    return metric.log.removeprefix(f"val_{metric.task}_"), metric.mode


def _usable(baselines: Mapping[str, float] | None, names: Sequence[str]) -> Any:
    """Returns the baselines of some tasks, if a gain can be relative to each of them."""
    if baselines is None or len(names) == 1:
        return None
    values = {name: baselines[name] for name in names}
    return values if all(math.isfinite(v) and v for v in values.values()) else None


def _read_curves(
    history: Mapping[str, Sequence[Any]],
    names: Sequence[str],
    metrics: Mapping[str, WatchedMetric],
) -> dict[str, list[float]]:
    missing = [metrics[name].log for name in names if metrics[name].log not in history]
    if missing:
        raise ValueError(
            f"training logged no {missing}; it logged {sorted(history)}. A network that build "
            "compiles itself needs **keras_mtl.compile_args(tasks), with the tasks that it "
            "receives; another metric is chosen by compare(metrics={task: name})."
        )
    return {name: [float(value) for value in history[metrics[name].log]] for name in names}


def _any_finite(curves: Mapping[str, Sequence[float]]) -> bool:
    return any(all(map(math.isfinite, epoch)) for epoch in zip(*curves.values(), strict=True))

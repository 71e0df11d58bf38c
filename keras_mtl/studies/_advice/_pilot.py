"""One training of all tasks together: how long it takes, and what its gradients say."""

import dataclasses
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.analysis import gradient_gramian, relatedness
from keras_mtl.studies._contenders._network import Network
from keras_mtl.studies._data._parts import StudyData
from keras_mtl.studies._trainings._record import write_json
from keras_mtl.training._quiet_tracing import quiet_tracing

_STEPS = 20  # batches on which gradients are measured


@dataclasses.dataclass(frozen=True)
class Pilot:
    """Holds what the pilot says.

    Args:
        seconds: The time of a whole training.
        tasks: The names of the tasks.
        relatedness: How much two tasks use the same variables, `[K, K]`, from 0 to 1.
        cosines: The cosines of the tasks' gradients, `[K, K]`.
        conflict_rate: The share of pairs and steps with a cosine below -.1; NaN if all gradients
            are too small beside their noise to have a direction.
        permuted_rate: The same with permuted labels: what noise alone gives.
    """

    seconds: float
    tasks: tuple[str, ...]
    relatedness: Any
    cosines: Any
    conflict_rate: float
    permuted_rate: float


def run_pilot(
    network: Network, data: StudyData, epochs: int, seed: int, folder: Path
) -> Pilot | None:
    """Trains all tasks together, and measures their gradients.

    Conflict is measured after a quarter of the epochs, and relatedness at the end, since tasks look
    alike before: on planted groups, the silhouettes of the true groups grew until the end of the
    training, and averages over it found fewer of them.

    The result is kept in `pilot.json`, and read from there when the advice goes on.

    Returns:
        What the pilot says; `None` for a single task, which has no relations.
    """
    if len(network.tasks) == 1:
        return None
    file = folder / "pilot.json"
    if not file.exists():
        write_json(file, dataclasses.asdict(_train(network, data, epochs, seed)))
    fields = json.loads(file.read_text())
    fields["tasks"] = tuple(fields["tasks"])
    for name in ("relatedness", "cosines"):
        fields[name] = np.array(fields[name], dtype=np.float64)
    for name in ("conflict_rate", "permuted_rate"):  # NaN is null in JSON
        fields[name] = math.nan if fields[name] is None else fields[name]
    return Pilot(**fields)


def _train(network: Network, data: StudyData, epochs: int, seed: int) -> Pilot:
    start = time.perf_counter()
    with quiet_tracing():
        model = network.make(network.settings_of(0, seed), seed)
        keras.utils.set_random_seed(seed)
        batches = data.open("train", network.tasks)
        conflict = _MeasureConflict(batches, network.tasks, max(1, epochs // 4), seed)
        model.fit(
            batches,
            validation_data=data.open("validation", network.tasks),
            epochs=epochs,
            steps_per_epoch=data.steps,
            callbacks=[conflict],
            verbose=0,
            shuffle=False,
        )
        seconds = time.perf_counter() - start - conflict.seconds
        related = relatedness(model, batches, network.tasks, steps=_STEPS)
    statistics = conflict.gradients.statistics()
    return Pilot(
        seconds,
        tuple(task.name for task in network.tasks),
        merge_columns(related.fisher, related.tasks, network.tasks).tolist(),
        merge_columns(statistics.cosines, statistics.tasks, network.tasks).tolist(),
        statistics.conflict_rates[0.1],
        conflict.gradients.permuted_rates()[0.1],
    )


class _MeasureConflict(keras.callbacks.Callback):
    """Measures the gradients after an epoch, while tasks still learn.

    At the end of a training the gradients of all tasks add up to nearly zero, so that tasks are in
    conflict whatever they are.
    """

    def __init__(
        self, batches: tf.data.Dataset, tasks: Sequence[Task], epoch: int, seed: int
    ) -> None:
        super().__init__()
        self._batches, self._tasks, self._epoch, self._seed = batches, tasks, epoch, seed
        self.gradients: Any = None
        self.seconds = 0.0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Measures the gradients if this is the epoch."""
        if epoch + 1 != self._epoch:
            return
        start = time.perf_counter()
        self.gradients = gradient_gramian(
            self.model,
            self._batches,
            self._tasks,
            steps=_STEPS // 2,
            permute=True,
            seed=self._seed,
        )
        self.seconds = time.perf_counter() - start


def merge_columns(matrix: Any, losses: Sequence[str], tasks: Sequence[Task]) -> Any:
    """Returns the matrix of tasks from that of losses: the mean over their columns, `[K, K]`."""
    places = {name: place for place, name in enumerate(losses)}
    of_task = [[places[name] for name in task.loss_names] for task in tasks]
    merged = np.full((len(tasks), len(tasks)), np.nan)
    for i, rows in enumerate(of_task):
        for j, columns in enumerate(of_task):
            block = matrix[np.ix_(rows, columns)]
            if np.isfinite(block).any():
                merged[i, j] = np.nanmean(block)
    return merged

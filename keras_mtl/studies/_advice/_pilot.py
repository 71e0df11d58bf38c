"""One training of all tasks together: how long it takes, and what its gradients say."""

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_mtl._tasks import Task
from keras_mtl.analysis import relatedness
from keras_mtl.studies._advice._conflict import MeasureConflict
from keras_mtl.studies._contenders._network import Network
from keras_mtl.studies._data._parts import StudyData
from keras_mtl.studies._trainings._record import write_json
from keras_mtl.training._quiet_tracing import quiet_tracing

_STEPS = 20  # batches on which gradients are measured at once


@dataclasses.dataclass(frozen=True)
class Pilot:
    """Holds what the pilot says.

    Args:
        seconds: The time of a whole training.
        tasks: The names of the tasks.
        relatedness: How much two tasks use the same variables, `[K, K]`, from 0 to 1.
        cosines: The cosines of the tasks' gradients in the first eighth of the epochs, `[K, K]`;
            NaN where a gradient is smaller than its noise.
        cosine_errors: Their standard errors, `[K, K]`.
    """

    seconds: float
    tasks: tuple[str, ...]
    relatedness: Any
    cosines: Any
    cosine_errors: Any


def run_pilot(
    network: Network, data: StudyData, epochs: int, seed: int, folder: Path
) -> Pilot | None:
    """Trains all tasks together, and measures their gradients.

    Conflict is measured while the tasks begin to learn, and relatedness at the end, since tasks
    look alike before: on planted groups, the silhouettes of the true groups grew until the end of
    the training, and averages over it found fewer of them.

    The result is kept in `pilot.json`, and read from there when the advice goes on. One of another
    version, which says other things, is measured again.

    Returns:
        What the pilot says; `None` for a single task, which has no relations.
    """
    if len(network.tasks) == 1:
        return None
    file = folder / "pilot.json"
    names = {field.name for field in dataclasses.fields(Pilot)}
    if not file.exists() or json.loads(file.read_text()).keys() != names:
        write_json(file, dataclasses.asdict(_train(network, data, epochs, seed)))
    fields = json.loads(file.read_text())
    fields["tasks"] = tuple(fields["tasks"])
    for name in ("relatedness", "cosines", "cosine_errors"):  # NaN is null in JSON
        fields[name] = np.array(fields[name], dtype=np.float64)
    return Pilot(**fields)


def _train(network: Network, data: StudyData, epochs: int, seed: int) -> Pilot:
    start = time.perf_counter()
    with quiet_tracing():
        model = network.make(network.settings_of(0, seed), seed)
        keras.utils.set_random_seed(seed)
        batches = data.open("train", network.tasks)
        conflict = MeasureConflict(batches, network.tasks, max(1, epochs // 8), _STEPS // 2)
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
    losses = [name for task in network.tasks for name in task.loss_names]
    cosines, errors = (
        merge_columns(part, losses, network.tasks).tolist() for part in conflict.cosines()
    )
    return Pilot(
        seconds,
        tuple(task.name for task in network.tasks),
        merge_columns(related.fisher, related.tasks, network.tasks).tolist(),
        cosines,
        errors,
    )


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

"""The best trained networks of a study, by validation data, built again."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_mtl.studies._contenders._settings import Settings
from keras_mtl.studies._verdicts._choose import score_of

if TYPE_CHECKING:
    from keras_mtl.studies._study import Study


def validation_scores(study: "Study", contender: str) -> dict[int, float]:
    """Returns by seed the mean gain over the baseline on validation data.

    Seeds in which a network of the contender failed are left out.
    """
    values: dict[int, dict[str, float]] = {}
    for job, training in study.runs[contender]:
        if training.state == "done" and training.best_epoch is not None:
            values.setdefault(job.number, {}).update(training.values(training.best_epoch))
    return {
        seed: score_of(of_tasks, study.plan.metrics, study.baselines)
        for seed, of_tasks in sorted(values.items())
        if set(of_tasks) == set(study.tasks)
    }


def best_contender(study: "Study") -> str:
    """Returns the contender with the highest mean score; of equal ones the first."""
    means = {}
    for name in study.runs:
        scores = validation_scores(study, name)
        if scores:
            means[name] = sum(scores.values()) / len(scores)
    return max(means, key=means.__getitem__)


def rebuild(study: "Study", contender: str) -> keras.Model:
    """Returns the network of the best seed of a contender.

    Raises:
        ValueError: If no seed has a network of all tasks.
    """
    scores = validation_scores(study, contender)
    if not scores:
        raise ValueError(
            f"no seed of {contender!r} has trained networks of all tasks: {study.failures}"
        )
    best = max(scores, key=scores.__getitem__)
    parts = []
    for job, training in study.runs[contender]:
        if job.number == best:
            settings = Settings(training.learning_rate, training.weights, training.hyper_parameters)
            model = job.network.make(settings, job.seed)
            network = getattr(model, "network", model)
            with np.load(study.folder / f"{job.path}-weights.npz") as arrays:
                network.set_weights([arrays[str(i)] for i in range(len(arrays))])
            parts.append(network)
    return parts[0] if len(parts) == 1 else _join(parts, study.tasks)


def _join(parts: Sequence[keras.Model], tasks: Sequence[str]) -> keras.Model:
    """Returns one network with the outputs of several, which read the same inputs."""
    inputs = keras.tree.map_structure(_input_like, parts[0].input)
    outputs: dict[str, Any] = {}
    for index, part in enumerate(parts):
        part.name = f"{part.name}_{index}"  # names are unique in a network
        outputs.update(part(inputs))
    return keras.Model(inputs, {name: outputs[name] for name in tasks})


def _input_like(tensor: Any) -> Any:
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)

"""All that a study does, and how many trainings that takes."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras

from keras_mtl._tasks import Task
from keras_mtl.callbacks._watching._watched_metrics import WatchedMetric
from keras_mtl.studies._budget import Budget
from keras_mtl.studies._contenders._network import Network
from keras_mtl.studies._contenders._settings import Settings
from keras_mtl.studies._data._fingerprint import Fingerprint
from keras_mtl.studies._data._parts import Part, StudyData
from keras_mtl.studies._trainings._job import Job


@dataclasses.dataclass(frozen=True)
class Plan:
    """Holds all that a study does.

    Args:
        tasks: The tasks.
        networks: The networks of the baseline, then those of each contender.
        data: The data.
        fingerprints: The fingerprints of its parts.
        budget: What each network may cost.
        metrics: By task, the metric that is watched.
        margin: The smallest gain that counts.
        blocks: The blocks of the test rows, or `None`.
        seed: The seed of the trials.
        workers: The number of processes.
        callbacks: Callbacks of the user's.
        verbose: Whether to show progress.
    """

    tasks: tuple[Task, ...]
    networks: tuple[Network, ...]
    data: StudyData
    fingerprints: Mapping[Part, Fingerprint]
    budget: Budget
    metrics: Mapping[str, WatchedMetric]
    margin: Any
    blocks: Any
    seed: int
    workers: int
    callbacks: tuple[keras.callbacks.Callback, ...]
    verbose: bool

    @property
    def contenders(self) -> tuple[str, ...]:
        """The names of the baseline and of the contenders."""
        return tuple(dict.fromkeys(network.contender for network in self.networks))

    @property
    def num_trainings(self) -> int:
        """The number of trainings in all."""
        trials = sum(len(self.trials(network)) for network in self.networks)
        return trials + self.budget.seeds * len(self.networks)

    def trials(self, network: Network) -> list[Job]:
        """Returns the trials of a network; none if there is nothing to choose."""
        if not network.has_choices or self.budget.trials == 1:
            return []
        return [Job(network, "trial", i, self.seed) for i in range(self.budget.trials)]

    def seeds(
        self, network: Network, settings: Settings, baselines: Mapping[str, float] | None
    ) -> list[Job]:
        """Returns the trainings of a network with its chosen settings, from fresh seeds."""
        return [
            Job(network, "seed", i, self.seed + 1 + i, settings, baselines)
            for i in range(self.budget.seeds)
        ]

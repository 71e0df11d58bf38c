"""One training that is to be done."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from keras_mtl.studies._contenders._network import Network
from keras_mtl.studies._contenders._settings import Settings

Stage = Literal["trial", "seed"]
"""A trial tries a setting; trainings of the chosen setting differ in their seed."""


@dataclasses.dataclass(frozen=True)
class Job:
    """Describes a training.

    Args:
        network: What is trained.
        stage: What it is for.
        number: Its number in this stage, from 0.
        seed: The seed of initial values, dropout and of the data that a function makes.
        settings: The chosen settings; `None` for a trial, which draws them itself.
        baselines: The validation metric of each task of the baseline, to choose the best epoch of
            several tasks by.
    """

    network: Network
    stage: Stage
    number: int
    seed: int
    settings: Settings | None = None
    baselines: Mapping[str, float] | None = None

    @property
    def path(self) -> str:
        """The place of its record in the folder of the study, without a suffix."""
        return f"trainings/{self.network.key}/{self.stage}-{self.number}"

    @property
    def text(self) -> str:
        """The training in words."""
        tasks = self.network.names
        of_tasks = f" ({', '.join(tasks)})" if len(tasks) <= 3 else f" ({len(tasks)} tasks)"
        number = f"{self.stage} {self.number + 1}"
        return f"{self.network.contender}{of_tasks}, {number}"

"""All arguments of a search, as the user passed them."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras_tuner

from keras_mtl._tasks import Mode, Task
from keras_mtl.tuning._fronts._aims import Reference
from keras_mtl.tuning._objectives import Baselines

Tuner = Literal["bayesian", "random", "hyperband", "grid", "tpe", "nsga2"]
Objective = tuple[str, Mode] | keras_tuner.Objective | str


@dataclasses.dataclass(frozen=True)
class Request:
    """Holds the arguments of `search`, whose docstring says what they mean."""

    build: Callable[..., Any]
    tasks: Sequence[Task]
    train: Any
    validation: Any
    objective: Any
    weights: bool
    baselines: Baselines | None
    reference: Reference | None
    tuner: str | None
    max_trials: int | None
    directory: str | os.PathLike[str] | None
    ratio: float
    seed: int
    executions_per_trial: int
    overwrite: bool
    workers: int
    stop_poor_trials: bool
    fit_arguments: dict[str, Any]

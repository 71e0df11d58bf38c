"""All that a process needs to know to work on the trials of a search."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task
from keras_mtl.tuning._fronts._aims import Aims
from keras_mtl.tuning._space import SearchedWeights
from keras_mtl.tuning._weighted_tasks import WeightedTasks


@dataclasses.dataclass(frozen=True)
class Plan:
    """Holds the plan of a search with Optuna. It can be pickled, and so be sent to a process.

    Args:
        build: The function of the user's.
        tasks: The tasks.
        space: The space of weights.
        aims: The objectives.
        sampler: `"tpe"` or `"nsga2"`.
        max_trials: The number of trials.
        folder: The folder of the search.
        fit_arguments: The arguments of `keras.Model.fit`.
        seed: The seed.
        executions: The number of trainings per trial.
        stop_poor_trials: Whether to stop a trial in which every task is worse than usual.
    """

    build: Callable[..., Any]
    tasks: Sequence[Task]
    space: SearchedWeights
    aims: Aims
    sampler: str
    max_trials: int
    folder: pathlib.Path
    fit_arguments: dict[str, Any]
    seed: int
    executions: int
    stop_poor_trials: bool

    def make_model(self) -> WeightedTasks:
        """Makes the hypermodel, which belongs to one process."""
        model = WeightedTasks(self.build, self.tasks, self.space, self.aims.goals, self.seed)
        model.executions = self.executions
        return model


def keras_settings() -> dict[str, Any]:
    """Returns the settings of Keras that networks of another process need.

    Example:
        >>> keras_settings()["floatx"]
        'float32'
    """
    return {
        "floatx": keras.config.floatx(),
        "image_data_format": keras.config.image_data_format(),
        "dtype_policy": keras.dtype_policies.serialize(keras.config.dtype_policy()),
    }


def apply_keras_settings(settings: dict[str, Any]) -> None:
    """Applies the settings of another process."""
    keras.config.set_floatx(settings["floatx"])
    keras.config.set_image_data_format(settings["image_data_format"])
    keras.config.set_dtype_policy(keras.dtype_policies.deserialize(settings["dtype_policy"]))

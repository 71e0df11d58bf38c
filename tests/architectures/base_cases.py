"""The tasks and data with which builders are tested, and small parts for the first three."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from keras_mtl import Task

Array: TypeAlias = NDArray[np.float32]

ROWS, SIZE = 12, 6


def tasks_of_all_kinds(count: int) -> list[Task]:
    """Returns tasks, not in alphabetical order."""
    return [
        Task.regression("yield"),
        Task.binary("income", weight=0.5),
        Task.multiclass("topic", 4),
        Task.count("calls"),
        Task.multilabel("assays", 3),
    ][:count]


def labels_of_all_kinds(tasks: Sequence[Task]) -> dict[str, Array]:
    rng = np.random.default_rng(1)
    labels = {
        "yield": rng.normal(size=ROWS),
        "income": rng.integers(0, 2, ROWS),
        "topic": rng.integers(0, 4, ROWS),
        "calls": rng.poisson(2.0, ROWS),
        "assays": rng.integers(0, 2, (ROWS, 3)),
    }
    return {task.name: labels[task.name].astype("float32") for task in tasks}


def rows_of_numbers() -> Array:
    return np.random.default_rng(0).normal(size=(ROWS, SIZE)).astype("float32")


@dataclasses.dataclass(frozen=True)
class Setting:
    """Holds the tasks and data with which a builder is tested.

    By default these are tasks of all kinds over rows of numbers.

    Attributes:
        counts: Numbers of tasks, the smallest first.
        tasks: Function from a number of tasks to that many tasks.
        labels: Function from tasks to their labels.
        features: Function that returns a batch of features.
        chained: Whether a task's layers also reach the tasks behind it.
        exceptions: Laws that do not apply to the builder: the name of the test, and the reason.
    """

    counts: tuple[int, ...] = (1, 2, 5)
    tasks: Callable[[int], list[Task]] = tasks_of_all_kinds
    labels: Callable[[Sequence[Task]], dict[str, Array]] = labels_of_all_kinds
    features: Callable[[], Array] = rows_of_numbers
    chained: bool = False
    exceptions: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def usual_count(self) -> int:
        """The number of tasks of the everyday run."""
        return self.counts[len(self.counts) // 2]

    def reached(self, task: Task, tasks: Sequence[Task]) -> set[str]:
        """Returns the names of the outputs that a task's layers may reach."""
        names = [other.name for other in tasks]
        return set(names[names.index(task.name) :]) if self.chained else {task.name}


CASES: dict[str, dict[str, Any]] = {
    "single_task": {"tower": (8, 7)},
    "hard_sharing": {"shared": (8, 7), "tower": (5,)},
    "mmoe": {"num_experts": 3, "expert": (8, 7), "tower": (5,)},
}

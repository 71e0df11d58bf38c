"""The space of task weights: symmetric in the tasks, with a bound on the ratio of two weights."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import keras_tuner
import numpy as np

from keras_mtl._tasks import Task

PREFIX = "task_weights/"
_AXIS = PREFIX + "axis_{}"  # hyper-parameters in [-1, 1], one per degree of freedom
_GRID = PREFIX + "grid"  # one hyper-parameter, which names a point of the grid
_GRID_LEVELS = 3  # levels per task: the smallest weight, its geometric mean with the largest, that
_MAX_GRID_POINTS = 10_000
_EDGE = 0.99  # Weights this close to the bound, on the scale of logarithms, lie on it.


class SearchedWeights(Protocol):
    """Maps the hyper-parameters of a trial to the weights of its tasks."""

    def declare(self, hp: keras_tuner.HyperParameters) -> None:
        """Declares the hyper-parameters."""

    def weights(self, values: Mapping[str, Any]) -> dict[str, float]:
        """Returns the weights by task name."""

    def apply(self, tasks: Sequence[Task], values: Mapping[str, Any]) -> tuple[Task, ...]:
        """Returns the tasks with these weights."""

    def at_bound(self, weights: Mapping[str, float]) -> tuple[str, ...]:
        """Returns the tasks whose weights lie on the bound of the space."""


@dataclasses.dataclass(frozen=True)
class GivenWeights:
    """Describes a search that leaves the weights of the tasks as they are.

    Args:
        by_name: The weights, by task name.
    """

    by_name: dict[str, float]

    def declare(self, hp: keras_tuner.HyperParameters) -> None:
        """Declares nothing."""

    def weights(self, values: Mapping[str, Any]) -> dict[str, float]:
        """Returns the weights that the tasks have."""
        return dict(self.by_name)

    def apply(self, tasks: Sequence[Task], values: Mapping[str, Any]) -> tuple[Task, ...]:
        """Returns the tasks as they are: a weight may be a variable of the user's."""
        return tuple(tasks)

    def at_bound(self, weights: Mapping[str, float]) -> tuple[str, ...]:
        """Returns no tasks: there is no bound."""
        return ()


@dataclasses.dataclass(frozen=True)
class Space:
    """Describes the searched space: K weights that sum to K, symmetric in the tasks.

    Only ratios matter to an optimizer such as Adam, so K tasks have K - 1 degrees of freedom.
    Weights sum to K, which keeps the size of steps comparable between trials for every other
    optimizer. A position u in the cube [-1, 1]^(K-1) becomes weights w by

        z = R u max|u_i| / |u|        with R = ln(ratio) / sqrt(2)
        l = H' z                      with rows h_i = (1, ..., 1, -i, 0, ..., 0) / sqrt(i (i + 1))
        w = K softmax(l)

    The rows h_i of the Helmert matrix are orthonormal and sum to 0 (the isometric log-ratio
    transform), so a permutation of the tasks rotates z. The ball |z| <= R is therefore the same
    for every order of the tasks. It is the largest ball in which no weight is more than `ratio`
    times another.

    A grid has three levels of ln w per task, of which at least one task is at the lowest:
    3^K - 2^K points, 5 for two tasks, 19 for three and 65 for four.

    Args:
        names: Task names, in alphabetical order: tasks in another order get the same draws.
        ratio: The largest ratio between two weights, above 1.
        grid: Whether to search the points of a grid instead of the ball.
    """

    names: tuple[str, ...]
    ratio: float
    grid: bool = False

    def declare(self, hp: keras_tuner.HyperParameters) -> None:
        """Declares the hyper-parameters; by default all weights are 1."""
        if len(self.names) == 1:
            return
        if self.grid:
            points = self.grid_points()
            hp.Choice(_GRID, points, default=points[0])
            return
        for axis in range(len(self.names) - 1):
            hp.Float(_AXIS.format(axis), -1.0, 1.0, default=0.0)

    def grid_points(self) -> list[str]:
        """Returns the levels of all tasks at each point of the grid; equal weights come first.

        Raises:
            ValueError: If there are too many tasks for a grid.
        """
        num_tasks = len(self.names)
        num_points = _GRID_LEVELS**num_tasks - (_GRID_LEVELS - 1) ** num_tasks
        if num_points > _MAX_GRID_POINTS:
            raise ValueError(
                f"A grid over the weights of {num_tasks} tasks has {num_points:,} points, more "
                f"than {_MAX_GRID_POINTS:,}: choose tuner='bayesian' or tuner='random'."
            )
        points = itertools.product(range(_GRID_LEVELS), repeat=num_tasks)
        # Points that differ by a constant have the same weights: keep the one with a level of 0.
        distinct = sorted((point for point in points if min(point) == 0), key=np.var)
        return [" ".join(map(str, point)) for point in distinct]

    def weights(self, values: Mapping[str, Any]) -> dict[str, float]:
        """Computes the task weights of a trial from the values of its hyper-parameters."""
        num_tasks = len(self.names)
        if num_tasks == 1:
            return {self.names[0]: 1.0}
        if self.grid:
            levels = np.array(values[_GRID].split(), dtype="float64")
            logits = levels * math.log(self.ratio) / (_GRID_LEVELS - 1)
        else:
            position = np.array([values[_AXIS.format(axis)] for axis in range(num_tasks - 1)])
            logits = _combine_helmert_rows(self._ball_point(position))
        exponentials = np.exp(logits - logits.max())
        weights = num_tasks * exponentials / exponentials.sum()
        return dict(zip(self.names, weights.tolist(), strict=True))

    def apply(self, tasks: Sequence[Task], values: Mapping[str, Any]) -> tuple[Task, ...]:
        """Returns the tasks with the weights of a trial."""
        return reweighted(tasks, self.weights(values))

    def center(self) -> dict[str, Any]:
        """Returns the values of the hyper-parameters for which all weights are 1."""
        hp = keras_tuner.HyperParameters()
        self.declare(hp)
        return dict(hp.values)

    def at_bound(self, weights: Mapping[str, float]) -> tuple[str, ...]:
        """Returns the tasks that have the extreme weights, if the weights lie on the bound.

        Returns:
            First the tasks with the largest weight, then those with the smallest; empty if the
            weights lie inside the space.
        """
        logs = {name: math.log(weights[name]) for name in self.names}
        low, high = min(logs.values()), max(logs.values())
        if self.grid:
            reached, bound = high - low, math.log(self.ratio)
        else:
            mean = math.fsum(logs.values()) / len(logs)
            reached, bound = math.dist(logs.values(), [mean] * len(logs)), self._radius
        if len(logs) == 1 or reached < _EDGE * bound:
            return ()
        close = 1e-6 * (high - low)
        largest = [name for name, value in logs.items() if high - value <= close]
        return (*largest, *(name for name, value in logs.items() if value - low <= close))

    @property
    def _radius(self) -> float:
        """The radius R of the ball."""
        return math.log(self.ratio) / math.sqrt(2)

    def _ball_point(self, position: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Maps a position in the cube to the ball of radius R; spheres are images of cubes."""
        length = float(np.linalg.norm(position))
        if length == 0.0:
            return position
        return position * (self._radius * float(np.abs(position).max()) / length)


def reweighted(tasks: Sequence[Task], weights: Mapping[str, float]) -> tuple[Task, ...]:
    """Returns the tasks with other weights.

    Example:
        >>> reweighted([Task.binary("click")], {"click": 0.5})[0].weight
        0.5
    """
    return tuple(dataclasses.replace(task, weight=weights[task.name]) for task in tasks)


def _combine_helmert_rows(coordinates: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Computes `H' z`: [K - 1] -> [K], with sum 0 and the same length."""
    total = np.zeros(len(coordinates) + 1)
    for i, coordinate in enumerate(coordinates, start=1):
        scaled = coordinate / math.sqrt(i * (i + 1))
        total[:i] += scaled
        total[i] -= i * scaled
    return total

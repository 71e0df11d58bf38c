"""A search whose weights change nothing is stopped."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner

from keras_mtl._tasks import Task


class WeightEffect:
    """Checks that trials with different task weights end with different results.

    All trials begin with the same initial values and see the same data. If two of them had
    different weights and have the same validation losses to the last digit, then the weights do
    not reach the training.

    Args:
        tasks: The tasks.
        takes_hp: Whether further hyper-parameters are searched. There may be values of them for
            which weights do not matter, so nothing is checked.
    """

    def __init__(self, tasks: Sequence[Task], takes_hp: bool) -> None:
        self._checked = len(tasks) > 1 and not takes_hp
        self._losses = [f"val_{t.name}_{kind}" for t in tasks for kind in ("loss", "mean_loss")]
        self._earlier: dict[Any, dict[str, float]] = {}

    def check(
        self,
        weights: Mapping[str, float],
        execution: int,
        values: Mapping[str, Any],
        history: Mapping[str, Sequence[float]],
    ) -> None:
        """Compares a training with those before it.

        Args:
            weights: The task weights.
            execution: The index of the training in its trial: others have other initial values.
            values: Values of all hyper-parameters: Hyperband's own say how long a trial trains.
            history: The logs of all epochs.

        Raises:
            keras_tuner.errors.FatalValueError: If another one had other weights and the same
                results.
        """
        logged = [name for name in self._losses if name in history]
        if not self._checked or not logged:
            return
        lengths = [(key, value) for key, value in values.items() if key.startswith("tuner/")]
        results = tuple(tuple(map(float, history[name])) for name in logged)
        earlier = self._earlier.setdefault((execution, tuple(lengths), results), dict(weights))
        if all(math.isclose(earlier[name], weights[name], rel_tol=1e-4) for name in weights):
            return
        raise keras_tuner.errors.FatalValueError(
            f"Two trainings with the task weights {earlier} and {dict(weights)} have the same "
            "validation losses to the last digit, so the weights have no effect: build(tasks) "
            "must compile with the tasks that it receives, and the optimizer must move variables."
        )

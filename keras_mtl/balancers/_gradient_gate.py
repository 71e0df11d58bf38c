"""A gate for auxiliary tasks, by the cosine of their gradients with the main task's."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import (
    GramianBalancer,
    check_main_task,
    check_numbers,
    mask_of,
    position_of,
)
from keras_mtl.balancers._solvers import cosines_and_lengths, nan_where_not_finite


@keras.saving.register_keras_serializable(package="keras_mtl")
class GradientGate(GramianBalancer):
    """Lets an auxiliary task in while its gradient agrees with that of the main task.

    With `c_k` the moving average of the cosine between `g_k` and the main task's gradient,

        (1)  c_k <- ema c_k + (1 - ema) cos(g_k, g_main)
        (2)  w_main = 1        w_k = 1 if c_k >= 0, else 0
             weighted:         w_k = max(0, c_k)

    Choose it when one task is the aim and it is not known whether auxiliary tasks help it or
    disturb it strongly. Not the right choice when all tasks matter, nor to find out whether a
    task that does no harm is useful: cosines of single batches hardly tell the two apart. (Digits
    with 60 labels, accuracy of the main task, beside an auxiliary task that helps or one with
    random labels: alone .844; sum .861, .840; gate of single batches .853, .845, open in 63 % and
    47 % of the steps; gate of the average .859, .843, open in 82 % and 52 %. The spread over
    seeds is .02: `benchmarks/regimes_gates.py`.) Judge auxiliary tasks by held-out data.

    A closed gate keeps the task out of the shared variables only; its tower goes on learning. An
    average counts the steps in which both gradients are there and not zero, and is corrected for
    its start at 0. A task without such a step has weight 1. In steps without the main task, gates
    stay as they were.

    Guide:
        Choose it when: one task is the aim, and auxiliary tasks may disturb it
        Not when: all tasks are equally important
        Source: Du et al. 2018, arXiv:1812.02224

    Args:
        main: The name of the main task, or its position. Defaults to `0`: the first task.
        weighted: Whether weights are the cosines themselves, which switches off most of a task
            whose gradient is nearly at a right angle, as most are. Defaults to `False`.
        ema: The part of the average that stays from step to step, below 1. With `0`, the gate
            follows single batches, as in the paper. Defaults to `0.9`.
        name: Optional name of the layer.

    Raises:
        TypeError: If `main` is neither a name nor a position.
        ValueError: If `ema` is not from 0 to 0.9999999; when the model is made, if there is no
            such task.

    Example:
        >>> gramian = [[10.0, 5.0], [5.0, 9.0]]  # of (3, 1, 0) and (1, 2, 2)
        >>> weights = GradientGate(weighted=True).weigh(gramian, [1.0, 1.0])
        >>> [round(float(weight), 4) for weight in weights]
        [1.0, 0.527]

    Reference: Du et al. (2018), arXiv:1812.02224, the unweighted and the weighted version. The
    moving average is an addition, and the default.
    """

    def __init__(
        self,
        *,
        main: int | str = 0,
        weighted: bool = False,
        ema: float = 0.9,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_main_task("main", main)
        check_numbers("ema", ema, 0, 1 - 1e-7)
        self._main, self.weighted, self.ema = main, bool(weighted), float(ema)

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self._position = position_of(self, "main", self._main)
        self.similarity = self.add_state("similarity", (num_tasks,))
        # 1 - ema^t after t steps with both gradients: the part of the average that is known.
        self.known = self.add_state("known", (num_tasks,))

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` from the Gramian `[K, K]`."""
        cosines, lengths = cosines_and_lengths(gramian)
        is_main = mask_of(self, self._position) > 0
        cosine = ops.sum(ops.where(is_main, cosines, 0), axis=1)  # [K], 0 without the main task
        main_is_here = ops.any(ops.logical_and(is_main, lengths > 0))
        counts = ops.logical_and(lengths > 0, main_is_here)
        for state, new in ((self.similarity, cosine), (self.known, ops.ones_like(cosine))):
            moved = self.ema * state.value + (1 - self.ema) * ops.cast(new, "float32")
            state.assign(ops.where(counts, moved, state.value))
        known = self.known.value
        average = self.similarity.value / ops.where(known > 0, known, 1)
        open_gate = ops.maximum(average, 0) if self.weighted else ops.cast(average >= 0, "float32")
        weights = ops.where(ops.logical_or(is_main, known == 0), 1, open_gate)
        return nan_where_not_finite(weights, gramian)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        config = super().get_config()
        return {**config, "main": self._main, "weighted": self.weighted, "ema": self.ema}

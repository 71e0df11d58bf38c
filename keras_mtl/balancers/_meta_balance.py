"""Balancing the gradient magnitudes of auxiliary tasks."""

import itertools
from typing import Any, Literal, get_args

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import (
    GradientBalancer,
    check_main_task,
    check_numbers,
    mask_of,
    position_of,
)

Adjust = Literal["both", "reduce", "enlarge"]


@keras.saving.register_keras_serializable(package="keras_mtl")
class MetaBalance(GradientBalancer):
    """Brings the gradients of auxiliary tasks near the length of the target task's, by tensor.

    For each shared variable by itself, with the moving averages
    `m_i <- beta m_i + (1 - beta) |g_i|`,

        g_i <- r g_i m_target / m_i + (1 - r) g_i        d = sum_i g_i

    Choose it where one task is the aim and the others should help it, neither drowning it nor
    being drowned, in no part of the network. Not the right choice among equals, or where the
    gradients of auxiliary tasks should vanish as they are learned: they are kept as long as the
    target's.

    The direction has the scale of the plain sum. A task whose average is zero adds its gradient
    as it is. In steps without the target, the last averages of it are used; before its first
    step, gradients are summed as they are. At a representation, all of it counts as one tensor.

    Args:
        target: The name of the target task, or its position. Defaults to `0`: the first.
        relax: r, from 0 (the plain sum) to 1 (equal lengths). Defaults to `0.7`.
        beta: How slowly averages follow, below 1. Defaults to `0.9`.
        adjust: `"reduce"` only gradients longer than the target's, `"enlarge"` only shorter ones,
            or `"both"`. Defaults to `"both"`.
        name: Optional name of the layer.

    Raises:
        TypeError: If `target` is neither a name nor a position.
        ValueError: If relax is not from 0 to 1, beta not from 0 to 0.9999999, or `adjust` none of
            these; when the model is made, if there is no such task.

    Example:
        >>> balancer = MetaBalance(target=0, relax=0.5)
        >>> direction = balancer.merge([[1.0, 0.0], [0.0, 10.0]], [1.0, 1.0])
        >>> [round(float(entry), 4) for entry in direction]
        [1.0, 5.5]

    Reference: He et al. (2022), arXiv:2203.06801, algorithm 1 and its three strategies; defaults
    of the authors' code. Averages are corrected for their beginning at 0, which changes nothing
    but for tasks that are absent at times. A variable that a task does not reach changes nothing
    for other variables (a popular port skips those that follow).
    """

    def __init__(
        self,
        *,
        target: int | str = 0,
        relax: float = 0.7,
        beta: float = 0.9,
        adjust: Adjust = "both",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_main_task("target", target)
        check_numbers("relax", relax, 0, 1)
        check_numbers("beta", beta, 0, 1 - 1e-7)
        if adjust not in get_args(Adjust):
            raise ValueError(f"adjust must be one of {get_args(Adjust)}; received {adjust!r}.")
        self._target, self.adjust = target, adjust
        self.relax, self.beta = float(relax), float(beta)

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self._position = position_of(self, "target", self._target)
        parts = max(1, len(self.sizes))
        self.magnitude = self.add_state("magnitude", (num_tasks, parts))
        self.count = self.add_state("count", (num_tasks,))
        self.goal = self.add_state("goal", (parts,), task_axes=0)

    def merge(self, gradients: Tensor, losses: Tensor) -> Tensor:
        """The direction `[n]` for gradients `[K, n]`."""
        ends = list(itertools.accumulate(self.sizes))[:-1]
        parts = ops.split(gradients, ends, axis=1) if ends else [gradients]
        lengths = ops.stack([ops.sqrt(ops.sum(ops.square(part), axis=1)) for part in parts], 1)
        average = self._averages(lengths)
        is_target = mask_of(self, self._position)[:, None]
        goal = ops.sum(ops.where(is_target > 0, average, 0), axis=0)
        goal = ops.where(ops.any(is_target > 0), goal, self.goal.value)
        self.goal.assign(goal)
        known = ops.logical_and(average > 0, goal > 0)
        ratio = ops.where(known, goal / ops.where(known, average, 1), 1)
        if self.adjust != "both":
            ratio = (ops.minimum if self.adjust == "reduce" else ops.maximum)(ratio, 1)
        factors = self.relax * ratio + (1 - self.relax)
        merged = [ops.matmul(factors[:, index], part) for index, part in enumerate(parts)]
        return ops.concatenate(merged) if ends else merged[0]

    def _averages(self, lengths: Tensor) -> Tensor:
        """The moving averages of lengths `[K, parts]`, as if they had begun at the first one."""
        magnitude = self.beta * self.magnitude.value + (1 - self.beta) * lengths
        count = self.count.value + 1
        self.magnitude.assign(magnitude)
        self.count.assign(count)
        return magnitude / (1 - self.beta**count)[:, None]

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal balancer."""
        return {
            **super().get_config(),
            "target": self._target,
            "relax": self.relax,
            "beta": self.beta,
            "adjust": self.adjust,
        }

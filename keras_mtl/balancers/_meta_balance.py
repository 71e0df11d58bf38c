"""Adjusting the gradient magnitudes of auxiliary tasks."""

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
    """Brings auxiliary tasks' gradients near the length of the target task's, for each variable.

    For each shared variable separately, with the moving averages of the lengths

        (1)  m_i <- beta m_i + (1 - beta) |g_i|
        (2)  g_i <- r g_i m_target / m_i + (1 - r) g_i        d = sum_i g_i

    Choose it when one task is the aim and the other tasks should help it, without drowning it or
    being drowned in any part of the network. Not the right choice when all tasks are equally
    important, or when the gradients of auxiliary tasks should vanish as they are learned: they
    are kept as long as the target's.

    The direction has the scale of the plain sum. A task whose average is zero adds its gradient
    unchanged. In steps without the target task, its last averages are used; before its first
    step, gradients are summed unchanged. At a representation (`at="representation"`), the whole
    representation counts as one tensor.

    Guide:
        Choose it when: one task is the aim and the other tasks help it
        Not when: all tasks are equally important
        Source: He et al. 2022, arXiv:2203.06801

    Args:
        target: The name of the target task, or its position. Defaults to `0`: the first task.
        relax: r, from 0 (the plain sum) to 1 (equal lengths). Defaults to `0.7`.
        beta: How slowly the averages follow, below 1. Defaults to `0.9`.
        adjust: `"reduce"` only gradients longer than the target's, `"enlarge"` only shorter ones,
            or `"both"`. Defaults to `"both"`.
        name: Optional name of the layer.

    Raises:
        TypeError: If `target` is neither a name nor a position.
        ValueError: If relax is not from 0 to 1, beta not from 0 to 0.9999999, or `adjust` none of
            the three; when the model is made, if there is no such task.

    Example:
        >>> balancer = MetaBalance(target=0, relax=0.5)
        >>> direction = balancer.merge([[1.0, 0.0], [0.0, 10.0]], [1.0, 1.0])
        >>> [round(float(entry), 4) for entry in direction]
        [1.0, 5.5]

    Reference: He et al. (2022), arXiv:2203.06801, algorithm 1 and its three strategies; the
    defaults are those of the authors' code. Averages are corrected for their start at 0, which
    changes the result only for tasks that are sometimes absent. A variable that a task does not
    reach changes nothing for other variables (a popular port skips the variables that follow it).
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
        num_tensors = max(1, len(self.sizes))
        self.magnitude = self.add_state("magnitude", (num_tasks, num_tensors))
        self.count = self.add_state("count", (num_tasks,))
        self.goal = self.add_state("goal", (num_tensors,), task_axes=0)

    def merge(self, gradients: Tensor, losses: Tensor) -> Tensor:
        """Merges gradients `[K, n]` into the direction `[n]`."""
        ends = list(itertools.accumulate(self.sizes))[:-1]
        tensors = ops.split(gradients, ends, axis=1) if ends else [gradients]
        lengths = [ops.sqrt(ops.sum(ops.square(tensor), axis=1)) for tensor in tensors]
        averages = self._averages(ops.stack(lengths, 1))  # [K, tensors]
        is_target = mask_of(self, self._position)[:, None]
        goal = ops.sum(ops.where(is_target > 0, averages, 0), axis=0)  # [tensors]
        # Without the target task in the step, its last averages stay the goal.
        goal = ops.where(ops.any(is_target > 0), goal, self.goal.value)
        self.goal.assign(goal)
        # (2), with a ratio of 1 where the target or the task does not reach the variable.
        known = ops.logical_and(averages > 0, goal > 0)
        ratio = ops.where(known, goal / ops.where(known, averages, 1), 1)
        if self.adjust != "both":
            ratio = (ops.minimum if self.adjust == "reduce" else ops.maximum)(ratio, 1)
        factors = self.relax * ratio + (1 - self.relax)
        merged = [ops.matmul(factors[:, index], tensor) for index, tensor in enumerate(tensors)]
        return ops.concatenate(merged) if ends else merged[0]

    def _averages(self, lengths: Tensor) -> Tensor:
        """Returns the moving averages (1) of lengths `[K, tensors]`, corrected for their start."""
        magnitude = self.beta * self.magnitude.value + (1 - self.beta) * lengths
        steps = self.count.value + 1
        self.magnitude.assign(magnitude)
        self.count.assign(steps)
        return magnitude / (1 - self.beta**steps)[:, None]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {
            **super().get_config(),
            "target": self._target,
            "relax": self.relax,
            "beta": self.beta,
            "adjust": self.adjust,
        }

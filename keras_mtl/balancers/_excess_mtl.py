"""Multi-task learning with excess risks."""

import math
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GradientBalancer, Needs, check_numbers

_LARGEST = 1e4


@keras.saving.register_keras_serializable(package="keras_mtl")
class ExcessMTL(GradientBalancer):
    """Weights most the tasks that are furthest from their own best, whatever their noise.

    How much a loss could still fall is estimated from its gradient, and from the sum of squares
    of its former gradients in the place of a Hessian; relative to the first estimate,

        E_i = g_i^T H_i^-1 g_i      H_i = diag sqrt(sum_t g_i(t)^2)
        w_i <- w_i exp(eta E_i / E_i(0)) / sum_j w_j exp(eta E_j / E_j(0))     d = sum_i w_i g_i

    Choose it where labels of some tasks are noisy: their loss stays high, and rules that look
    at losses would spend the network on them. Not the right choice where memory is short (it
    keeps K gradients), or to resolve conflicts: it weighs tasks, no more.

    Weights begin at 1/K and sum to 1 over the tasks that take part; those keep their part of the
    sum among all tasks. They stand still in a task's first `warmup` steps with a gradient that is
    not zero, of which `E_i(0)` is the mean.

    Args:
        eta: How fast weights move. Defaults to `0.01`.
        warmup: Steps of which the first estimate is the mean; the paper takes 3 epochs, the
            authors' code one step. Defaults to `1`.
        name: Optional name of the layer.

    Raises:
        ValueError: If eta is negative, or `warmup` no whole number from 1.

    Example:
        >>> balancer = ExcessMTL(eta=1.0)
        >>> _ = balancer.merge([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0])
        >>> direction = balancer.merge([[0.1, 0.0], [0.0, 1.0]], [1.0, 1.0])
        >>> [round(float(entry), 3) for entry in direction]  # weights 0.332 and 0.668
        [0.033, 0.668]

    Reference: He et al. (2024), arXiv:2402.02009, and the authors' code, where weights sum to K
    (here, as in the paper, to 1) and 1e-7 is added to sums of squares. E / E(0) is held below
    10000.
    """

    needs = Needs(per_entry_state=True)

    def __init__(
        self, *, eta: float = 0.01, warmup: int = 1, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("eta", eta)
        if warmup != int(warmup) or warmup < 1:
            raise ValueError(f"warmup must be a whole number of steps from 1; received {warmup!r}.")
        self.eta, self.warmup = float(eta), int(warmup)

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self.squares = self.add_state("squares", (num_tasks, self.size))
        self.first = self.add_state("first", (num_tasks,))
        self.count = self.add_state("count", (num_tasks,))
        self.log_weight = self.add_state(
            "log_weight", (num_tasks,), keras.initializers.Constant(-math.log(num_tasks))
        )

    def merge(self, gradients: Tensor, losses: Tensor) -> Tensor:
        """The direction `[n]` for gradients `[K, n]`."""
        squares = self.squares.value + ops.square(gradients)
        self.squares.assign(squares)
        parts = ops.divide_no_nan(ops.abs(gradients), ops.sqrt(squares)) * ops.abs(gradients)
        moved = self.log_weight.value + self.eta * self._relative(ops.sum(parts, axis=1))
        weights = ops.exp(moved - ops.logsumexp(moved))
        share = ops.logsumexp(self.log_weight.value)
        self.log_weight.assign(moved - ops.logsumexp(moved) + share)
        return ops.matmul(weights, gradients)

    def _relative(self, excess: Tensor) -> Tensor:
        """E / E(0), or 0 while E(0) is still being measured."""
        count, first = self.count.value, self.first.value
        measures = ops.logical_and(count < self.warmup, excess > 0)
        count = count + ops.cast(measures, "float32")
        self.count.assign(count)
        self.first.assign(
            ops.where(measures, first + (excess - first) / ops.maximum(count, 1), first)
        )
        ready = ops.logical_and(ops.logical_not(measures), count >= self.warmup)
        ratio = excess / ops.where(first > 0, first, 1)
        return ops.where(ready, ops.minimum(ratio, _LARGEST), 0)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal balancer."""
        return {**super().get_config(), "eta": self.eta, "warmup": self.warmup}

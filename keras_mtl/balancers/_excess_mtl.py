"""Multi-task learning with excess risks."""

import math
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GradientBalancer, Needs, check_numbers

_LARGEST_RATIO = 1e4


@keras.saving.register_keras_serializable(package="keras_mtl")
class ExcessMTL(GradientBalancer):
    """Gives most weight to the tasks furthest from their own best loss, whatever their noise.

    How much a loss could still fall is estimated from its gradient, with the root of the sum of
    its squared gradients so far in place of a Hessian. Relative to the first estimate,

        E_i = g_i^T H_i^-1 g_i      H_i = diag sqrt(sum_t g_i(t)^2)
        w_i <- w_i exp(eta E_i / E_i(0)) / sum_j w_j exp(eta E_j / E_j(0))     d = sum_i w_i g_i

    Choose it when labels of some tasks are noisy: their losses stay high, and rules that look
    at losses would spend the network on these tasks. It is not the right choice when memory is
    short (it keeps K gradients), or to resolve conflicts: it only weights the tasks.

    Weights begin at 1/K and sum to 1 over the tasks that take part in a step. These tasks keep
    their part of the sum among all tasks. The weight of a task is not moved in its first `warmup`
    steps with a gradient that is not zero; `E_i(0)` is the mean over these steps.

    Guide:
        Choose it when: labels of some tasks are noisy
        Not when: memory is scarce
        Source: He et al. 2024, arXiv:2402.02009

    Args:
        eta: How fast the weights change. Defaults to `0.01`.
        warmup: Number of steps over which the first estimate is averaged; the paper takes 3
            epochs, the authors' code one step. Defaults to `1`.
        name: Optional name of the layer.

    Raises:
        ValueError: If eta is negative, or `warmup` is not a whole number from 1.

    Example:
        >>> balancer = ExcessMTL(eta=1.0)
        >>> _ = balancer.merge([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0])
        >>> direction = balancer.merge([[0.1, 0.0], [0.0, 1.0]], [1.0, 1.0])
        >>> [round(float(entry), 3) for entry in direction]  # weights 0.332 and 0.668
        [0.033, 0.668]

    Reference: He et al. (2024), arXiv:2402.02009, and the authors' code, where weights sum to K
    (here, as in the paper, to 1) and 1e-7 is added to the sums of squares. Here E / E(0) counts
    as 10000 at most.
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
        """Creates the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self.squares = self.add_state("squares", (num_tasks, self.size))
        self.first = self.add_state("first", (num_tasks,))
        self.count = self.add_state("count", (num_tasks,))
        self.log_weight = self.add_state(
            "log_weight", (num_tasks,), keras.initializers.Constant(-math.log(num_tasks))
        )

    def merge(self, gradients: Tensor, losses: Tensor) -> Tensor:
        """Computes the direction d `[n]` for gradients `[K, n]`."""
        squares = self.squares.value + ops.square(gradients)
        self.squares.assign(squares)
        # E `[K]` sums these terms, g^2 / H; an entry that has always been 0 adds 0.
        terms = ops.divide_no_nan(ops.abs(gradients), ops.sqrt(squares)) * ops.abs(gradients)
        moved = self.log_weight.value + self.eta * self._relative(ops.sum(terms, axis=1))
        weights = ops.exp(moved - ops.logsumexp(moved))
        # In the state, these tasks keep their part of the sum among all tasks.
        log_share = ops.logsumexp(self.log_weight.value)
        self.log_weight.assign(moved - ops.logsumexp(moved) + log_share)
        return ops.matmul(weights, gradients)

    def _relative(self, excess: Tensor) -> Tensor:
        """Computes E / E(0) `[K]` from E `[K]`; 0 for tasks whose E(0) is still being averaged."""
        steps, first = self.count.value, self.first.value
        measures = ops.logical_and(steps < self.warmup, excess > 0)
        steps = steps + ops.cast(measures, "float32")
        self.count.assign(steps)
        self.first.assign(
            ops.where(measures, first + (excess - first) / ops.maximum(steps, 1), first)
        )
        ready = ops.logical_and(ops.logical_not(measures), steps >= self.warmup)
        ratio = excess / ops.where(first > 0, first, 1)
        return ops.where(ready, ops.minimum(ratio, _LARGEST_RATIO), 0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        return {**super().get_config(), "eta": self.eta, "warmup": self.warmup}

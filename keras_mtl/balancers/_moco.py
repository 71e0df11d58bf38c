"""Multi-objective gradients with correction."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GradientBalancer, Needs, check_numbers
from keras_mtl.balancers._solvers import count, simplex_projection


@keras.saving.register_keras_serializable(package="keras_mtl")
class MoCo(GradientBalancer):
    """Takes MGDA's steps slowly, with moving averages of the gradients and of the weights.

    At step t, with beta_t = beta / t^beta_sigma and gamma_t = gamma / t^gamma_sigma,

        y_i <- y_i - beta_t (y_i - g_i)
        lambda <- projection onto the simplex of lambda - gamma_t (Y Y^T + rho I) lambda
        d = sum_i lambda_i y_i

    Gradients of one batch are too noisy for weights that depend on them: the direction of MGDA is
    then biased, whatever the step, and this one is not. Choose it in the place of MGDA where
    batches are small. Not the right choice where memory is short (it keeps K gradients), or
    with an optimizer of much momentum, which averages once more.

    Averages begin at 0: first directions are short. Lambda begins at 1/K and sums to 1 over the
    tasks that take part; those keep their part of the sum among all tasks. Both gamma and rho have
    units: with gradients a hundred times longer, lambda moves ten thousand times faster.

    Args:
        beta: How fast averages follow, from 0 to 1. Defaults to `0.5`.
        beta_sigma: How beta falls with the steps of the task. Defaults to `0.5`.
        gamma: The step of lambda, in units of 1 / |g|^2. Defaults to `0.1`.
        gamma_sigma: How gamma falls with the steps. Defaults to `0.5`.
        rho: How much lambda is drawn to equal weights, in units of |g|^2. Defaults to `0.0`.
        name: Optional name of the layer.

    Raises:
        ValueError: If one of them is negative, or beta above 1.

    Example:
        >>> direction = MoCo().merge([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], [1.0, 1.0])
        >>> [round(float(entry), 4) for entry in direction]
        [-0.125, 0.5, 0.5]

    Reference: Fernando et al. (2023), arXiv:2210.12624, algorithm 1. Defaults are those that
    LibMTL has from the authors; LibMTL also replaces each `g_i` by `L_i g_i / |g_i|` and the
    projection by a softmax, which the authors' own code does not. The weights of a step are used
    with the averages of the same step, as in both.
    """

    needs = Needs(per_entry_state=True)

    def __init__(
        self,
        *,
        beta: float = 0.5,
        beta_sigma: float = 0.5,
        gamma: float = 0.1,
        gamma_sigma: float = 0.5,
        rho: float = 0.0,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("beta", beta, 0, 1)
        self.beta, self.beta_sigma, self.rho = float(beta), float(beta_sigma), float(rho)
        self.gamma, self.gamma_sigma = float(gamma), float(gamma_sigma)
        for argument in ("beta_sigma", "gamma", "gamma_sigma", "rho"):
            check_numbers(argument, getattr(self, argument))

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self.average = self.add_state("average", (num_tasks, self.size))
        self.task_weight = self.add_state(
            "weight", (num_tasks,), keras.initializers.Constant(1 / num_tasks)
        )
        self.count = self.add_state("count", (num_tasks,))

    def merge(self, gradients: Tensor, losses: Tensor) -> Tensor:
        """The direction `[n]` for gradients `[K, n]`."""
        count = self.count.value + 1
        beta = self.beta / count**self.beta_sigma
        average = self.average.value
        average = average + beta[:, None] * (gradients - average)
        self.count.assign(count)
        self.average.assign(average)
        weights = self._descend(ops.matmul(average, ops.transpose(average)))
        return ops.matmul(weights, average)

    def _descend(self, gramian: Tensor) -> Tensor:
        """One projected step of lambda; returns lambda `[K]`, with sum 1."""
        weights = ops.cast(self.task_weight.value, "float64")
        share = ops.sum(weights)
        equal = ops.full_like(weights, 1 / count(weights, "float64"))
        weights = ops.where(share > 0, weights / ops.where(share > 0, share, 1), equal)
        step = ops.cast(self.iteration.value + 1, "float64")
        slope = ops.matmul(ops.cast(gramian, "float64"), weights) + self.rho * weights
        moved = weights - self.gamma / step**self.gamma_sigma * slope
        # Only differences matter, and far from the simplex they are all that keeps its digits.
        weights = simplex_projection(moved - ops.max(moved))
        self.task_weight.assign(weights * share)
        return ops.cast(weights, "float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal balancer."""
        names = ("beta", "beta_sigma", "gamma", "gamma_sigma", "rho")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

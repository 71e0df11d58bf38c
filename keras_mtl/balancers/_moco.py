"""Multi-objective gradients with correction (MoCo)."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GradientBalancer, Needs, check_numbers
from keras_mtl.balancers._solvers import simplex_projection, size_of


@keras.saving.register_keras_serializable(package="keras_mtl")
class MoCo(GradientBalancer):
    """Follows MGDA slowly, with moving averages of the gradients and of the weights.

    At step t, with beta_t = beta / t^beta_sigma and gamma_t = gamma / t^gamma_sigma,

        (1)  y_i <- y_i - beta_t (y_i - g_i)
        (2)  lambda <- projection onto the simplex of lambda - gamma_t (Y Y^T + rho I) lambda
        (3)  d = sum_i lambda_i y_i

    The gradients of one batch are too noisy for weights that depend on them: the direction of
    MGDA is then biased, however small the step, and this direction is not. Choose it instead of
    MGDA when batches are small. Not the right choice when memory is short (it keeps K gradients),
    or with an optimizer of much momentum, which averages a second time.

    Averages begin at 0, so the first directions are short. Lambda begins at 1/K and sums to 1
    over the tasks that take part in the step; together they keep the sum that they have among
    all tasks. Both gamma and rho have units: with gradients a hundred times longer, lambda moves
    ten thousand times faster.

    Guide:
        Choose it when: no task may get worse, and averaged gradients should set the weights
        Not when: memory is scarce
        Source: Fernando et al. 2023, arXiv:2210.12624

    Args:
        beta: How fast the averages follow, from 0 to 1. Defaults to `0.5`.
        beta_sigma: How beta falls with the steps of the task. Defaults to `0.5`.
        gamma: The step size of lambda, in units of 1 / |g|^2. Defaults to `0.1`.
        gamma_sigma: How gamma falls with the steps. Defaults to `0.5`.
        rho: How strongly lambda is drawn to equal weights, in units of |g|^2. Defaults to `0.0`.
        name: Optional name of the layer.

    Raises:
        ValueError: If one of these numbers is negative, or beta is above 1.

    Example:
        >>> direction = MoCo().merge([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], [1.0, 1.0])
        >>> [round(float(entry), 4) for entry in direction]
        [-0.125, 0.5, 0.5]

    Reference: Fernando et al. (2023), arXiv:2210.12624, algorithm 1. The defaults are those that
    LibMTL has from the authors. LibMTL also replaces each `g_i` by `L_i g_i / |g_i|` and the
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
        """Merges gradients `[K, n]` into the direction `[n]`."""
        steps = self.count.value + 1  # [K]: t of each task, which counts only its own steps
        beta = self.beta / steps**self.beta_sigma
        average = self.average.value
        average = average + beta[:, None] * (gradients - average)  # (1)
        self.count.assign(steps)
        self.average.assign(average)
        weights = self._descend(ops.matmul(average, ops.transpose(average)))
        return ops.matmul(weights, average)  # (3)

    def _descend(self, gramian: Tensor) -> Tensor:
        """Takes the projected step (2) for products `[K, K]`; returns lambda `[K]` of sum 1."""
        weights = ops.cast(self.task_weight.value, "float64")
        # The part of the sum among all tasks that the tasks of this step have, and keep.
        share = ops.sum(weights)
        equal = ops.full_like(weights, 1 / size_of(weights, "float64"))
        weights = ops.where(share > 0, weights / ops.where(share > 0, share, 1), equal)
        step = ops.cast(self.iteration.value + 1, "float64")
        slope = ops.matmul(ops.cast(gramian, "float64"), weights) + self.rho * weights
        moved = weights - self.gamma / step**self.gamma_sigma * slope
        # The projection depends on differences alone. Subtracting the largest entry keeps their
        # digits when the point is far from the simplex.
        weights = simplex_projection(moved - ops.max(moved))
        self.task_weight.assign(weights * share)
        return ops.cast(weights, "float32")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        names = ("beta", "beta_sigma", "gamma", "gamma_sigma", "rho")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

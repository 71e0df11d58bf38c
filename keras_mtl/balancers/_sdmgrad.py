"""Stochastic direction-oriented multi-objective gradient descent (SDMGrad)."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, Needs, check_numbers
from keras_mtl.balancers._solvers import nan_where_not_finite, simplex_projection, size_of


@keras.saving.register_keras_serializable(package="keras_mtl")
class SDMGrad(GramianBalancer):
    """Follows the mean gradient, turned towards the direction that improves all tasks.

    With `g_0` the mean gradient, and the tasks' gradients as the rows of `J`,

        (1)  w = argmin 1/2 |J^T w + lambda g_0|^2   over the simplex
        (2)  d = (J^T w + lambda g_0) / (1 + lambda)

    The minimum is approached by projected descent with products of two independent samples, and
    the direction is that of a third sample. Choose it for a rule between the mean (large lambda)
    and MGDA (lambda = 0) when batches are noisy. Not the right choice when steps are expensive:
    the batch is divided into three, each task takes two passes through the trunk, and the sum of
    all tasks takes one more.

    Weights sum to 1 and are at least `lambda / (K (1 + lambda))`. The search begins at the result
    of the last step's search.

    Guide:
        Choose it when: a rule between the mean and `MGDA` is wanted, and batches are small
        Not when: steps are expensive
        Source: Xiao, Ban and Ji 2023, arXiv:2305.18409

    Args:
        lambda_: The pull of the mean gradient. Defaults to `0.3`.
        num_iterations: The number of steps of the search. Defaults to `20`.
        learning_rate: The learning rate of the search, for products `[K, K]` of Frobenius norm 1;
            above 2 it may not converge. Defaults to `1.0`.
        momentum: The momentum of the search. Defaults to `0.5`.
        name: Optional name of the layer.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> balancer = SDMGrad(lambda_=0.3)
        >>> weights = balancer.weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
        >>> [round(float(weight), 3) for weight in weights]
        [0.6, 0.4]

    Reference: Xiao, Ban & Ji (2023), arXiv:2305.18409, algorithm 1. Momentum is from the authors'
    code, which searches with a rate of 5 for gradients of mean length 1: for two orthogonal tasks
    that jumps from corner to corner of the simplex, so the rate is in other units here. One batch
    is divided into three samples (they draw three batches).
    """

    needs = Needs(samples=3)

    def __init__(
        self,
        *,
        lambda_: float = 0.3,
        num_iterations: int = 20,
        learning_rate: float = 1.0,
        momentum: float = 0.5,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("lambda_", lambda_)
        check_numbers("num_iterations", num_iterations, 1)
        check_numbers("learning_rate", learning_rate, 1e-9)
        check_numbers("momentum", momentum, 0, 1)
        self.lambda_ = float(lambda_)
        self.num_iterations = int(num_iterations)
        self.learning_rate = float(learning_rate)
        self.momentum = float(momentum)

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self.weights_so_far = self.add_state("weights_so_far", (num_tasks,), "ones")

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` of the direction from products `[K, K]` of two samples."""
        products = ops.cast(ops.where(ops.isfinite(gramian), gramian, 0), "float64")
        # Divided by the largest entry first, so that no square overflows.
        largest = ops.max(ops.abs(products))
        products = products / ops.where(largest > 0, largest, 1)
        norm = ops.sqrt(ops.sum(products * products))
        products = products / ops.where(norm > 0, norm, 1)
        pull = self.lambda_ * ops.mean(products, axis=1)
        start = ops.cast(self.weights_so_far.value, "float64")
        start = start / ops.sum(start)

        def descend(_: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            """Takes one step of projected descent on (1), whose slope is `J J^T w + pull`."""
            weights, velocity = state
            velocity = self.momentum * velocity + ops.matmul(products, weights) + pull
            return simplex_projection(weights - self.learning_rate * velocity), velocity

        weights, _ = ops.fori_loop(0, self.num_iterations, descend, (start, ops.zeros_like(start)))
        self.weights_so_far.assign(weights)
        mean_weight = 1 / size_of(gramian, "float64")
        result = (weights + self.lambda_ * mean_weight) / (1 + self.lambda_)  # (2)
        return nan_where_not_finite(result, gramian)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {
            **super().get_config(),
            "lambda_": self.lambda_,
            "num_iterations": self.num_iterations,
            "learning_rate": self.learning_rate,
            "momentum": self.momentum,
        }

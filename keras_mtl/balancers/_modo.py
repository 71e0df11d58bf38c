"""The multi-objective gradient with double sampling (MoDo)."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, Needs, check_numbers
from keras_mtl.balancers._solvers import nan_where_not_finite, simplex_projection


@keras.saving.register_keras_serializable(package="keras_mtl")
class MoDo(GramianBalancer):
    """Moves the weights of MGDA a little at each step, without the bias of one small batch.

    With gradients `G_1`, `G_2`, `G_3` (one row per task) of three independent samples,

        (1)  lambda <- P(lambda - gamma (G_1 G_2^T + rho I) lambda)
        (2)  d = G_3^T lambda

    where P projects onto the simplex. Choose it instead of `MGDA` when batches are small and
    gradients noisy: products of one batch with itself overestimate lengths. Not the right choice
    when steps are expensive: the batch is divided into three, each task takes two passes through
    the trunk, and the sum of all tasks takes one more.

    Weights are on the simplex and begin equal. They depend on the scale of the gradients, as
    gamma does.

    Guide:
        Choose it when: no task may get worse, and small batches would bias the weights of `MGDA`
        Not when: steps are expensive
        Source: Chen et al. 2023, arXiv:2305.20057

    Args:
        gamma: Step size of the weights. Defaults to `1e-3`.
        rho: Strength of the pull towards equal weights. Defaults to `0.1`.
        name: Optional name of the layer.

    Raises:
        ValueError: If gamma or rho is negative or not finite.

    Example:
        >>> balancer = MoDo(gamma=0.01, rho=0.0)
        >>> weights = balancer.weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
        >>> [round(float(weight), 3) for weight in weights]  # on the way to MGDA's 0.6 and 0.4
        [0.55, 0.45]

    Reference: Chen et al. (2023), arXiv:2305.20057, with rho as in the authors' code. Here one
    batch is divided into three samples (they draw three batches), and the tasks' own variables
    take the gradient of the whole batch.
    """

    needs = Needs(samples=3)

    def __init__(
        self, *, gamma: float = 1e-3, rho: float = 0.1, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("gamma", gamma)
        check_numbers("rho", rho)
        self.gamma, self.rho = float(gamma), float(rho)

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self.weights_so_far = self.add_state("weights_so_far", (num_tasks,), "ones")

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` after one step, for products `[K, K]` of two samples."""
        # A product that is not finite moves no weight; the result is NaN, but not the state.
        products = ops.cast(ops.where(ops.isfinite(gramian), gramian, 0), "float64")
        weights = ops.cast(self.weights_so_far.value, "float64")
        weights = weights / ops.sum(weights)
        slope = ops.matmul(products, weights) + self.rho * weights
        # A longer step ends in the same corner; the bound keeps the digits of the weights.
        step = ops.clip(self.gamma * slope, -1e6, 1e6)
        weights = simplex_projection(weights - step)  # (1)
        self.weights_so_far.assign(weights)
        return nan_where_not_finite(weights, gramian)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {**super().get_config(), "gamma": self.gamma, "rho": self.rho}

"""Gradient vaccine."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, check_numbers, check_seed
from keras_mtl.balancers._solvers import cosines_and_lengths, nan_where_not_finite, size_of

_SMALL = 1e-6  # of the square of a length: anything less is rounding of a float32 Gramian
_NEAR_ONE = 1 - 1e-6


@keras.saving.register_keras_serializable(package="keras_mtl")
class GradVac(GramianBalancer):
    """Turns each gradient until it is as similar to each other gradient as on average so far.

    For each task i, beginning with `g = g_i`, and for the other tasks j in random order, with
    `phi` the cosine between g and `g_j` and `phi_ij` its moving average,

        g <- g + |g| (phi_ij sqrt(1 - phi^2) - phi sqrt(1 - phi_ij^2))
                 / (|g_j| sqrt(1 - phi_ij^2)) g_j             where phi < phi_ij
        phi_ij <- (1 - beta) phi_ij + beta phi

    and `d` is the sum over i. Choose it over PCGrad when tasks are related: it acts on
    gradients that agree less than usual, not only on those that conflict. It is not the right
    choice when losses differ in scale (the longest gradient still dominates the sum), or for few
    steps.

    Averages begin at 0, so that the first step is PCGrad's. Weights are at least 1 while all
    averages are 0 or more. The average of a pair does not change in a step in which one of the
    two gradients has length zero, or in which projections have canceled all but a thousandth of
    the turned gradient.

    Guide:
        Choose it when: tasks are related, and their gradients should stay as similar as they were
        Not when: training has few steps
        Source: Wang et al. 2021, arXiv:2010.05874

    Args:
        beta: How fast the averages change, from 0 (PCGrad) to 1. Defaults to `0.01`.
        seed: Seed of the random orders, which change at each step. Defaults to `0`. With the same
            seed, XLA draws other numbers than TensorFlow without XLA.
        name: Optional name of the layer.

    Raises:
        ValueError: If beta is not from 0 to 1 or the seed is negative.

    Example:
        >>> weights = GradVac().weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
        >>> [round(float(weight), 4) for weight in weights]
        [2.2222, 1.5789]

    Reference: Wang et al. (2021), arXiv:2010.05874, algorithm 1, with all shared variables as one
    component. As in the paper, the average moves at each step (one popular implementation moves
    it only where a gradient was turned; two have a beta of 0.5).
    """

    def __init__(
        self, *, beta: float = 0.01, seed: int = 0, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("beta", beta, 0, 1)
        check_seed(seed)
        self.beta = float(beta)
        self._seed = int(seed)

    def build(self, num_tasks: int) -> None:
        """Creates the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self.similarity = self.add_state("similarity", (num_tasks, num_tasks), task_axes=2)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` of the sum of turned gradients for a Gramian `[K, K]`."""
        num_tasks = size_of(gramian)
        cosines, lengths = cosines_and_lengths(gramian)
        eye = ops.eye(num_tasks, dtype="float64")
        draws = keras.random.uniform(
            (num_tasks, num_tasks), dtype="float32", seed=self.seed(self._seed)
        )
        order = ops.argsort(draws, axis=1)  # row i: the order of the other tasks for task i
        nonzero = ops.cast(lengths > 0, "float64")
        pairs = (1 - eye) * ops.outer(nonzero, nonzero)

        def turn(position: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            # [K, K]: row i is 1 at the task that comes at this position for task i.
            partner = ops.take(eye, ops.take(order, position, axis=1), axis=0)
            return _turn(*state, pairs * partner, cosines, self.beta)

        start = (eye, ops.cast(self.similarity.value, "float64"))
        rows, similarity = ops.fori_loop(0, num_tasks, turn, start)
        self.similarity.assign(similarity)
        # The turned gradient of task i is |g_i| sum_j rows_ij g_j / |g_j|; d sums over i.
        weights = ops.matmul(lengths, rows) / ops.where(lengths > 0, lengths, 1)
        return nan_where_not_finite(ops.where(lengths > 0, weights, 1), gramian)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        return {**super().get_config(), "beta": self.beta, "seed": self._seed}


def _turn(
    rows: Tensor, similarity: Tensor, partner: Tensor, cosines: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    """Turns the gradient of each task towards one other, and moves the average of the pair.

    Args:
        rows: `[K, K]`; the current gradient of each task, divided by its first length, as
            coefficients of the unit gradients.
        similarity: The averages `[K, K]`.
        partner: `[K, K]`; 1 for the other task of each row, if it has one.
        cosines: The cosines `[K, K]` between the gradients.
        beta: How fast the averages change.

    Returns:
        The new rows and averages.
    """
    goal = ops.sum(partner * similarity, axis=1)  # phi_ij of each row i, [K]
    products = ops.matmul(rows, cosines)  # of g, row by row, with the unit gradients, [K, K]
    square = ops.sum(rows * products, axis=1)
    known = square > _SMALL * ops.square(ops.sum(ops.abs(rows), axis=1))
    known = ops.logical_and(known, ops.any(partner > 0, axis=1))
    length = ops.sqrt(ops.where(known, square, 1))
    cosine = ops.clip(ops.sum(partner * products, axis=1) / length, -1, 1)  # phi
    # A cosine that equals the goal neither turns the gradient nor moves the average.
    cosine = ops.where(known, cosine, goal)
    change = length * _amount_to_add(cosine, ops.clip(goal, -_NEAR_ONE, _NEAR_ONE))
    rows = rows + ops.where(cosine < goal, change, 0)[:, None] * partner
    return rows, similarity + beta * (cosine - goal)[:, None] * partner


def _amount_to_add(cosine: Tensor, goal: Tensor) -> Tensor:
    """Computes how much of one unit vector to add to another one to reach the cosine `goal`."""
    sine, sine_of_goal = (ops.sqrt(1 - value * value) for value in (cosine, goal))
    return (goal * sine - cosine * sine_of_goal) / sine_of_goal

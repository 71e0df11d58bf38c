"""Projecting conflicting gradients (PCGrad)."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, check_seed
from keras_mtl.balancers._solvers import cosines_and_lengths, nan_where_not_finite, size_of


@keras.saving.register_keras_serializable(package="keras_mtl")
class PCGrad(GramianBalancer):
    """Removes from each gradient its conflicts with other gradients, and sums the results.

    For each task i, beginning with `g = g_i`, and for the other tasks j in random order:

        (1)  g <- g - (g . g_j / |g_j|^2) g_j    if g . g_j < 0

    The direction d is the sum of the results over i. Choose it when gradients point against each
    other now and then; it is cheap and equals the plain sum when nothing conflicts. Not the right
    choice against losses of different scale: only angles matter to a projection, so the longest
    gradient still dominates the sum.

    Weights are at least 1, and exactly 1 without conflicts. A task whose gradient is zero changes
    nothing. With two tasks, the projected gradients conflict with neither task; with more, the
    last projection may undo an earlier one, as in the paper.

    Guide:
        Choose it when: gradients conflict now and then
        Not when: gradients differ much in length
        Source: Yu et al. 2020, arXiv:2001.06782

    Args:
        seed: The seed of the random orders, which change at each step. Defaults to `0`. From the
            same seed, XLA draws other numbers than TensorFlow without XLA.
        name: Optional name of the layer.

    Raises:
        ValueError: If the seed is negative.

    Example:
        >>> weights = PCGrad().weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
        >>> [round(float(weight), 4) for weight in weights]
        [2.2222, 1.5789]

    Reference: Yu et al. (2020), arXiv:2001.06782, algorithm 1. The order is drawn for each task
    separately; the sum runs over all shared variables as one vector. (The authors' code discards
    its own shuffle; other packages average instead of summing, or project each tensor by itself.)
    """

    def __init__(self, *, seed: int = 0, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        check_seed(seed)
        self._seed = int(seed)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` of the sum of projected gradients from the Gramian."""
        num_tasks = size_of(gramian)
        cosines, lengths = cosines_and_lengths(gramian)
        eye = ops.eye(num_tasks, dtype="float64")
        draws = keras.random.uniform(
            (num_tasks, num_tasks), dtype="float32", seed=self.seed(self._seed)
        )
        order = ops.argsort(draws, axis=1)  # row i: the order of the tasks j for task i

        def project(position: Tensor, gradients: Tensor) -> Tensor:
            """Projects all K gradients, each against the task at this position of its order."""
            # Row i is the gradient g of task i so far, in coefficients of the unit gradients, and
            # row i of `other` selects task j. The last factor leaves out j = i.
            tasks = ops.take(order, position, axis=1)
            other = ops.take(eye, tasks, axis=0)
            dots = ops.sum(gradients * ops.take(cosines, tasks, axis=0), axis=1, keepdims=True)
            return gradients - ops.minimum(dots, 0) * other * (1 - eye)  # (1)

        projected = ops.fori_loop(0, num_tasks, project, lengths[:, None] * eye)
        ratios = ops.sum(projected, axis=0) / ops.where(lengths > 0, lengths, 1)
        return nan_where_not_finite(ops.where(lengths > 0, ratios, 1), gramian)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {**super().get_config(), "seed": self._seed}

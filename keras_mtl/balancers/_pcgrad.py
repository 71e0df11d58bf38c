"""Projecting conflicting gradients."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer
from keras_mtl.balancers._solvers import cosines_and_lengths, count, nan_where_not_finite


@keras.saving.register_keras_serializable(package="keras_mtl")
class PCGrad(GramianBalancer):
    """Takes out of each gradient what conflicts with another, and sums what is left.

    For each task i, beginning with `g = g_i`, and for the other tasks j in random order:

        g <- g - (g . g_j / |g_j|^2) g_j    where g . g_j < 0

    and `d` is the sum over i. Choose it where gradients point against each other now and then;
    it is cheap and equals the plain sum where nothing conflicts. Not the right choice against
    losses of different scale: only angles matter to a projection, so the longest gradient goes
    on to rule the sum.

    Weights are at least 1, and exactly 1 without conflicts. A task with gradient zero changes
    nothing. The projected gradients of two tasks do not conflict with either; with more, the
    last projection may undo an earlier one, as in the paper.

    Args:
        seed: Of the random orders, which change at each step. Defaults to `0`. XLA draws other
            numbers from a seed than TensorFlow without it.
        name: Optional name of the layer.

    Raises:
        ValueError: If the seed is negative.

    Example:
        >>> weights = PCGrad().weigh([[18.0, -22.0], [-22.0, 38.0]], [1.0, 1.0])
        >>> [round(float(weight), 4) for weight in weights]
        [2.2222, 1.5789]

    Reference: Yu et al. (2020), arXiv:2001.06782, algorithm 1. The order is drawn for each task
    apart, the sum runs over shared variables as one vector. (The authors' code discards its own
    shuffle; others average instead of summing, or project each tensor by itself.)
    """

    def __init__(self, *, seed: int = 0, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        if seed != int(seed) or not 0 <= seed < 2**32:
            raise ValueError(f"seed must be a whole number from 0 to 2^32 - 1; got {seed!r}.")
        self._seed = int(seed)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Weights `[K]` of the sum of projected gradients, for a Gramian `[K, K]`."""
        num_tasks = count(gramian)
        cosines, lengths = cosines_and_lengths(gramian)
        eye = ops.eye(num_tasks, dtype="float64")
        draws = keras.random.uniform((num_tasks, num_tasks), seed=self.seed(self._seed))
        order = ops.argsort(draws, axis=1)  # row i: the order of the others for task i

        def project(position: Tensor, rows: Tensor) -> Tensor:
            # rows[i]: task i's gradient so far, in coefficients of the tasks' unit gradients.
            other = ops.take(eye, ops.take(order, position, axis=1), axis=0)
            dots = ops.sum(rows * ops.matmul(other, cosines), axis=1, keepdims=True)
            return rows - ops.minimum(dots, 0) * other * (1 - eye)

        rows = ops.fori_loop(0, num_tasks, project, lengths[:, None] * eye)
        ratios = ops.sum(rows, axis=0) / ops.where(lengths > 0, lengths, 1)
        return nan_where_not_finite(ops.where(lengths > 0, ratios, 1), gramian)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal balancer."""
        return {**super().get_config(), "seed": self._seed}

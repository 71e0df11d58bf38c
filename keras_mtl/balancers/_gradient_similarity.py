"""Weights by the similarity of a task's gradient to those of the other tasks."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GramianBalancer, check_numbers
from keras_mtl.balancers._solvers import (
    cosines_and_lengths,
    larger,
    nan_where_not_finite,
    size_of,
    softmax,
)


@keras.saving.register_keras_serializable(package="keras_mtl")
class GradientSimilarity(GramianBalancer):
    """Gives most weight to the tasks whose gradients are most similar to those of other tasks.

    With `c_ij` the moving average of the cosine between two gradients,

        (1)  c_ij <- ema c_ij + (1 - ema) cos(g_i, g_j)
        (2)  s_i = mean of c_ij over the other tasks j
        (3)  w = K softmax(s / T)

    Choose it when most tasks point the same way and a few noisy ones should lose influence. Not
    the right choice for tasks that all must be good: it favors the majority and starves outliers.
    Nor for two tasks, whose weights are always 1.

    Weights sum to K, the number of tasks in the step. They depend on angles alone, not on the
    scale of losses. An average counts the steps in which both gradients are there and not zero,
    and is corrected for its start at 0; a pair without such a step counts as 0. A network may read
    the averages as relations of tasks: `similarities()`.

    Guide:
        Choose it when: a few noisy tasks should lose influence to the majority
        Not when: all tasks must be good, or there are two
        Source: this package

    Args:
        temperature: T, above 0; the larger it is, the more equal the weights are. Defaults to
            `1.0`.
        ema: The part of an average that stays from step to step, below 1. Defaults to `0.9`.
        name: Optional name of the layer.

    Raises:
        ValueError: If the temperature is not above 0, or `ema` not from 0 to 0.9999999.

    Example:
        >>> rows = ops.array([[3.0, 1.0, 0.0], [1.0, 2.0, 2.0], [-2.0, 1.0, 1.0]])
        >>> weights = GradientSimilarity().weigh(rows @ ops.transpose(rows), [1.0, 1.0, 1.0])
        >>> [round(float(weight), 4) for weight in weights]
        [0.8664, 1.3709, 0.7627]

    Reference: No published rule is known under this name; it is this package's. Papers that speak
    of contrastive weights mean auxiliary losses on pairs.
    """

    def __init__(
        self,
        *,
        temperature: float = 1.0,
        ema: float = 0.9,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("temperature", temperature, 1e-6)
        check_numbers("ema", ema, 0, 1 - 1e-7)
        self.temperature, self.ema = float(temperature), float(ema)

    def build(self, num_tasks: int) -> None:
        """Makes the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self.cosine = self.add_state("cosine", (num_tasks, num_tasks), task_axes=2)
        # 1 - ema^t after t steps with both gradients: the part of the average that is known.
        self.known = self.add_state("known", (num_tasks, num_tasks), task_axes=2)

    def similarities(self) -> Tensor:
        """Returns the averages c `[K, K]` so far, with 0 where nothing is known."""
        known = self.known.value
        return self.cosine.value / ops.where(known > 0, known, 1)

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Computes the weights `[K]` from the Gramian `[K, K]`."""
        cosines, lengths = cosines_and_lengths(gramian)
        counts = ops.logical_and(lengths[:, None] > 0, lengths > 0)
        for state, new in ((self.cosine, cosines), (self.known, ops.ones_like(cosines))):
            moved = self.ema * state.value + (1 - self.ema) * ops.cast(new, "float32")
            state.assign(ops.where(counts, moved, state.value))
        num_tasks = size_of(gramian, "float32")
        average = self.similarities() * (1 - ops.eye(size_of(gramian), dtype="float32"))
        similarity = ops.sum(average, axis=1) / larger(num_tasks - 1, 1)  # (2)
        weights = num_tasks * softmax(similarity / self.temperature)
        return nan_where_not_finite(weights, gramian)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {**super().get_config(), "temperature": self.temperature, "ema": self.ema}

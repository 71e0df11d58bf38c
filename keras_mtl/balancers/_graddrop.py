"""Gradient sign dropout."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GradientBalancer, check_numbers, check_seed, plain


@keras.saving.register_keras_serializable(package="keras_mtl")
class GradDrop(GradientBalancer):
    """Keeps, entry by entry, either the positive or the negative gradients, at random.

    For each entry, with u drawn uniformly from 0 to 1,

        p = (1 + sum_i g_i / sum_i |g_i|) / 2
        d = sum_i (l_i + (1 - l_i) m_i) g_i     m_i = [g_i > 0][p > u] + [g_i < 0][p < u]

    so that all kept gradients have one sign, and the sign with the larger sum is likelier. Choose
    it as noise that finds minima on which the tasks agree. It is not the right choice with few
    steps, or when memory is short: all gradients are joined into one array `[K, n]`.

    The direction has the scale of the plain sum, and equals it in entries without conflict.

    Guide:
        Choose it when: the signs of the gradients disagree entry by entry
        Not when: memory is scarce
        Source: Chen et al. 2020, arXiv:2010.06808

    Args:
        leak: The part `l_i` of a task's gradient that is always kept, from 0 to 1: one number for
            all tasks, K numbers, or a dict by task name. Defaults to `0.0`.
        seed: Seed of the draws, which change at each step. Defaults to `0`. With the same seed,
            XLA draws other numbers than TensorFlow without XLA.
        name: Optional name of the layer.

    Raises:
        ValueError: If a leak is not from 0 to 1 or the seed is negative; when the model is
            created, if there is not one leak per task.

    Example:
        >>> direction = GradDrop().merge([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], [1.0, 1.0])
        >>> float(direction[0]) in (-4.0, 6.0), [float(entry) for entry in direction[1:]]
        (True, [2.0, 2.0])

    Reference: Chen et al. (2020), arXiv:2010.06808. The paper's layer stands at an activation: it
    multiplies gradients by the activation's sign and sums them over the batch before it computes
    p. Here p is computed from the gradients as they are, of shared variables or of a
    representation.
    """

    def __init__(
        self,
        *,
        leak: float | Sequence[float] | Mapping[str, float] = 0.0,
        seed: int = 0,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_numbers("leak", leak, 0, 1)
        check_seed(seed)
        self._leak = leak
        self._seed = int(seed)

    def build(self, num_tasks: int) -> None:
        """Creates the state for `num_tasks` tasks."""
        super().build(num_tasks)
        self._leaks = self.per_task("leak", self._leak)

    def merge(self, gradients: Tensor, losses: Tensor) -> Tensor:
        """Computes the direction d `[n]` for gradients `[K, n]`."""
        # Sums of either sign, not a mask for each task: fewer passes over [K, n].
        above, below = ops.maximum(gradients, 0), ops.minimum(gradients, 0)
        positive, negative = ops.sum(above, axis=0), ops.sum(below, axis=0)
        chance = ops.divide_no_nan(positive, positive - negative)  # p, [n]
        draw = keras.random.uniform(
            ops.shape(positive), dtype="float32", seed=self.seed(self._seed)
        )
        if not any(self._leaks):
            return ops.where(chance > draw, positive, negative)
        leak = self.select_active(self._leaks)
        kept = ops.where(chance > draw, ops.matmul(1 - leak, above), ops.matmul(1 - leak, below))
        return kept + ops.matmul(leak, gradients)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal balancer."""
        return {**super().get_config(), "leak": plain(self._leak), "seed": self._seed}

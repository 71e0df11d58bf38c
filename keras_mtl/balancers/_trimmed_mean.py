"""The coordinate-wise trimmed mean."""

from typing import Any

import keras
from keras import ops

from keras_mtl._types import Tensor
from keras_mtl.balancers._base import GradientBalancer
from keras_mtl.balancers._solvers import size_of, smaller


@keras.saving.register_keras_serializable(package="keras_mtl")
class TrimmedMean(GradientBalancer):
    """Averages gradients entry by entry, without the largest and the smallest ones.

        d = mean of g_(b+1) <= ... <= g_(K-b)     in each entry, for sorted g_(1) <= ... <= g_(K)

    Choose it with many tasks of which a few may send wrong gradients: entries of any size then
    change nothing. Not the right choice with few tasks, or when all tasks should count: with
    three tasks and b = 1 it is the median, and a task that differs from the other tasks has no
    influence.

    The direction has the scale of the mean, not of the sum. When fewer than 2 b + 1 tasks take
    part in a step, only so many are left out that one or two remain. Equal gradients give that
    gradient.

    Guide:
        Choose it when: a few of many tasks may send wrong gradients
        Not when: there are few tasks
        Source: Yin et al. 2018, arXiv:1803.01498

    Args:
        trim: b, the number of gradients that are left out at either end. Defaults to `1`.
        name: Optional name of the layer.

    Raises:
        ValueError: If `trim` is not a whole number from 0 on.

    Example:
        >>> direction = TrimmedMean(trim=1).merge([[1.0], [2.0], [90.0]], [1.0, 1.0, 1.0])
        >>> float(direction[0])
        2.0

    Reference: Yin et al. (2018), arXiv:1803.01498, definition 2, where the fraction left out at
    either end is given instead, and the gradients are those of machines instead of tasks.
    """

    def __init__(self, *, trim: int = 1, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        if trim != int(trim) or trim < 0:
            raise ValueError(f"trim must be a whole number from 0; received {trim!r}.")
        self.trim = int(trim)

    def merge(self, gradients: Tensor, losses: Tensor) -> Tensor:
        """Merges gradients `[K, n]` into the direction `[n]`."""
        num_tasks = size_of(gradients)
        trim = smaller(self.trim, (num_tasks - 1) // 2)
        # A number that is known while tracing may be 0; then nothing needs to be sorted.
        if not isinstance(trim, int) or trim > 0:
            gradients = ops.sort(gradients, axis=0)[trim : num_tasks - trim]
        return ops.mean(gradients, axis=0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal balancer."""
        return {**super().get_config(), "trim": self.trim}

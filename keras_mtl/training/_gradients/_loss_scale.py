"""Loss scaling: the factor that gradients carry under `mixed_float16`.

A factor on every gradient changes each rule that is not scale-free, so statistics are unscaled
before any rule reads them, and the direction is scaled again for the optimizer.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._replicas import Replicas
from keras_mtl._types import Tensor
from keras_mtl.training._gradients._gradient import Gradient, Row


class LossScale:
    """Holds the loss scale of an optimizer that has none: the factor is 1.

    Args:
        replicas: The replicas of the step; the optimizer adds up what all of them give it.
    """

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas

    @property
    def share(self) -> Tensor | float:
        """The factor of a gradient that all replicas have alike, as the optimizer takes it."""
        return self.replicas.share(1.0)

    @property
    def seeds(self) -> list[Tensor] | None:
        """The `output_gradients` with which one loss is differentiated."""
        return None

    def scaled(self, value: Tensor) -> Tensor:
        """Returns a number or gradient times the factor."""
        return value

    def unscaled(self, value: Tensor) -> Tensor:
        """Returns a gradient without the factor."""
        return value

    def for_optimizer(self, tensors: list[Tensor]) -> Row:
        """Returns gradients that all replicas have alike, as the optimizer takes them."""
        if self.replicas.count == 1:
            return [Gradient(tensor) for tensor in tensors]
        return [Gradient(tensor).times(self.share) for tensor in tensors]

    def with_overflow(
        self, gradients: dict[int, Gradient], overflow: Tensor
    ) -> dict[int, Gradient]:
        """Returns the gradients such that the optimizer sees that one has overflowed."""
        return gradients

    def spread_overflow(self, gradients: Sequence[Tensor]) -> Sequence[Tensor]:
        """Returns the gradients; not finite on any replica if they are not on one."""
        return gradients

    def to_report(self, broken: Tensor, losses_broken: Tensor) -> Tensor:
        """Returns the tasks, bool `[K]`, that the user is told of as left out of the step."""
        return broken


class DynamicLossScale(LossScale):
    """Holds the factor of an optimizer that scales losses, such as `LossScaleOptimizer`.

    Args:
        replicas: The replicas of the step.
        factor: The factor of this step, a scalar.
    """

    def __init__(self, replicas: Replicas, factor: Tensor) -> None:
        super().__init__(replicas)
        self._factor = factor

    @property
    def share(self) -> Tensor | float:
        """The factor of a gradient that all replicas have alike, as the optimizer takes it."""
        return self.replicas.share(self._factor)

    @property
    def seeds(self) -> list[Tensor] | None:
        """The `output_gradients` with which one loss is differentiated."""
        return [self._factor]

    def scaled(self, value: Tensor) -> Tensor:
        """Returns a number or gradient times the factor."""
        return value * self._factor

    def unscaled(self, value: Tensor) -> Tensor:
        """Returns a gradient without the factor."""
        return value / self._factor

    def for_optimizer(self, tensors: list[Tensor]) -> Row:
        """Returns gradients that all replicas have alike, as the optimizer takes them."""
        return [Gradient(tensor).times(self.share) for tensor in tensors]

    def with_overflow(
        self, gradients: dict[int, Gradient], overflow: Tensor
    ) -> dict[int, Gradient]:
        """Returns the gradients such that the optimizer sees that one has overflowed.

        It lowers its factor then, and skips the step. The gradients of the task that overflowed
        are zero by now, so all others are made NaN.
        """
        poison = tf.where(overflow, float("nan"), 1.0)
        return {key: gradient.times(poison) for key, gradient in gradients.items()}

    def spread_overflow(self, gradients: Sequence[Tensor]) -> Sequence[Tensor]:
        """Returns the gradients; not finite on any replica if they are not on one."""
        if self.replicas.count == 1:
            return gradients
        local = [Gradient(gradient) for gradient in gradients]
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g.values)) for g in local])
        overflows = self.replicas.sum(tf.cast(~finite, tf.float32))
        poison = tf.where(overflows > 0.0, float("nan"), 1.0)
        return [gradient.times(poison).array for gradient in local]

    def to_report(self, broken: Tensor, losses_broken: Tensor) -> Tensor:
        """Returns the tasks whose loss is not finite: gradients overflow now and then by design."""
        return losses_broken


def loss_scale_of(optimizer: Any, replicas: Replicas) -> LossScale:
    """Returns the loss scale of an optimizer in this step."""
    one = tf.ones(())
    factor = optimizer.scale_loss(one)
    if factor is one:
        return LossScale(replicas)
    return DynamicLossScale(replicas, tf.cast(factor, tf.float32))

"""Loss scaling: the factor that gradients carry under `mixed_float16`.

A factor on every gradient would change each rule that depends on their scale. So statistics are
unscaled before any rule reads them, and the direction is scaled again for the optimizer, which
divides by the factor itself, and adds up the shares of all replicas (docs/keras_notes.md, pain 30).
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._replicas import Replicas
from keras_mtl._types import Tensor
from keras_mtl.training._gradients._gradient import Gradient, Row


class LossScale:
    """Stands for the loss scale of an optimizer that does not scale losses: the factor is 1.

    Args:
        replicas: The replicas of the step; the optimizer adds up what all of them give it.
    """

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas

    skips_overflow = False
    """Whether the optimizer skips a step whose gradients are not finite."""

    @property
    def share(self) -> Tensor | float:
        """The factor for a gradient that is equal on all replicas; the optimizer adds these up."""
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
        """Returns gradients that are equal on all replicas, times `share`."""
        if self.replicas.count == 1:
            return [Gradient(tensor) for tensor in tensors]
        return [Gradient(tensor).times(self.share) for tensor in tensors]

    def with_overflow(
        self, gradients: dict[int, Gradient], overflow: Tensor
    ) -> dict[int, Gradient]:
        """Returns the gradients, in which the optimizer sees it if a task has overflowed."""
        return gradients

    def spread_overflow(self, gradients: Sequence[Tensor]) -> Sequence[Tensor]:
        """Returns the gradients; if they overflow on one replica, they do on all."""
        return gradients

    def to_report(self, broken: Tensor, losses_broken: Tensor) -> Tensor:
        """Returns the tasks, bool `[K]`, of which the user is warned as left out of the step."""
        return broken


class DynamicLossScale(LossScale):
    """Holds the factor of an optimizer that scales losses, such as `LossScaleOptimizer`.

    Args:
        replicas: The replicas of the step.
        factor: The factor of this step, a scalar.
    """

    skips_overflow = True

    def __init__(self, replicas: Replicas, factor: Tensor) -> None:
        super().__init__(replicas)
        self._factor = factor

    @property
    def share(self) -> Tensor | float:
        """The factor for a gradient that is equal on all replicas; the optimizer adds these up."""
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
        """Returns gradients that are equal on all replicas, times `share`."""
        return [Gradient(tensor).times(self.share) for tensor in tensors]

    def with_overflow(
        self, gradients: dict[int, Gradient], overflow: Tensor
    ) -> dict[int, Gradient]:
        """Returns the gradients, in which the optimizer sees it if a task has overflowed.

        The optimizer then lowers its factor and skips the step. The gradients of the task that
        overflowed have been replaced by zeros before, so here all gradients become NaN.
        """
        poison = tf.where(overflow, float("nan"), 1.0)
        return {key: gradient.times(poison) for key, gradient in gradients.items()}

    def spread_overflow(self, gradients: Sequence[Tensor]) -> Sequence[Tensor]:
        """Returns the gradients; if they overflow on one replica, they do on all.

        Keras looks for an overflow on the first replica only (docs/keras_notes.md, pain 69).
        """
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
    if factor is one:  # an optimizer without loss scaling returns its argument
        return LossScale(replicas)
    return DynamicLossScale(replicas, tf.cast(factor, tf.float32))

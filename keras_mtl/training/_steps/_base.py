"""One training step: losses -> statistics -> weights -> a gradient for every variable."""

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._replicas import num_replicas
from keras_mtl._types import Tensor
from keras_mtl.balancers import Balancer, GradientBalancer, GramianBalancer
from keras_mtl.training._frontier._variable_slice import joined
from keras_mtl.training._gradients._backward import Backward
from keras_mtl.training._gradients._gramian import (
    Row,
    Stack,
    gramian,
    nearest_weights,
    of_tasks,
    scale_rows,
    squared_lengths,
    stack,
    times,
)
from keras_mtl.training._steps import _active_tasks as _rules


@dataclasses.dataclass
class Outcome:
    """What a step found.

    Attributes:
        gradients: This replica's gradients by `id` of the variable; the optimizer adds up
            those of all replicas.
        weights: The task weights `[K]`.
        scalar: What a loss balancer minimizes; `None` for other kinds.
        broken: Tasks whose loss or gradient is not finite, bool `[K]`.
        left_out: Those of them to tell the user of. Loss scaling makes gradients overflow now
            and then, by design; there it is the tasks whose loss is not finite.
    """

    gradients: dict[int, Tensor]
    weights: Tensor
    scalar: Tensor | None
    broken: Tensor
    left_out: Tensor


@dataclasses.dataclass
class Step(abc.ABC):
    """Finds the gradients of one step; made anew for each trace.

    Attributes:
        balancer: The rule.
        backward: Gives gradients of this replica's losses.
        losses: Losses `[K]` of the global batch, times the tasks' own weights.
        labeled: Which tasks have a valid label in the global batch, bool `[K]`.
        stored: The weights `[K]` of the last step that computed them.
        due: Whether this step computes them; `None` if every step does.
        rescale_weights: Whether weights are brought to sum to the number of present tasks.
        scale_towers: Whether a task's own variables are weighted too.
    """

    balancer: Balancer
    backward: Backward
    losses: Tensor
    labeled: Tensor
    stored: Tensor
    due: Tensor | None
    rescale_weights: bool
    scale_towers: bool

    def __post_init__(self) -> None:
        self.present = self.labeled & tf.math.is_finite(self.losses)
        self.losses = tf.where(self.present, self.losses, tf.zeros_like(self.losses))

    @abc.abstractmethod
    def run(self) -> Outcome:
        """Takes the backward passes and applies the rule."""

    def outcome(
        self,
        weights: Tensor,
        shared: Row,
        towers: list[Row],
        finite: Tensor,
        scalar: Tensor | None = None,
    ) -> Outcome:
        """The outcome, from weights `[K]` and gradients without those of tasks not finite."""
        if self.scale_towers and scalar is None:  # a scalar has weighted them already
            towers = scale_rows(weights, towers)
        groups = [self.backward.shared, *self.backward.own]
        pairs = []
        for variables, row in zip(groups, [shared, *towers], strict=True):
            for variable, gradient in zip(variables, row, strict=True):
                if gradient is None:
                    raise ValueError(unreached(variable))
                pairs.append((variable, gradient))
        gradients = {id(variable): gradient for variable, gradient in joined(pairs)}
        took_part = self.present & finite
        broken = left_out = self.labeled & ~took_part
        if self.backward.scale is not None:
            # An overflow must reach the loss-scaling optimizer, which lowers its scale then; a
            # loss that is not finite is none.
            overflow = tf.reduce_any(self.present & ~finite)
            poison = tf.where(overflow, float("nan"), 1.0)
            gradients = {key: times(poison, g) for key, g in gradients.items()}
            left_out = self.labeled & ~self.present  # the optimizer sees to an overflow
        weights = tf.where(took_part, weights, tf.zeros_like(weights))
        return Outcome(gradients, weights, scalar, broken, left_out)

    def asked(self) -> Tensor:
        """The tasks that the rule is asked about; none in a step that reuses weights."""
        return self.present if self.due is None else self.present & self.due

    def reused(self) -> Tensor:
        """The weights of a step that reuses them."""
        return tf.where(self.present, self.stored, tf.zeros_like(self.stored))

    def or_reused(self, weights: Tensor) -> Tensor:
        """The weights, or those of the last step if this one computes none."""
        return weights if self.due is None else tf.where(self.due, weights, self.reused())

    def rescaled(self, weights: Tensor) -> Tensor:
        """The weights as `rescale_weights` wants them."""
        if not self.rescale_weights:
            return weights
        total = tf.reduce_sum(weights)
        count = tf.reduce_sum(tf.cast(self.present, tf.float32))
        return weights * tf.where(total > 0.0, count / total, 1.0)

    def stack(self, rows: list[Row]) -> Stack:
        """The rows stacked, without the factor of loss scaling."""
        stacked = stack(rows)
        if self.backward.scale is None:
            return stacked
        return [each / self.backward.scale for each in stacked]

    def gramian(self, stacked: Stack) -> Tensor:
        """Inner products `[K, K]` of gradients, as far as the rule reads them."""
        read = isinstance(self.balancer, GramianBalancer) and self.balancer.needs.lengths_only
        return squared_lengths(stacked) if read else gramian(stacked)

    def scaled(self, row: Row) -> Row:
        """Gradients as the optimizer takes them: times its loss scale, a share a replica."""
        if self.backward.scale is None and num_replicas() == 1:
            return row
        scale = 1.0 if self.backward.scale is None else self.backward.scale
        return [times(scale / num_replicas(), g) for g in row]

    def rule(self, stacked: Stack, matrix: Tensor, asked: Tensor) -> tuple[Tensor, Tensor | None]:
        """The weights `[K]`, and the direction `[n]` where the rule gives one.

        Args:
            stacked: Gradients of the global batch, finite.
            matrix: Their Gramian.
            asked: The tasks that the rule sees, bool `[K]`.
        """
        if isinstance(self.balancer, GramianBalancer):
            return self.rescaled(_rules.weigh(self.balancer, matrix, self.losses, asked)), None
        if not isinstance(self.balancer, GradientBalancer):
            raise TypeError(f"{type(self.balancer).__name__} is no kind of balancer.")
        jacobian = tf.concat(stacked, axis=1)
        direction = _rules.merge(self.balancer, jacobian, self.losses, asked)
        weights = nearest_weights(matrix, tf.linalg.matvec(jacobian, direction))
        rescaled = self.rescaled(weights)
        if self.rescale_weights:
            direction *= tf.math.divide_no_nan(tf.reduce_sum(rescaled), tf.reduce_sum(weights))
        return rescaled, direction


def finite_part(matrix: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """A Gramian with zeros for tasks whose gradient is not finite, and whose are, bool `[K]`."""
    finite = of_tasks(tf.math.is_finite(tf.linalg.diag_part(matrix)), sizes)
    both = finite[:, None] & finite[None, :]
    return tf.where(both, matrix, tf.zeros_like(matrix)), finite


def unreached(variable: Any) -> str:
    """What is said of a variable without a gradient."""
    return (
        f"the variable {variable.path!r} gets no gradient from the loss of any task. Connect it "
        "to a task's output, or set trainable=False on its layer."
    )

"""The input and the result of every kind of step."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._replicas import Replicas
from keras_mtl._types import Tensor
from keras_mtl.balancers import Balancer, GradientBalancer, GramianBalancer
from keras_mtl.training._frontier import source_of
from keras_mtl.training._gradients import (
    Backward,
    Gradient,
    Kernels,
    LossScale,
    Row,
    StackedGradients,
    existing,
    finite_towers,
    gramian,
    join_slices,
    nearest_weights,
    parts_to_check,
    row_of,
    scale_rows,
    split_direction,
    squared_lengths,
    stack,
)
from keras_mtl.training._steps._active_tasks import merging, on_active_tasks, weighing
from keras_mtl.training._steps._reuse import Reuse


@dataclasses.dataclass(frozen=True)
class StepResult:
    """Holds the result of one training step.

    Attributes:
        gradients: This replica's gradients by `id` of the variable, as the optimizer takes them;
            it adds up those of all replicas.
        checked: The variables, by `id`, whose gradients have been found finite.
        weights: The task weights `[K]`.
        scalar: The scalar that a loss balancer minimizes; `None` for other kinds.
        labeled: Tasks with a valid label, bool `[K]`.
        broken: Those of them whose loss or gradient is not finite, bool `[K]`.
        reported: Broken tasks that the user is warned of, bool `[K]`. With loss scaling these are
            only the tasks whose loss is not finite: gradients overflow now and then by design.
    """

    gradients: dict[int, Tensor]
    checked: frozenset[int]
    weights: Tensor
    scalar: Tensor | None
    labeled: Tensor
    broken: Tensor
    reported: Tensor


@dataclasses.dataclass(frozen=True)
class Step:
    """Holds the input of a step, and the parts that every kind of step shares; one for each trace.

    Attributes:
        balancer: The rule.
        backward: Takes gradients of this replica's losses.
        losses: Losses `[K]` of the global batch, times `Task.weight`; 0 for inactive tasks.
        labeled: Which tasks have a valid label in the global batch, bool `[K]`.
        active: Which of them take part: those whose loss is finite, bool `[K]`.
        reuse: Whether this step computes weights, or uses those of an earlier step again.
        loss_scale: The loss scale of the optimizer.
        replicas: The replicas of the step.
        rescale_weights: Whether weights are rescaled to sum to the number of active tasks.
        scale_towers: Whether a task's own variables are weighted too.
        penalized: The variables, by `id`, that regularizers or `add_loss` reach. They need no
            gradient from the loss of a task.
        kernels: Kernels of which one column shows whether the gradient is finite.
        flag_of: Returns whether a variable is trained, a bool scalar; `None` if nothing is frozen.
        balanced: The tasks that the rule may see, bool `[K]`; `None` for all. Others have weight 1.
        sketch: Numbers of a gradient's sketch, where the Gramian is estimated; `None`: it is exact.
    """

    balancer: Balancer
    backward: Backward
    losses: Tensor
    labeled: Tensor
    active: Tensor
    reuse: Reuse
    loss_scale: LossScale
    replicas: Replicas
    rescale_weights: bool
    scale_towers: bool
    penalized: frozenset[int]
    kernels: Kernels
    flag_of: Callable[[Any], Tensor | None] = lambda variable: None
    balanced: Tensor | None = None
    sketch: int | None = None

    @property
    def num_losses(self) -> int:
        """K, the number of losses."""
        return int(self.losses.shape[0])

    @property
    def asked(self) -> Tensor:
        """The tasks that the rule sees, bool `[K]`; none where weights are reused."""
        return self.reuse.asked(self.active)

    @property
    def checks_weights(self) -> bool:
        """Whether weights and lengths of gradients tell that the weighted sum is finite.

        Not where steps reuse weights, and not where the optimizer looks at the sum itself.
        """
        by_weights = isinstance(self.balancer, GramianBalancer)
        return by_weights and self.reuse.due is None and not self.loss_scale.skips_overflow

    @property
    def shared_values(self) -> list[Tensor]:
        """The values of the shared variables."""
        return [variable.value for variable in self.backward.shared]

    def towers_by_loss(self, backward: Backward | None = None) -> tuple[list[Row], list[Row]]:
        """Takes the pass of the plain sum of active losses through all towers.

        Returns:
            For each loss, its cotangents and its task's gradients of the tower.
        """
        ones = tf.cast(self.active, tf.float32)
        return (self.backward if backward is None else backward).towers_by_loss(ones)

    def finite_towers(self, towers: list[Row]) -> Tensor:
        """Returns whose towers have finite gradients on this replica, bool `[K]`."""
        pairs = zip(self.backward.task_variables, towers, strict=True)
        parts = [parts_to_check(zip(*pair, strict=True), self.kernels) for pair in pairs]
        return finite_towers(parts, self.backward.sizes)

    def pass_trunk(
        self, cotangents: list[Row], backward: Backward | None = None
    ) -> StackedGradients:
        """Takes one pass through the trunk per loss; returns this replica's gradients.

        Raises:
            ValueError: If no loss and no penalty reaches a shared variable.
        """
        backward = self.backward if backward is None else backward
        rows = backward.rows(cotangents)
        # A rule sees all shared variables, also those that only a penalty reaches.
        reached = [existing(list(column)) for column in zip(*rows, strict=True)]
        rows[0] = [
            gradient if there else self._zeros(variable)
            for variable, gradient, there in zip(backward.shared, rows[0], reached, strict=True)
        ]
        return self.stack([self.flagged_row(backward.shared, row) for row in rows])

    def flagged(self, variable: Any, gradient: Gradient) -> Gradient:
        """Returns the gradient of a variable, 0 where its flag says that it is not trained."""
        flag = self.flag_of(source_of(variable))
        return gradient if flag is None else gradient.times(tf.cast(flag, tf.float32))

    def flagged_row(self, variables: Sequence[Any], row: Row) -> Row:
        """Returns the gradients of some variables, 0 for those that are not trained."""
        return [self.flagged(*pair) for pair in zip(variables, row, strict=True)]

    def _zeros(self, variable: Any) -> Gradient:
        """Returns the gradient of the losses for a variable that only a penalty reaches.

        Raises:
            ValueError: If no penalty reaches it either; Keras would only warn, and never train it.
        """
        if id(source_of(variable)) not in self.penalized:
            raise ValueError(unreached_message(variable))
        return Gradient(tf.zeros_like(variable.value))

    def dense(self, shared: Row) -> Row:
        """Returns dense gradients of the shared variables, one for each of them."""
        pairs = zip(self.backward.shared, shared, strict=True)
        return row_of((g if g.exists else self._zeros(v)).dense() for v, g in pairs)

    def laid_out(self, stacked: StackedGradients) -> StackedGradients:
        """Returns gradients of all variables that a rule may have numbers for; zeros for the rest.

        `GradientBalancer.lay_out` has told the rule of all that the graph shows as shared.

        Args:
            stacked: The gradients of those that are shared in this step.
        """
        by_variable = dict(zip(map(id, self.backward.shared), stacked, strict=True))
        return [
            by_variable[id(variable)]
            if id(variable) in by_variable
            else tf.zeros((self.num_losses, math.prod(variable.shape)))
            for variable in self.backward.shareable
        ]

    def cut_direction(self, direction: Tensor) -> list[Tensor]:
        """Cuts a direction over the variables of `laid_out`; returns those of the shared ones."""
        shareable = self.backward.shareable
        parts = split_direction(direction, [variable.value for variable in shareable])
        shared = {id(variable) for variable in self.backward.shared}
        pairs = zip(shareable, parts, strict=True)
        return [part for variable, part in pairs if id(variable) in shared]

    def stack(self, rows: list[Row]) -> StackedGradients:
        """Returns the rows stacked, without the factor of loss scaling."""
        return [self.loss_scale.unscaled(array) for array in stack(rows)]

    def gramian(self, stacked: StackedGradients) -> Tensor:
        """Returns the inner products `[K, K]` of gradients; only those that the rule reads."""
        lengths_only = self.balancer.needs.lengths_only
        return squared_lengths(stacked) if lengths_only else gramian(stacked)

    def rule(
        self, stacked: StackedGradients, matrix: Tensor, asked: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Returns the weights `[K]`, and the direction `[n]` where the rule gives one.

        Args:
            stacked: Finite gradients of the global batch; only a rule that merges them reads them.
            matrix: Their Gramian.
            asked: The tasks that take part, bool `[K]`; the rule sees those that are balanced.
        """
        seen = self.seen(asked)
        if isinstance(self.balancer, GramianBalancer):
            rule = weighing(self.balancer, matrix, self.losses, self.num_losses)
            (weights,) = on_active_tasks(self.balancer, seen, rule)
            return self.with_unbalanced(self.rescaled(weights), asked), None
        if not isinstance(self.balancer, GradientBalancer):
            raise TypeError(f"{type(self.balancer).__name__} is no kind of balancer.")
        jacobian = tf.concat(stacked, axis=1)  # [K, n], all shared variables side by side
        rule = merging(self.balancer, jacobian, self.losses)
        (direction,) = on_active_tasks(self.balancer, seen, rule)
        # For the logs, for towers, and for steps that reuse weights.
        if self.balanced is not None:
            pairs = self.balanced[:, None] & self.balanced[None, :]
            matrix = tf.where(pairs, matrix, tf.zeros_like(matrix))
        products = self._of_balanced(tf.linalg.matvec(jacobian, direction))
        weights = nearest_weights(matrix, products)
        rescaled = self.rescaled(weights)
        if self.rescale_weights:
            direction *= tf.math.divide_no_nan(tf.reduce_sum(rescaled), tf.reduce_sum(weights))
        if self.balanced is not None:
            unseen = tf.cast(asked & ~self.balanced, direction.dtype)
            direction += tf.linalg.matvec(jacobian, unseen, transpose_a=True)
        return self.with_unbalanced(rescaled, asked), direction

    def seen(self, asked: Tensor) -> Tensor:
        """Returns those of some tasks that the rule may see, bool `[K]`."""
        return asked if self.balanced is None else asked & self.balanced

    def _of_balanced(self, values: Tensor) -> Tensor:
        """Returns numbers `[K]`, 0 for tasks that are not balanced."""
        if self.balanced is None:
            return values
        return tf.where(self.balanced, values, tf.zeros_like(values))

    def with_unbalanced(self, weights: Tensor, asked: Tensor) -> Tensor:
        """Returns weights `[K]`, 1 for tasks that take part and are not balanced."""
        if self.balanced is None:
            return weights
        return tf.where(asked & ~self.balanced, tf.ones_like(weights), weights)

    def rescaled(self, weights: Tensor) -> Tensor:
        """Returns the weights; with `rescale_weights`, rescaled to sum to the active tasks' number.

        Weights of sum 0 or less stay as they are.
        """
        if not self.rescale_weights:
            return weights
        total = tf.reduce_sum(weights)
        num_active = tf.reduce_sum(tf.cast(self.seen(self.active), tf.float32))
        return weights * tf.where(total > 0.0, num_active / total, 1.0)

    def result(
        self,
        weights: Tensor,
        shared: Row,
        towers: list[Row],
        finite: Tensor,
        scalar: Tensor | None = None,
        shared_checked: bool = False,
    ) -> StepResult:
        """Returns the result of the step.

        Args:
            weights: The task weights `[K]`.
            shared: Gradients of the shared variables, without tasks that are not finite.
            towers: For each loss, gradients of its task's own variables, likewise.
            finite: Whose gradients are finite, bool `[K]`.
            scalar: The scalar of a loss balancer, whose step has weighted the towers already.
            shared_checked: Whether gradients of the shared variables are known to be finite.

        Raises:
            ValueError: If no loss and no penalty reaches a variable.
        """
        towers_change = self.scale_towers and scalar is None
        if towers_change:
            towers = scale_rows(weights, towers)
        shared_variables = self.backward.shared
        own_variables = [v for variables in self.backward.task_variables for v in variables]
        pairs = [
            (variable, gradient if gradient.exists else self._zeros(variable))
            for variable, gradient in zip(
                [*shared_variables, *own_variables],
                [*shared, *(gradient for row in towers for gradient in row)],
                strict=True,
            )
        ]
        # By identity, since variables of nested models may have equal paths (docs/keras_notes.md,
        # pain 9).
        gradients = {id(variable): gradient for variable, gradient in join_slices(pairs)}
        checked = [*(shared_variables if shared_checked else ())]
        checked += [] if towers_change else own_variables
        took_part = self.active & finite
        broken = self.labeled & ~took_part
        overflow = tf.reduce_any(self.active & ~finite)
        gradients = self.loss_scale.with_overflow(gradients, overflow)
        return StepResult(
            gradients={key: gradient.array for key, gradient in gradients.items()},
            checked=frozenset(id(source_of(variable)) for variable in checked),
            weights=tf.where(took_part, weights, tf.zeros_like(weights)),
            scalar=scalar,
            labeled=self.labeled,
            broken=broken,
            reported=self.loss_scale.to_report(broken, self.labeled & ~self.active),
        )


def unreached_message(variable: Any) -> str:
    """Returns the error's text for a variable that no loss reaches."""
    return (
        f"the variable {variable.path!r} gets no gradient from the loss of any task, nor from "
        "add_loss or a regularizer. Connect it to a task's output, or set trainable=False on its "
        "layer and compile again."
    )

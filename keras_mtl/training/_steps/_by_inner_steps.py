"""The step of rules that combine two batches, after plain steps that are taken back."""

import itertools

import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.training._gradients import (
    Row,
    StackedGradients,
    branch,
    combine,
    gramian,
    keep_finite,
    row_of,
    weighted_sum,
    zero_rows,
)
from keras_mtl.training._steps._active_tasks import on_active_tasks, weighing
from keras_mtl.training._steps._moved_variables import (
    LossesAt,
    Values,
    current_values,
    differentiate,
    gradients_at,
    gradients_here,
    look_ahead_weights,
    moved,
    tower_gradients,
    trained,
    with_variables,
)
from keras_mtl.training._steps._step import Step, StepResult


def step_by_inner_steps(
    step: Step, losses_at: LossesAt, losses_again: LossesAt, task_weights: Tensor
) -> StepResult:
    """Applies the rule to the gradients of two batches, and to the losses before and after descent.

    Takes the passes of both batches at the current variables, and `needs.inner_steps` plain steps
    on the first batch, which are taken back.

    Args:
        step: The step.
        losses_at: Losses on the second batch.
        losses_again: Losses on the first batch, with the dropout masks of this step.
        task_weights: `Task.weight` of each loss, `[K]`.
    """
    stacked, towers, finite = gradients_here(step)
    second, _, usable = gradients_at(step, losses_at, current_values(step))
    usable &= tf.math.is_finite(tf.linalg.diag_part(gramian(second)))
    second, _ = keep_finite(usable, second, [])
    of_towers = tower_gradients(step, towers)
    descent = _InnerDescent(step, losses_again, task_weights, step.active & finite)
    after = descent.losses_after(stacked, of_towers)
    usable &= tf.math.is_finite(after)
    after = tf.where(usable, after, step.losses)  # no decrease, for tasks that are not asked about

    both = [tf.concat(pair, axis=0) for pair in zip(stacked, second, strict=True)]  # [2K, n]
    losses = tf.concat([step.losses, after], axis=0)  # [2K]
    asked = step.asked & finite & usable
    rule = weighing(step.balancer, gramian(both), losses, step.num_losses)
    (weights,) = on_active_tasks(step.balancer, asked, rule)  # [2K]
    weights = step.rescaled(weights)
    shared = step.loss_scale.for_optimizer(combine(weights, both, step.shared_values))
    return step.result(weights[: step.num_losses], shared, towers, finite)


class _InnerDescent:
    """Takes plain steps on the weighted sum of some tasks' losses, without changing a variable.

    Args:
        step: The step.
        losses_again: Losses on the batch, as a function of the variables' values.
        task_weights: `Task.weight` of each loss, `[K]`.
        taking_part: The tasks whose losses are lowered, bool `[K]`.
    """

    def __init__(
        self, step: Step, losses_again: LossesAt, task_weights: Tensor, taking_part: Tensor
    ) -> None:
        self.step, self.losses_again, self.task_weights = step, losses_again, task_weights
        self.taking_part = taking_part
        weights = look_ahead_weights(step)
        self.weights = tf.where(taking_part, weights, tf.zeros_like(weights))

    def losses_after(self, stacked: StackedGradients, of_towers: Values) -> Tensor:
        """Returns the losses `[K]` of the batch after the inner steps.

        Args:
            stacked: The gradients of the shared variables before the first step.
            of_towers: Those of the towers.
        """
        needs = self.step.balancer.needs
        shared = combine(self.weights, stacked, self.step.shared_values)
        rate = needs.inner_learning_rate
        # The gradients of the first inner step are known already.
        values = moved(current_values(self.step), rate, [shared, *of_towers])
        for _ in range(needs.inner_steps - 1):
            values = moved(values, rate, self._directions(values))
        _, losses, _ = self.losses_again(with_variables(self.step, values))
        return losses * self.task_weights

    def _directions(self, values: Values) -> Values:
        """Returns the gradients of the weighted sum; for a tower, those of its task's loss."""
        step = self.step
        flat = [value for group in values for value in group]
        # With respect to values, not variables, which stay as they are.
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(flat)
            replica_losses, _, _ = self.losses_again(with_variables(step, values))
            pairs = zip(tf.unstack(self.weights), replica_losses, strict=True)
            total = tf.add_n([weight * loss for weight, loss in pairs])

        def at_once() -> Row:
            # Dense and float32, as sums are: a branch wants the same forms.
            return row_of(g.dense() for g in differentiate(step, tape, total, flat))

        def one_by_one() -> Row:
            # A gradient that is not finite stays so when it is multiplied by zero.
            rows = [differentiate(step, tape, loss, flat) for loss in replica_losses]
            return weighted_sum(self.weights, zero_rows(~self.taking_part, rows))

        healthy = tf.reduce_all(self.taking_part | ~step.labeled)
        # One row, stacked: [1, n] for each of the values, in their order.
        stacked = step.replicas.sum(step.stack([branch(healthy, at_once, one_by_one)]))
        gradients = iter(zip(stacked, flat, strict=True))
        shared, *towers = [
            [tf.reshape(g, tf.shape(v)) for g, v in itertools.islice(gradients, len(group))]
            for group in values
        ]
        # The gradient of the sum holds the weight of the task in a tower too: divide it out.
        unweighted = [
            [tf.math.divide_no_nan(gradient, weight) for gradient in row]
            for weight, row in zip(tf.unstack(self.weights), towers, strict=True)
        ]
        return trained(step, [shared, *unweighted])

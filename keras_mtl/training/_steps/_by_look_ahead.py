"""The step of rules that look at a second batch, after a step that is taken back."""

import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.training._gradients import combine, gramian, scale_rows
from keras_mtl.training._steps._moved_variables import (
    LossesAt,
    Values,
    current_values,
    gradients_at,
    gradients_here,
    look_ahead_weights,
    moved,
    tower_gradients,
)
from keras_mtl.training._steps._step import Step, StepResult


def step_by_look_ahead(step: Step, losses_at: LossesAt, learning_rate: Tensor) -> StepResult:
    """Applies the rule to the gain of each weight for each task on a second batch.

    With the gradients g_i of the batch, and the gradients h_j of the second batch after a plain
    step, `learning_rate * g_i . h_j` is the decrease of task j's loss per unit of weight i, to
    first order. Takes two passes per task, one on each batch.

    Args:
        step: The step.
        losses_at: Losses on the second batch.
        learning_rate: The learning rate of the plain step.
    """
    stacked, towers, finite = gradients_here(step)
    of_towers, weights = tower_gradients(step, towers), look_ahead_weights(step)
    tower_steps = of_towers  # without scale_towers, a tower takes its task's gradient unweighted
    if step.scale_towers:
        tower_steps = tower_gradients(step, scale_rows(weights, towers))
    shared_step = combine(weights, stacked, step.shared_values)
    there = moved(current_values(step), learning_rate, [shared_step, *tower_steps])

    ahead, towers_ahead, usable = gradients_at(step, losses_at, there)
    gains = gramian(stacked, ahead)  # [i, j]: of weight i for the loss of task j
    if step.scale_towers:  # a weight moves its own task's tower as well
        gains += tf.linalg.diag(_products(of_towers, tower_gradients(step, towers_ahead)))
    usable &= tf.math.is_finite(tf.reduce_sum(gains, axis=0))  # the column of task j
    gains = tf.where(usable[None, :], gains, tf.zeros_like(gains))

    # The second batch gives the weights alone: the update is along the gradients of the first one.
    weights, _ = step.rule([], learning_rate * gains, step.asked & finite & usable)
    gradients = combine(weights, stacked, step.shared_values)
    return step.result(weights, step.loss_scale.for_optimizer(gradients), towers, finite)


def _products(first: Values, second: Values) -> Tensor:
    """Returns the inner product of each task's gradients of its tower, `[K]`."""
    products = [
        tf.add_n([tf.reduce_sum(a * b) for a, b in zip(*pair, strict=True)] or [0.0])
        for pair in zip(first, second, strict=True)
    ]
    return tf.stack(products)

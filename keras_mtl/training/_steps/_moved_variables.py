"""Plain steps that are taken back: values of the variables after them, and gradients there.

No variable is assigned: a step is a list of new values, which a forward pass uses instead.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.training._frontier import source_of
from keras_mtl.training._gradients import (
    Gradient,
    Row,
    StackedGradients,
    finite_part,
    gramian,
    join_slices,
    keep_finite,
    row_of,
)
from keras_mtl.training._logs import Losses
from keras_mtl.training._steps._step import Step

Values: TypeAlias = list[list[Tensor]]
"""A value for each shared variable, then for the variables of each loss's task."""

LossesAt: TypeAlias = Callable[[list[tuple[Any, Tensor]]], Losses]
"""The losses on a batch, as a function of values for some variables."""


def gradients_here(step: Step) -> tuple[StackedGradients, list[Row], Tensor]:
    """Returns gradients at the current variables.

    Returns:
        The gradients of the shared variables, of all replicas; those of the towers; and whose
        gradients are finite, bool `[K]`.
    """
    cotangents, towers = step.towers_by_loss()
    stacked = step.replicas.sum(step.pass_trunk(cotangents))
    usable = step.replicas.all_true(step.finite_towers(towers))
    _, finite = finite_part(gramian(stacked), usable, step.backward.sizes)
    stacked, towers = keep_finite(finite, stacked, towers)
    return stacked, towers, finite


def tower_gradients(step: Step, towers: list[Row]) -> Values:
    """Returns the towers' gradients of the global batch, without loss scaling."""
    rows = [
        step.replicas.sum([step.loss_scale.unscaled(gradient.dense()) for gradient in row])
        for row in towers
    ]
    return trained(step, [[], *rows])[1:]


def trained(step: Step, directions: Values) -> Values:
    """Returns directions, 0 for variables that are not trained now."""
    flags = [
        [step.flag_of(source_of(variable)) for variable in group]
        for group in [step.backward.shared, *step.backward.task_variables]
    ]
    return [
        [
            move if flag is None else tf.where(flag, move, tf.zeros_like(move))
            for move, flag in pairs
        ]
        for pairs in map(zip, directions, flags)
    ]


def look_ahead_weights(step: Step) -> Tensor:
    """Returns the weights `[K]` of the steps that are taken back."""
    weights = step.balancer.look_ahead_weights()
    return step.rescaled(tf.where(step.active, weights, tf.zeros_like(weights)))


def current_values(step: Step) -> Values:
    """Returns the values of the shared variables, then of each loss's task."""
    groups = [step.backward.shared, *step.backward.task_variables]
    return [[variable.value for variable in group] for group in groups]


def moved(start: Values, rate: Tensor | float, directions: Values) -> Values:
    """Returns the values after a step of a learning rate against some directions.

    Directions are float32, whatever the dtype of a variable is.
    """
    return [
        [value - tf.cast(rate * move, value.dtype) for value, move in zip(group, row, strict=True)]
        for group, row in zip(start, directions, strict=True)
    ]


def with_variables(step: Step, values: Values) -> list[tuple[Any, Tensor]]:
    """Returns the variables, each with its value; joins the values of one variable's slices."""
    groups = [step.backward.shared, *step.backward.task_variables]
    pairs = [
        (variable, Gradient(value))
        for group, row in zip(groups, values, strict=True)
        for variable, value in zip(group, row, strict=True)
    ]
    return [(variable, joined.array) for variable, joined in join_slices(pairs)]


def gradients_at(
    step: Step, losses_at: LossesAt, values: Values
) -> tuple[StackedGradients, list[Row], Tensor]:
    """Returns gradients of losses at other values of the variables.

    Args:
        step: The step.
        losses_at: The losses of some batch.
        values: The values of the variables at which they are differentiated.

    Returns:
        The gradients of the shared variables, summed over replicas; those of the towers, of this
        replica; and which tasks have labels and finite losses, bool `[K]`.
    """
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([value for group in values for value in group])
        replica_losses, losses, counts = losses_at(with_variables(step, values))
    usable = (counts > 0.0) & tf.math.is_finite(losses)
    # Each loss with respect to the shared values, then to those of its own task.
    rows = [
        differentiate(step, tape, loss, [*values[0], *of_task])
        for loss, of_task in zip(replica_losses, values[1:], strict=True)
    ]
    num_shared = len(values[0])
    of_shared = [step.flagged_row(step.backward.shared, row[:num_shared]) for row in rows]
    shared = step.replicas.sum(step.stack(of_shared))
    return shared, [row[num_shared:] for row in rows], usable


def differentiate(step: Step, tape: tf.GradientTape, loss: Tensor, sources: list[Tensor]) -> Row:
    """Returns the gradients of a loss, with loss scaling; zeros where it reaches nothing."""
    return row_of(
        tape.gradient(
            [loss],
            sources,
            output_gradients=step.loss_scale.seeds,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
    )

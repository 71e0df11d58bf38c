"""The step with gradients with respect to the shared variables, `at="parameters"`."""

import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.training._gradients import (
    Row,
    StackedGradients,
    combine,
    finite_part,
    is_finite_sum,
    keep_finite,
)
from keras_mtl.training._steps._reuse import Weighted
from keras_mtl.training._steps._step import Step, StepResult


def step_at_parameters(step: Step) -> StepResult:
    """Takes one pass through the towers and one per loss through the trunk, then calls the rule."""
    cotangents, towers = step.towers_by_loss()
    usable = step.finite_towers(towers)

    def fresh(local: StackedGradients, towers: list[Row]) -> Weighted:
        # The Gramian of a sum is not the sum of the Gramians: gradients are summed first
        # (docs/design.md, D2; docs/keras_notes.md, pain 30).
        stacked = step.replicas.sum(local)
        all_usable = step.replicas.all_true(usable)
        matrix, finite = finite_part(step.gramian(stacked), all_usable, step.backward.sizes)
        stacked, _ = keep_finite(finite, stacked, [])
        weights, direction = step.rule(step.laid_out(stacked), matrix, step.asked & finite)
        if step.checks_weights:
            weights, finite = _all_or_none(weights, matrix, finite)
        _, towers = keep_finite(finite, [], towers)
        shared = _shared_gradients(step, weights, direction, stacked)
        return weights, shared, towers, finite

    return step.result(
        *step.reuse.run(
            passes=lambda: step.pass_trunk(cotangents),
            fresh=fresh,
            reused=lambda towers: weighted_by_stored(step, cotangents, towers, usable),
            towers=towers,
        ),
        shared_checked=step.checks_weights,
    )


def _all_or_none(weights: Tensor, matrix: Tensor, finite: Tensor) -> tuple[Tensor, Tensor]:
    """Returns weights, and whose gradients count; zeros and none if the sum is not finite.

    Args:
        weights: Weights `[K]`.
        matrix: The Gramian `[K, K]` of gradients that are finite.
        finite: Whose are, bool `[K]`.
    """
    healthy = is_finite_sum(weights, matrix)
    return tf.where(healthy, weights, tf.zeros_like(weights)), finite & healthy


def weighted_by_stored(
    step: Step, cotangents: list[Row], towers: list[Row], usable: Tensor
) -> Weighted:
    """Weighs the gradients by stored weights: one pass, of the weighted sum, through the trunk."""
    weights = step.reuse.weights(step.active)
    shared, towers, finite = step.backward.weighted(weights, cotangents, towers, usable)
    # Dense, as the gradients of a step that computes weights: a branch wants the same forms.
    return weights, step.dense(shared), towers, finite


def _shared_gradients(
    step: Step, weights: Tensor, direction: Tensor | None, stacked: StackedGradients
) -> Row:
    """Returns the gradients of the shared variables: a weighted sum, or the rule's direction."""
    if direction is None:
        gradients = combine(weights, stacked, step.shared_values)
    else:
        gradients = step.cut_direction(direction)
    return step.loss_scale.for_optimizer(gradients)

"""The step of rules that need gradients of independent samples of a batch."""

import dataclasses

import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.training._gradients import (
    Backward,
    Row,
    StackedGradients,
    gramian,
    keep_finite,
    sum_of_finite,
)
from keras_mtl.training._steps._at_parameters import weighted_by_stored
from keras_mtl.training._steps._reuse import Weighted
from keras_mtl.training._steps._step import Step, StepResult


def step_by_samples(step: Step, samples: list[Backward], in_all: Tensor) -> StepResult:
    """Applies the rule to the products of gradients of the first two samples.

    Entry [i, j] is the product of task i's gradient on the first sample and task j's on the second.
    Takes two passes through the trunk per task, and one of the weighted sum on the last sample.

    Args:
        step: The step on the whole batch.
        samples: Gradients of each sample's losses.
        in_all: Which tasks have a valid label in every sample, bool `[K]`.
    """
    # A task without a label in some sample would have a zero gradient there.
    step = dataclasses.replace(step, active=step.active & in_all)
    cotangents, towers = step.towers_by_loss()
    usable = step.finite_towers(towers)

    def passes() -> StackedGradients:
        first, second = (
            step.pass_trunk(step.towers_by_loss(sample)[0], sample) for sample in samples[:2]
        )
        return [*first, *second]

    def fresh(local: StackedGradients, towers: list[Row]) -> Weighted:
        both = step.replicas.sum(local)  # arrays of the first sample, then those of the second
        half = len(both) // 2
        weights, shared, finite = _weigh_last(
            step, [both[:half], both[half:]], samples[-1], step.replicas.all_true(usable)
        )
        return weights, shared, keep_finite(finite, [], towers)[1], finite

    return step.result(
        *step.reuse.run(
            passes=passes,
            fresh=fresh,
            reused=lambda towers: weighted_by_stored(step, cotangents, towers, usable),
            towers=towers,
        )
    )


def _weigh_last(
    step: Step, stacks: list[StackedGradients], last: Backward, usable: Tensor
) -> tuple[Tensor, Row, Tensor]:
    """Returns the weights, the weighted gradients of the last sample, and whose are finite.

    Only the weighted sum of the last sample's gradients is needed: one pass, once the weights are
    known.

    Args:
        step: The step.
        stacks: Gradients of the first two samples, of all replicas.
        last: Gradients of the last sample.
        usable: Whose towers have finite gradients of the whole batch, bool `[K]`.
    """
    squares = [tf.linalg.diag_part(gramian(stacked)) for stacked in stacks]
    finite = tf.math.is_finite(tf.add_n(squares)) & usable
    cotangents, last_towers = step.towers_by_loss(last)
    last_usable = step.finite_towers(last_towers)
    # Its gradients are not stacked, so their finiteness is found apart.
    _, _, last_finite = sum_of_finite(
        None, cotangents, last_towers, last_usable, step.backward.sizes, step.replicas
    )
    finite &= last_finite
    stacks = [keep_finite(finite, stacked, [])[0] for stacked in stacks]
    weights, _ = step.rule([], gramian(*stacks), step.asked & finite)
    shared, _, sum_finite = last.weighted(weights, cotangents, last_towers, last_usable)
    return weights, step.dense(shared), finite & sum_finite

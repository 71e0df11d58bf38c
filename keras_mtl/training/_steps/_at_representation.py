"""The step with gradients with respect to the shared representation, `at="representation"`."""

from collections.abc import Callable

import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.balancers import GramianBalancer
from keras_mtl.training._gradients import (
    Row,
    SpreadCotangents,
    StackedGradients,
    combine,
    existing,
    finite_part,
    gramian_of_sketch,
    keep_finite,
    row_of,
    sketch,
)
from keras_mtl.training._steps._global_batch import batch_start, join_batches, part_of_batch
from keras_mtl.training._steps._reuse import Weighted
from keras_mtl.training._steps._step import Step, StepResult


def step_at_representation(step: Step) -> StepResult:
    """Takes one pass through the towers and one through the trunk, for any number of tasks."""
    if isinstance(step.balancer, GramianBalancer):
        spread = step.backward.spread(tf.cast(step.active, tf.float32))
        if spread is not None:
            return _step_with_spread_columns(step, *spread)
    cotangents, towers = step.towers_by_loss()
    usable = step.finite_towers(towers)
    if not isinstance(step.balancer, GramianBalancer):
        usable = step.replicas.all_true(usable)
        return _step_along_direction(step, cotangents, towers, usable)
    # Only the weights depend on the rule: the weighted sum of the cotangents passes the trunk once.
    reached = _keep_tensors(cotangents, _tensors_reached(cotangents))
    if step.sketch is None:
        weights, usable = _weigh(step, lambda: step.gramian(step.stack(reached)), usable)
    else:
        numbers = _sketching(step, step.sketch, reached)
        weights, usable = _weigh(step, numbers, usable, gramian_of_sketch)
    shared, towers, finite = step.backward.weighted(weights, cotangents, towers, usable)
    return step.result(weights, shared, towers, finite)


def _step_with_spread_columns(
    step: Step, cotangents: SpreadCotangents, towers: list[Row]
) -> StepResult:
    """Takes the same step without a row for each column: `SpreadColumns` says how."""
    lengths_only = step.balancer.needs.lengths_only
    usable = step.finite_towers(towers)
    weights, usable = _weigh(step, lambda: cotangents.gramian(lengths_only), usable)
    total, towers, finite = cotangents.sum_of_finite(weights, towers, usable, step.replicas)
    return step.result(weights, step.backward.trunk(total), towers, finite)


def _sketching(step: Step, size: int, cotangents: list[Row]) -> Callable[[], Tensor]:
    """Returns the function that sketches this replica's cotangents.

    Examples have the signs and places of their positions in the global batch.
    """
    tensors = _first_of_each(cotangents)
    starts: list[Tensor | None] = [None] * len(tensors)
    if step.replicas.count > 1:  # the collective cannot stand in the branch of the function
        # All tensors of the frontier have the examples along their first axis.
        num_before = batch_start(tf.shape(tensors[0])[0], step.replicas)
        starts = [num_before * tf.reduce_prod(tf.shape(tensor)[1:]) for tensor in tensors]
    seed = tf.cast(step.balancer.iteration.value, tf.int32)
    return lambda: sketch(step.stack(cotangents), size, seed, starts)


def _weigh(
    step: Step,
    local_statistic: Callable[[], Tensor],
    usable: Tensor,
    gramian_of: Callable[[Tensor], Tensor] = lambda matrix: matrix,
) -> tuple[Tensor, Tensor]:
    """Returns the weights, and which tasks' gradients have a finite Gramian, bool `[K]`.

    Args:
        step: The step.
        local_statistic: Returns the Gramian of this replica's cotangents, or their sketch.
        usable: Whose towers have finite gradients on this replica, bool `[K]`.
        gramian_of: Returns the Gramian of the statistic of all replicas.
    """

    def fresh(local: list[Tensor], towers: list[Row]) -> Weighted:
        # Examples lie on one replica each, so here the Gramians of the replicas do add up.
        statistic, all_usable = step.replicas.sum_and_all_true(local[0], usable)
        matrix, finite = finite_part(gramian_of(statistic), all_usable, step.backward.sizes)
        weights, _ = step.rule([], matrix, step.asked & finite)
        return weights, [], towers, finite

    def reused(towers: list[Row]) -> Weighted:
        all_usable = step.replicas.all_true(usable)
        return step.reuse.weights(step.active), [], towers, all_usable

    weights, _, _, finite = step.reuse.run(
        passes=lambda: [local_statistic()],
        fresh=fresh,
        reused=reused,
        towers=[],
    )
    return weights, finite


def _step_along_direction(
    step: Step, cotangents: list[Row], towers: list[Row], usable: Tensor
) -> StepResult:
    """Applies a rule that merges gradients.

    A merged direction cannot be computed from a small statistic. So the gradients of all replicas'
    examples are joined, and each replica takes its examples' part of the direction back through
    the trunk.
    """
    reached, num_tensors = _tensors_reached(cotangents), len(cotangents[0])
    cotangents = _keep_tensors(cotangents, reached)
    representation = _first_of_each(cotangents)
    stacked = step.stack(cotangents)
    joined = [
        join_batches(array, tensor, step.replicas)
        for array, tensor in zip(stacked, representation, strict=True)
    ]
    matrix, finite = finite_part(step.gramian(joined), usable, step.backward.sizes)
    joined, towers = keep_finite(finite, joined, towers)
    weights, direction = step.rule(joined, matrix, step.asked & finite)
    weights = step.reuse.choose(weights, step.reuse.weights(step.active))
    parts = part_of_batch(direction, joined, representation, step.replicas)
    if step.reuse.due is not None:
        # A step that reuses weights has no direction: it takes the weighted sum of cotangents.
        sums = combine(weights, keep_finite(finite, stacked, [])[0], representation)
        parts = [step.reuse.choose(new, old) for new, old in zip(parts, sums, strict=True)]
    scaled = {i: step.loss_scale.scaled(part) for i, part in zip(reached, parts, strict=True)}
    cotangent = row_of(scaled.get(i) for i in range(num_tensors))
    return step.result(weights, step.backward.trunk(cotangent), towers, finite)


def _tensors_reached(rows: list[Row]) -> list[int]:
    """Returns the positions of the tensors of the frontier that a loss reaches.

    A prediction that a task reads by its logits alone, and others without a gradient, is none.
    """
    return [i for i, column in enumerate(zip(*rows, strict=True)) if existing(list(column))]


def _keep_tensors(rows: list[Row], positions: list[int]) -> list[Row]:
    return [[row[i] for i in positions] for row in rows]


def _first_of_each(rows: list[Row]) -> StackedGradients:
    """Returns one gradient with respect to each tensor of the frontier, for its shape."""
    return [next(g.values for g in column if g.exists) for column in zip(*rows, strict=True)]

"""Applies a balancer's rule to the tasks that take part in a step.

No balancer knows of absent tasks, and no step selects tasks by itself: this module does, for all.
"""

import functools
from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.balancers import Balancer, GradientBalancer, GramianBalancer, LossBalancer

Results: TypeAlias = tuple[Tensor, ...]
"""The results of a rule, in arrays of full size: K entries, however many tasks are active."""

Rule: TypeAlias = Callable[[Tensor | None], Results]
"""A rule as a function of the indices of the active tasks; `None` for all tasks."""

# With more tasks than this, one branch serves any number of active tasks, since a branch takes up
# to half a second to trace (a branch of a rule on losses: milliseconds).
_MAX_BRANCHES = 8
_MAX_BRANCHES_OF_LOSSES = 32


def on_active_tasks(balancer: Balancer, active: Tensor, rule: Rule) -> Results:
    """Runs `rule` on the active tasks alone and assigns the state that it changed.

    The rule's state is read and written at the indices of the active tasks.

    Args:
        balancer: The balancer whose state the rule may change.
        active: Which tasks take part, bool `[K]`.
        rule: Takes the indices of the active tasks (`None` for all), and returns arrays whose
            shapes do not depend on them.

    Returns:
        The results of `rule`.
    """
    # Learned state is updated by the optimizer, from the gradients among the results of `rule`.
    states = [state.variable for state in balancer.states if not state.variable.trainable]

    def run(indices: Tensor | None) -> Results:
        with balancer.on_tasks(indices) as updates:
            results = rule(indices)
        # State leaves the branch as values: what the rule did not assign stays as it is.
        return *results, *[tf.convert_to_tensor(updates.get(v.path, v)) for v in states]

    outputs = _branch_by_number(balancer, active, run)
    results = outputs[: len(outputs) - len(states)]
    for variable, value in zip(states, outputs[len(results) :], strict=True):
        variable.assign(value)
    return results


def balanced_losses(tasks: Sequence[Task], unbalanced: Collection[str]) -> Tensor | None:
    """Returns which losses a rule may see, bool `[K]`; `None` for all."""
    if not unbalanced:
        return None
    return tf.constant([task.name not in unbalanced for task in tasks for _ in task.loss_names])


def evaluated_scalar(
    balancer: LossBalancer, losses: Tensor, active: Tensor, balanced: Tensor | None
) -> Tensor:
    """Returns the scalar of a loss balancer for the active tasks, and leaves its state alone.

    Args:
        balancer: The balancer.
        losses: Losses `[K]`; finite.
        active: Which tasks the scalar is for, bool `[K]`.
        balanced: Which of them the balancer may see, bool `[K]`; `None` for all. The losses of
            others are added.
    """
    if balanced is not None:
        unseen = tf.reduce_sum(tf.where(active & ~balanced, losses, tf.zeros_like(losses)))
        return unseen + evaluated_scalar(balancer, losses, active & balanced, None)

    def run(indices: Tensor | None) -> Results:
        with balancer.on_tasks(indices):  # collects updates of state, which are dropped here
            scalar = balancer.evaluate(_select(losses, indices)) if _any_of(indices) else 0.0
        return (tf.cast(scalar, losses.dtype),)

    (scalar,) = _branch_by_number(balancer, active, run)
    return scalar


def _branch_by_number(balancer: Balancer, active: Tensor, run: Rule) -> Results:
    """Runs a rule, traced for each possible number of active tasks, so that shapes are static.

    The branch for all tasks gathers nothing. Only with many tasks, and if XLA does not ask for
    static shapes, one branch serves any number of active tasks.
    """
    num_tasks = int(active.shape[0])
    few = _MAX_BRANCHES_OF_LOSSES if isinstance(balancer, LossBalancer) else _MAX_BRANCHES

    def run_on_some() -> Results:
        if num_tasks > few and not balancer.static_shapes:
            return _on_any_number(active, run)
        # Active tasks first, in their order: the first n are the active ones if there are n.
        order = tf.argsort(tf.cast(active, tf.int32), direction="DESCENDING", stable=True)
        branches = [functools.partial(run, order[:n]) for n in range(num_tasks)]
        return tuple(tf.switch_case(tf.reduce_sum(tf.cast(active, tf.int32)), branches))

    return tuple(tf.cond(tf.reduce_all(active), lambda: run(None), run_on_some))


def _on_any_number(active: Tensor, run: Callable[[Tensor], Results]) -> Results:
    indices = tf.cast(tf.where(active)[:, 0], tf.int32)
    none = tf.zeros((0,), tf.int32)  # of static shape, unlike an empty slice of the indices
    return tuple(tf.cond(tf.size(indices) > 0, lambda: run(indices), lambda: run(none)))


def scalarizing(balancer: LossBalancer, losses: Tensor) -> Rule:
    """Returns the rule of a loss balancer: its scalar, and the derivatives of the scalar.

    The results of the rule are the scalar, the weights `[K]` (its derivatives with respect to the
    losses; 0 for inactive tasks), then one gradient for each of the balancer's trainable variables.
    """
    learned = [variable.value for variable in balancer.trainable_variables]

    def rule(indices: Tensor | None) -> Results:
        with tf.GradientTape() as tape:
            tape.watch(losses)
            # The derivative of a gather puts weights in their places, and zeros in the others.
            selected = _select(losses, indices)
            scalar = balancer.scalarize(selected) if _any_of(indices) else tf.zeros(())
        gradients = tape.gradient(
            scalar, [losses, *learned], unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return tf.convert_to_tensor(scalar), *[tf.convert_to_tensor(g) for g in gradients]

    return rule


def weighing(balancer: GramianBalancer, gramian: Tensor, losses: Tensor, num_tasks: int) -> Rule:
    """Returns the rule of a Gramian balancer: one weight per loss, 0 for inactive tasks.

    Args:
        balancer: The balancer.
        gramian: `[K, K]`, or `[2K, 2K]` for a balancer that combines the gradients of two batches.
        losses: `[K]`, or `[2K]` likewise.
        num_tasks: K.
    """
    starts = range(0, int(losses.shape[0]), num_tasks)

    def rule(indices: Tensor | None) -> Results:
        if not _any_of(indices):
            return (tf.zeros_like(losses),)
        # The active tasks of both batches, if there are two: `indices`, then `indices + K`.
        of_losses = None if indices is None else tf.concat([indices + n for n in starts], axis=0)
        selected = _select(_select(gramian, of_losses), of_losses, axis=1)
        weights = balancer.weigh(selected, _select(losses, of_losses))
        return (_put_back(tf.cast(weights, losses.dtype), of_losses, losses),)

    return rule


def merging(balancer: GradientBalancer, gradients: Tensor, losses: Tensor) -> Rule:
    """Returns the rule of a gradient balancer: a direction `[n]` for gradients `[K, n]`."""

    def rule(indices: Tensor | None) -> Results:
        # Without an active task there is no direction to take.
        if not _any_of(indices):
            return (tf.zeros_like(gradients[0]),)
        return (balancer.merge(_select(gradients, indices), _select(losses, indices)),)

    return rule


def after_update(balancer: Balancer, losses: Tensor, active: Tensor) -> None:
    """Passes the losses after the update to a balancer, of `[K]` those of the active tasks."""

    def rule(indices: Tensor | None) -> Results:
        if _any_of(indices):
            balancer.after_update(_select(losses, indices))
        return ()

    on_active_tasks(balancer, active, rule)


def _any_of(indices: Tensor | None) -> bool:
    return indices is None or indices.shape[0] != 0


def _select(value: Tensor, indices: Tensor | None, axis: int = 0) -> Tensor:
    return value if indices is None else tf.gather(value, indices, axis=axis)


def _put_back(weights: Tensor, indices: Tensor | None, losses: Tensor) -> Tensor:
    """Returns weights of full size, 0 for the losses that were not selected."""
    if indices is None:
        return weights
    return tf.tensor_scatter_nd_update(tf.zeros_like(losses), indices[:, None], weights)

"""Applies a balancer's rule to the tasks that take part in a step."""

import functools
from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.balancers import Balancer, GradientBalancer, GramianBalancer, LossBalancer

Outcome: TypeAlias = tuple[Tensor, ...]

_MANY = 8  # a branch takes up to half a second to trace
_MANY_LOSSES = 32  # one of a rule on losses, milliseconds


def on_present(
    balancer: Balancer, present: Tensor, rule: Callable[[Tensor | None], Outcome]
) -> Outcome:
    """Runs `rule` on the present tasks alone and assigns the state that it changed.

    One branch for each possible number of present tasks, so that every shape is static; the
    branch for all of them gathers nothing. Only where there are many tasks, and XLA does
    not ask for static shapes, one branch takes any number. `rule` takes the indices of the tasks
    that take part (`None` for all) and returns arrays of full size. No balancer knows of absent
    tasks: state reads and writes go through the indices too.

    Args:
        balancer: The balancer whose state the rule may change.
        present: Which tasks take part, bool `[K]`.
        rule: Indices to arrays whose shapes do not depend on them.

    Returns:
        What `rule` returned.
    """
    num_tasks = int(present.shape[0])
    many = _MANY_LOSSES if isinstance(balancer, LossBalancer) else _MANY
    dynamic = num_tasks > many and not balancer.static_shapes
    # Gradients with respect to learned state are the rule's own business; assigning is not.
    kept = [state.variable for state in balancer.states if not state.variable.trainable]

    def run(indices: Tensor | None) -> Outcome:
        with balancer.on_tasks(indices) as updates:
            outcome = rule(indices)
        return *outcome, *[tf.convert_to_tensor(updates.get(v.path, v)) for v in kept]

    def any_number() -> Outcome:
        which = tf.cast(tf.where(present)[:, 0], tf.int32)
        none = tf.zeros((0,), tf.int32)  # a slice of `which` would not say that it is empty
        return tuple(tf.cond(tf.size(which) > 0, lambda: run(which), lambda: run(none)))

    def some() -> Outcome:
        if dynamic:
            return any_number()
        first = tf.argsort(tf.cast(present, tf.int32), direction="DESCENDING", stable=True)
        branches = [functools.partial(run, first[:n]) for n in range(num_tasks)]
        return tuple(tf.switch_case(tf.reduce_sum(tf.cast(present, tf.int32)), branches))

    results = tuple(tf.cond(tf.reduce_all(present), lambda: run(None), some))
    outcome = results[: len(results) - len(kept)]
    for variable, value in zip(kept, results[len(outcome) :], strict=True):
        variable.assign(value)
    return outcome


def scalarize(balancer: LossBalancer, losses: Tensor, present: Tensor) -> Outcome:
    """The scalar of a loss balancer, its derivatives, and those of what it learns.

    Returns:
        The scalar, weights `[K]` (0 for absent tasks), then a gradient for each of the
        balancer's trainable variables.
    """
    learned = [variable.value for variable in balancer.trainable_variables]

    def rule(indices: Tensor | None) -> Outcome:
        with tf.GradientTape() as tape:
            tape.watch(losses)
            taking_part = _take(losses, indices)
            scalar = balancer.scalarize(taking_part) if _any(indices) else tf.zeros(())
        weights, *gradients = tape.gradient(
            scalar, [losses, *learned], unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        dense = [tf.convert_to_tensor(value) for value in (weights, *gradients)]
        return tf.convert_to_tensor(scalar), *dense

    return on_present(balancer, present, rule)


def weigh(balancer: GramianBalancer, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
    """The weights of a Gramian balancer, one for each of the losses; 0 for absent tasks.

    There are K losses, or `[2K]` of two batches, as the rule wants them.
    """
    starts = range(0, int(losses.shape[0]), int(present.shape[0]))

    def rule(indices: Tensor | None) -> Outcome:
        if not _any(indices):
            return (tf.zeros_like(losses),)
        which = None if indices is None else tf.concat([indices + n for n in starts], axis=0)
        part = _take(_take(gramian, which), which, axis=1)
        weights = balancer.weigh(part, _take(losses, which))
        return (_put(tf.cast(weights, losses.dtype), which, losses),)

    return on_present(balancer, present, rule)[0]


def merge(balancer: GradientBalancer, gradients: Tensor, losses: Tensor, present: Tensor) -> Tensor:
    """The direction `[n]` of a gradient balancer for gradients `[K, n]`."""

    def rule(indices: Tensor | None) -> Outcome:
        if not _any(indices):
            return (tf.zeros_like(gradients[0]),)
        return (balancer.merge(_take(gradients, indices), _take(losses, indices)),)

    return on_present(balancer, present, rule)[0]


def after_update(balancer: Balancer, losses: Tensor, present: Tensor) -> None:
    """Tells a balancer the losses `[K]` after the update, of the tasks that took part."""

    def rule(indices: Tensor | None) -> Outcome:
        if _any(indices):
            balancer.after_update(_take(losses, indices))
        return ()

    on_present(balancer, present, rule)


def _any(indices: Tensor | None) -> bool:
    return indices is None or indices.shape[0] != 0


def _take(value: Tensor, indices: Tensor | None, axis: int = 0) -> Tensor:
    return value if indices is None else tf.gather(value, indices, axis=axis)


def _put(weights: Tensor, indices: Tensor | None, like: Tensor) -> Tensor:
    if indices is None:
        return weights
    return tf.tensor_scatter_nd_update(tf.zeros_like(like), indices[:, None], weights)

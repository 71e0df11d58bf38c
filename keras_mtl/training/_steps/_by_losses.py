"""The step of rules on losses: one backward pass of their scalar."""

import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.balancers import LossBalancer
from keras_mtl.training._steps._active_tasks import on_active_tasks, scalarizing
from keras_mtl.training._steps._step import Step, StepResult


def step_by_losses(step: Step) -> StepResult:
    """Differentiates the rule's scalar as it is, with respect to the towers too.

    Its derivatives with respect to the losses are the weights, so that one pass of the weighted
    losses, through the towers and the trunk, gives its gradient (the chain rule).
    """
    balancer: LossBalancer = step.balancer
    rule = scalarizing(balancer, step.losses)
    scalar, weights, *learned = on_active_tasks(balancer, step.seen(step.asked), rule)
    weights = step.with_unbalanced(step.rescaled(weights), step.active)
    if step.balanced is not None:
        scalar += _weighted_sum(step, tf.cast(step.active & ~step.balanced, tf.float32))
    weights = step.reuse.choose(weights, step.reuse.weights(step.active))
    # A step that reuses weights differentiates their weighted sum.
    scalar = step.reuse.choose(scalar, _weighted_sum(step, weights))
    cotangents, towers = step.backward.towers(weights)
    usable = step.finite_towers(towers)
    shared, towers, finite = step.backward.summed(weights, cotangents, towers, usable)
    result = step.result(weights, shared, towers, finite, scalar)
    # What the balancer learns has equal gradients on all replicas, which the optimizer adds up.
    share = step.loss_scale.share
    for variable, gradient in zip(balancer.trainable_variables, learned, strict=True):
        result.gradients[id(variable)] = gradient * share
    return result


def _weighted_sum(step: Step, weights: Tensor) -> Tensor:
    return tf.reduce_sum(weights * step.losses)

"""The step of a `LossBalancer`: one backward pass of its scalar."""

import dataclasses

import tensorflow as tf

from keras_mtl._replicas import num_replicas
from keras_mtl.balancers import LossBalancer
from keras_mtl.training._steps import _active_tasks as _rules
from keras_mtl.training._steps._base import Outcome, Step


@dataclasses.dataclass
class LossStep(Step):
    """Differentiates the rule's scalar as it stands, towers included."""

    balancer: LossBalancer

    def run(self) -> Outcome:
        """One pass through the towers and one through the trunk, of the weighted losses."""
        scalar, weights, *learned = _rules.scalarize(self.balancer, self.losses, self.asked())
        weights = self.or_reused(self.rescaled(weights))
        if self.due is not None:  # what is differentiated where weights are reused
            scalar = tf.where(self.due, scalar, tf.reduce_sum(weights * self.losses))
        cotangents, towers = self.backward.towers(weights)
        shared, towers, finite = self.backward.summed(weights, cotangents, towers)
        outcome = self.outcome(weights, shared, towers, finite, scalar)
        share = (1.0 if self.backward.scale is None else self.backward.scale) / num_replicas()
        for variable, gradient in zip(self.balancer.trainable_variables, learned, strict=True):
            outcome.gradients[id(variable)] = gradient * share
        return outcome

"""The step of rules that need gradients of independent samples."""

import dataclasses

import tensorflow as tf

from keras_mtl._replicas import num_replicas, sum_over_replicas
from keras_mtl._types import Tensor
from keras_mtl.training._gradients._backward import Backward
from keras_mtl.training._gradients._gramian import (
    Row,
    Stack,
    branch,
    dense,
    gramian,
    keep_finite,
    sum_of_finite,
)
from keras_mtl.training._steps._at_parameters import Found, ParameterStep
from keras_mtl.training._steps._base import Outcome


@dataclasses.dataclass
class SampledStep(ParameterStep):
    """Two passes through the trunk for each task, one for the sum of all on the last part.

    Attributes:
        parts: Gradients of each part's losses.
        in_all: Which tasks have a valid label in every part, bool `[K]`.
    """

    parts: list[Backward]
    in_all: Tensor

    def run(self) -> Outcome:
        """Takes the passes and applies the rule to the product of the first two parts."""
        self.present &= self.in_all
        cotangents, towers = self.backward.towers_by_loss(tf.cast(self.present, tf.float32))
        if self.due is None:
            return self.outcome(*self._sampled(towers))
        if num_replicas() == 1:
            found: Found = branch(
                self.due, lambda: self._sampled(towers), lambda: self.reuse(cotangents, towers)
            )
            return self.outcome(*found)
        weights, shared, towers, finite = self._sampled(towers)
        stored, reused, towers, finite_too = self.reuse(cotangents, towers)
        shared = [tf.where(self.due, s, r) for s, r in zip(shared, reused, strict=True)]
        weights = tf.where(self.due, weights, stored)
        return self.outcome(weights, shared, towers, finite & finite_too)

    def _sampled(self, towers: list[Row]) -> Found:
        ones = tf.cast(self.present, tf.float32)
        stacks: list[Stack] = [
            sum_over_replicas(self.passes(part, part.towers_by_loss(ones)[0]))
            for part in self.parts[:2]
        ]
        squares = [tf.linalg.diag_part(gramian(stacked)) for stacked in stacks]
        finite = tf.math.is_finite(tf.add_n(squares))
        # Of the last part only the weighted sum is wanted: one pass, once the weights are known.
        last = self.parts[-1]
        cotangents, own = last.towers_by_loss(ones)
        finite &= sum_of_finite(None, cotangents, own, self.backward.sizes)[2]
        stacks = [keep_finite(finite, stacked, [])[0] for stacked in stacks]
        weights, _ = self.rule([], gramian(*stacks), self.asked() & finite)
        shared, _, finite_too = last.weighted(weights, cotangents, own)
        finite &= finite_too
        _, towers = keep_finite(finite, [], towers)
        return weights, [None if g is None else dense(g) for g in shared], towers, finite

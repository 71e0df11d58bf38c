"""The step with statistics of gradients with respect to the shared variables."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from keras_mtl._replicas import num_replicas, sum_over_replicas
from keras_mtl._types import Tensor
from keras_mtl.training._gradients._backward import Backward
from keras_mtl.training._gradients._gramian import (
    Row,
    Stack,
    branch,
    combine,
    dense,
    keep_finite,
    present,
    split_like,
)
from keras_mtl.training._steps._base import Outcome, Step, finite_part, unreached

Found = tuple[Tensor, Row, list[Row], Tensor]
"""Weights `[K]`, gradients of the shared variables, of the towers, and whose are finite."""


@dataclasses.dataclass
class ParameterStep(Step):
    """One pass through the towers, and one a task through the trunk."""

    def run(self) -> Outcome:
        """Takes the passes and applies the rule."""
        cotangents, towers = self.backward.towers_by_loss(tf.cast(self.present, tf.float32))
        return self.outcome(*self._found(cotangents, towers))

    def _found(self, cotangents: list[Row], towers: list[Row]) -> Found:
        def fresh() -> Found:
            return self.from_stack(self.passes(self.backward, cotangents), towers, self.present)

        if self.due is None:
            return fresh()
        if num_replicas() == 1:
            return tuple(branch(self.due, fresh, lambda: self.reuse(cotangents, towers)))
        # Collectives cannot stand in a branch: between replicas only the passes are saved.
        stacked = self._when_due(lambda: self.passes(self.backward, cotangents))
        weights, shared, kept, finite = self.from_stack(stacked, towers, self.asked())
        stored, reused, kept, finite_too = self.reuse(cotangents, kept)
        shared = [tf.where(self.due, s, r) for s, r in zip(shared, reused, strict=True)]
        return tf.where(self.due, weights, stored), shared, kept, finite & finite_too

    def passes(self, backward: Backward, cotangents: list[Row]) -> Stack:
        """A pass through the trunk for each task."""
        rows = backward.rows(cotangents)
        for variable, *column in zip(backward.shared, *rows, strict=True):
            if not present(column):
                raise ValueError(unreached(variable))
        return self.stack(rows)

    def from_stack(self, stacked: Stack, towers: list[Row], asked: Tensor) -> Found:
        """Applies the rule to gradients of this replica."""
        if num_replicas() > 1:
            stacked = sum_over_replicas(stacked)
        matrix, finite = finite_part(self.gramian(stacked), self.backward.sizes)
        stacked, towers = keep_finite(finite, stacked, towers)
        weights, direction = self.rule(stacked, matrix, asked & finite)
        things = [variable.value for variable in self.backward.shared]
        if direction is None:
            shared = combine(weights, stacked, things)
        else:
            shared = split_like(direction, things)
        return weights, self.scaled(shared), towers, finite

    def reuse(self, cotangents: list[Row], towers: list[Row]) -> Found:
        """What is found with the weights of the last step that computed them."""
        weights = self.reused()
        shared, towers, finite = self.backward.weighted(weights, cotangents, towers)
        return weights, [None if g is None else dense(g) for g in shared], towers, finite

    def _when_due(self, compute: Callable[[], list[Tensor]]) -> list[Tensor]:
        """What `compute` gives in a step that computes weights, else zeros."""
        if tf.executing_eagerly():  # eagerly, nothing else tells the shapes
            return compute()
        made: list[Tensor] = []

        def remembered() -> list[Tensor]:
            made.extend(compute())
            return made

        def zeros() -> list[Tensor]:
            return [tf.zeros(tensor.shape, tensor.dtype) for tensor in made]

        return list(tf.cond(self.due, remembered, zeros))

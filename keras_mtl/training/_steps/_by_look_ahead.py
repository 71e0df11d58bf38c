"""The step of rules that look at a second batch, after a step that is not kept."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_mtl._replicas import sum_over_replicas
from keras_mtl._types import Tensor
from keras_mtl.balancers import GramianBalancer
from keras_mtl.training._frontier._variable_slice import joined
from keras_mtl.training._gradients._gramian import (
    Row,
    Stack,
    combine,
    dense,
    gramian,
    keep_finite,
    scale_rows,
)
from keras_mtl.training._logs._task_losses import Losses
from keras_mtl.training._steps._at_parameters import ParameterStep
from keras_mtl.training._steps._base import Outcome, finite_part

Values = list[list[Tensor]]
"""A value for each shared variable, then for each of a task's own."""


@dataclasses.dataclass
class LookAheadStep(ParameterStep):
    """Two passes a task: on the batch, and on another one from where a plain step would lead.

    Attributes:
        losses_at: Losses on the other batch, with other values for some variables.
        learning_rate: Of the step that is looked ahead to.
    """

    balancer: GramianBalancer
    losses_at: Callable[[list[tuple[Any, Tensor]]], Losses]
    learning_rate: Tensor

    def run(self) -> Outcome:
        """Takes the passes and applies the rule to what each weight gains for each task."""
        stacked, towers, finite = self.here()
        things = [variable.value for variable in self.backward.shared]
        own, weights = self.own(towers), self.planned()
        steps = self.own(scale_rows(weights, towers)) if self.scale_towers else own
        there = self.moved(self.learning_rate, [combine(weights, stacked, things), *steps])
        ahead, later, usable = self.elsewhere(there)
        gains = gramian(stacked, ahead)
        if self.scale_towers:
            products = [
                tf.add_n([tf.reduce_sum(a * b) for a, b in zip(*pair, strict=True)] or [0.0])
                for pair in zip(own, self.own(later), strict=True)
            ]
            gains += tf.linalg.diag(tf.stack(products))
        usable &= tf.math.is_finite(tf.reduce_sum(gains, axis=0))
        gains = tf.where(usable[None, :], gains, tf.zeros_like(gains))
        weights, _ = self.rule([], self.learning_rate * gains, self.asked() & finite & usable)
        shared = self.scaled(combine(weights, stacked, things))
        return self.outcome(weights, shared, towers, finite)

    def here(self) -> tuple[Stack, list[Row], Tensor]:
        """The gradients of the batch; the towers'; and whose are finite, bool `[K]`."""
        cotangents, towers = self.backward.towers_by_loss(tf.cast(self.present, tf.float32))
        stacked = sum_over_replicas(self.passes(self.backward, cotangents))
        _, finite = finite_part(gramian(stacked), self.backward.sizes)
        return *keep_finite(finite, stacked, towers), finite

    def own(self, towers: list[Row]) -> list[Stack]:
        """The towers' gradients of the global batch, without loss scaling."""
        scale = 1.0 if self.backward.scale is None else self.backward.scale
        return [sum_over_replicas([dense(g) / scale for g in row]) for row in towers]

    def planned(self) -> Tensor:
        """The weights `[K]` of the steps that are not kept."""
        weights = self.balancer.look_ahead_weights()
        return self.rescaled(tf.where(self.present, weights, tf.zeros_like(weights)))

    def values(self) -> Values:
        """The shared variables' values, then each task's."""
        groups = [self.backward.shared, *self.backward.own]
        return [[variable.value for variable in group] for group in groups]

    def moved(
        self, rate: Tensor | float, directions: Values, start: Values | None = None
    ) -> Values:
        """The values after a step against directions, from here if from nowhere else."""
        return [
            [value - rate * d for value, d in zip(group, row, strict=True)]
            for group, row in zip(start or self.values(), directions, strict=True)
        ]

    def pairs(self, values: Values) -> list[tuple[Any, Tensor]]:
        """The variables with these values."""
        groups = [self.backward.shared, *self.backward.own]
        pairs = [zip(group, row, strict=True) for group, row in zip(groups, values, strict=True)]
        return joined([pair for group in pairs for pair in group])

    def elsewhere(self, values: Values) -> tuple[Stack, list[Row], Tensor]:
        """Gradients of the other losses at these values: of the shared variables and the towers'.

        Returns:
            Both, and which tasks have usable losses on the other batch, bool `[K]`.
        """
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([value for group in values for value in group])
            parts, raw, counts = self.losses_at(self.pairs(values))
        usable = (counts > 0.0) & tf.math.is_finite(raw)
        rows = [
            self.gradient(tape, part, [*values[0], *mine])
            for part, mine in zip(parts, values[1:], strict=True)
        ]
        shared = len(values[0])
        ahead = sum_over_replicas(self.stack([row[:shared] for row in rows]))
        return ahead, [row[shared:] for row in rows], usable

    def gradient(self, tape: tf.GradientTape, part: Tensor, sources: list[Tensor]) -> Row:
        """The gradients of a loss, with loss scaling; zeros where it does not reach."""
        seed = None if self.backward.scale is None else [self.backward.scale]
        return list(
            tape.gradient(
                [part],
                sources,
                output_gradients=seed,
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
        )

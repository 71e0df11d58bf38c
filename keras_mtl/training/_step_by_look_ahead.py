"""The step of rules that look at a second batch, after a step that is not kept."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_mtl._replicas import sum_over_replicas
from keras_mtl._types import Tensor
from keras_mtl.balancers import GramianBalancer
from keras_mtl.training._slices import joined
from keras_mtl.training._statistics import Row, Stack, combine, dense, gramian, keep_finite
from keras_mtl.training._step import Outcome, finite_part
from keras_mtl.training._step_at_parameters import ParameterStep
from keras_mtl.training._task_losses import Losses


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
        cotangents, towers = self.backward.towers_by_loss(tf.cast(self.present, tf.float32))
        stacked = sum_over_replicas(self.passes(self.backward, cotangents))
        _, finite = finite_part(gramian(stacked), self.backward.sizes)
        stacked, towers = keep_finite(finite, stacked, towers)
        gains, usable = self._gains(stacked, self._own(towers))
        weights, _ = self.rule([], gains, self.asked() & finite & usable)
        things = [variable.value for variable in self.backward.shared]
        shared = self.scaled(combine(weights, stacked, things))
        return self.outcome(weights, shared, towers, finite)

    def _own(self, towers: list[Row]) -> list[Stack]:
        """The towers' gradients of the global batch, without loss scaling."""
        scale = 1.0 if self.backward.scale is None else self.backward.scale
        return [sum_over_replicas([dense(g) / scale for g in row]) for row in towers]

    def _gains(self, stacked: Stack, own: list[Stack]) -> tuple[Tensor, Tensor]:
        """The gains `[K, K]`, and for which tasks the other batch has usable losses, bool `[K]`."""
        weights = self.balancer.look_ahead_weights()
        weights = self.rescaled(tf.where(self.present, weights, tf.zeros_like(weights)))
        factors = weights if self.scale_towers else tf.ones_like(weights)
        things = [variable.value for variable in self.backward.shared]
        directions = [
            combine(weights, stacked, things),
            *[[factors[k] * g for g in row] for k, row in enumerate(own)],
        ]
        groups = [self.backward.shared, *self.backward.own]
        moved = [
            [v.value - self.learning_rate * d for v, d in zip(group, row, strict=True)]
            for group, row in zip(groups, directions, strict=True)
        ]
        pairs = [
            pair
            for group, values in zip(groups, moved, strict=True)
            for pair in zip(group, values, strict=True)
        ]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([value for _, value in pairs])
            parts, raw, counts = self.losses_at(joined(pairs))
        usable = (counts > 0.0) & tf.math.is_finite(raw)
        shared_rows, own_rows = [], []
        for part, mine in zip(parts, moved[1:], strict=True):
            row = self._gradient(tape, part, [*moved[0], *mine])
            shared_rows.append(row[: len(moved[0])])
            own_rows.append(row[len(moved[0]) :])
        ahead = sum_over_replicas(self.stack(shared_rows))
        gains = gramian(stacked, ahead)
        if self.scale_towers:
            later = self._own(own_rows)
            products = [
                tf.add_n([tf.reduce_sum(a * b) for a, b in zip(*pair, strict=True)] or [0.0])
                for pair in zip(own, later, strict=True)
            ]
            gains += tf.linalg.diag(tf.stack(products))
        usable &= tf.math.is_finite(tf.reduce_sum(gains, axis=0))
        gains = tf.where(usable[None, :], gains, tf.zeros_like(gains))
        return self.learning_rate * gains, usable

    def _gradient(self, tape: tf.GradientTape, part: Tensor, sources: list[Tensor]) -> Row:
        seed = None if self.backward.scale is None else [self.backward.scale]
        return list(
            tape.gradient(
                [part],
                sources,
                output_gradients=seed,
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
        )

"""The step of rules that combine two batches, after plain steps that are taken back."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_mtl._replicas import sum_over_replicas
from keras_mtl._types import Tensor
from keras_mtl.training._gradients._gramian import (
    Row,
    Stack,
    branch,
    combine,
    gramian,
    keep_finite,
    weighted_sum,
    zero_rows,
)
from keras_mtl.training._logs._task_losses import Losses
from keras_mtl.training._steps import _active_tasks as _rules
from keras_mtl.training._steps._base import Outcome
from keras_mtl.training._steps._by_look_ahead import LookAheadStep, Values


@dataclasses.dataclass
class InnerStepsStep(LookAheadStep):
    """Passes of both batches from here, and losses of the first after `inner_steps` plain steps.

    Attributes:
        losses_again: Losses on the batch itself, with other values for some variables.
        loss_weights: `Task.weight` of each loss, `[K]`.
    """

    losses_again: Callable[[list[tuple[Any, Tensor]]], Losses]
    loss_weights: Tensor

    def run(self) -> Outcome:
        """Takes the passes and the inner steps, and applies the rule to both batches."""
        stacked, towers, finite = self.here()
        other, _, usable = self.elsewhere(self.values())
        usable &= tf.math.is_finite(tf.linalg.diag_part(gramian(other)))
        other, _ = keep_finite(usable, other, [])
        after = self._losses_after(stacked, self.own(towers), self.present & finite)
        usable &= tf.math.is_finite(after)
        after = tf.where(usable, after, self.losses)
        both = [tf.concat(pair, axis=0) for pair in zip(stacked, other, strict=True)]
        losses = tf.concat([self.losses, after], axis=0)
        asked = self.asked() & finite & usable
        weights = self.rescaled(_rules.weigh(self.balancer, gramian(both), losses, asked))
        things = [variable.value for variable in self.backward.shared]
        shared = self.scaled(combine(weights, both, things))
        return self.outcome(weights[: self.losses.shape[0]], shared, towers, finite)

    def _losses_after(self, stacked: Stack, own: list[Stack], taking: Tensor) -> Tensor:
        """The losses `[K]` of the batch where the inner steps of some tasks, bool `[K]`, lead."""
        weights, rate = self.planned(), self.balancer.needs.inner_learning_rate
        weights = tf.where(taking, weights, tf.zeros_like(weights))
        things = [variable.value for variable in self.backward.shared]
        values = self.moved(rate, [combine(weights, stacked, things), *own])
        for _ in range(self.balancer.needs.inner_steps - 1):
            values = self.moved(rate, self._directions(weights, taking, values), values)
        _, raw, _ = self.losses_again(self.pairs(values))
        return raw * self.loss_weights

    def _directions(self, weights: Tensor, taking: Tensor, values: Values) -> Values:
        """The gradients of the weighted sum; a task's own variables get those of its loss."""
        flat = [value for group in values for value in group]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(flat)
            parts, _, _ = self.losses_again(self.pairs(values))
            total = tf.add_n([w * p for w, p in zip(tf.unstack(weights), parts, strict=True)])

        def at_once() -> Row:
            return self.gradient(tape, total, flat)

        def one_by_one() -> Row:
            # What is not finite stays so times zero.
            rows = [self.gradient(tape, part, flat) for part in parts]
            return weighted_sum(weights, zero_rows(~taking, rows))

        healthy = tf.reduce_all(taking | ~self.labeled)
        found = sum_over_replicas(self.stack([branch(healthy, at_once, one_by_one)]))
        pairs = iter(zip(found, flat, strict=True))
        shared, *own = [
            [tf.reshape(g, tf.shape(value)) for g, value in itertools.islice(pairs, len(group))]
            for group in values
        ]
        rows = zip(tf.unstack(weights), own, strict=True)
        return [shared, *[[tf.math.divide_no_nan(g, w) for g in row] for w, row in rows]]

"""The step with statistics of gradients with respect to the shared representation."""

import dataclasses

import tensorflow as tf

from keras_mtl._replicas import num_replicas, sum_over_replicas
from keras_mtl._types import Tensor
from keras_mtl.balancers import GramianBalancer
from keras_mtl.training._gradients._gramian import Row, Stack, combine, keep_finite, values
from keras_mtl.training._steps._base import Outcome, Step, finite_part
from keras_mtl.training._steps._global_batch import join_batches, parts_of_batch


@dataclasses.dataclass
class RepresentationStep(Step):
    """One pass through the towers and one through the trunk, whatever the number of tasks."""

    def run(self) -> Outcome:
        """Takes the passes and applies the rule."""
        cotangents, towers = self.backward.towers_by_loss(tf.cast(self.present, tf.float32))
        if isinstance(self.balancer, GramianBalancer):
            weights, usable = self._weights(cotangents)
            shared, towers, finite = self.backward.weighted(weights, cotangents, towers)
            return self.outcome(weights, shared, towers, usable & finite)
        return self._merged(cotangents, towers)

    def _weights(self, cotangents: list[Row]) -> tuple[Tensor, Tensor]:
        """The weights, and whose gradients the Gramian can be had of, bool `[K]`."""

        def weigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
            matrix, finite = finite_part(matrix, self.backward.sizes)
            return self.rule([], matrix, self.asked() & finite)[0], finite

        ones = tf.ones_like(self.present)
        if self.due is None or tf.executing_eagerly():
            weights, finite = weigh(sum_over_replicas(self.gramian(self.stack(cotangents))))
            return self.or_reused(weights), finite
        if num_replicas() == 1:
            return tuple(
                tf.cond(
                    self.due,
                    lambda: weigh(self.gramian(self.stack(cotangents))),
                    lambda: (self.reused(), ones),
                )
            )
        # Collectives cannot stand in a branch.
        local = tf.cond(
            self.due,
            lambda: self.gramian(self.stack(cotangents)),
            lambda: tf.zeros((len(cotangents), len(cotangents))),
        )
        weights, finite = weigh(sum_over_replicas(local))
        return self.or_reused(weights), finite

    def _merged(self, cotangents: list[Row], towers: list[Row]) -> Outcome:
        """A merged direction is no function of a small statistic: joins the batches themselves."""
        things = _first(cotangents)
        stacked = self.stack(cotangents)
        joined = [join_batches(each, thing) for each, thing in zip(stacked, things, strict=True)]
        matrix, finite = finite_part(self.gramian(joined), self.backward.sizes)
        joined, towers = keep_finite(finite, joined, towers)
        weights, direction = self.rule(joined, matrix, self.asked() & finite)
        weights = self.or_reused(weights)
        own = parts_of_batch(direction, joined, things)
        if self.due is not None:
            reused = combine(weights, keep_finite(finite, stacked, [])[0], things)
            own = [tf.where(self.due, d, r) for d, r in zip(own, reused, strict=True)]
        if self.backward.scale is not None:
            own = [d * self.backward.scale for d in own]
        return self.outcome(weights, self.backward.trunk(own), towers, finite)


def _first(rows: list[Row]) -> Stack:
    return [next(values(g) for g in column if g is not None) for column in zip(*rows, strict=True)]

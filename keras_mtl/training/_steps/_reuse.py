"""When weights are computed, and when those of an earlier step are used again (`every=n`)."""

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

from keras_mtl._replicas import Replicas
from keras_mtl._types import Tensor
from keras_mtl.training._gradients import Row, branch, row_of

Weighted: TypeAlias = tuple[Tensor, Row, list[Row], Tensor]
"""Weights `[K]`, gradients of the shared variables, of the towers, and whose are finite."""


@dataclasses.dataclass(frozen=True)
class Reuse:
    """Decides whether a step computes weights.

    Attributes:
        stored: The weights `[K]` of the last step that computed them.
        due: Whether this step computes them, a bool scalar; `None` if every step does.
        replicas: The replicas of the step.
    """

    stored: Tensor
    due: Tensor | None
    replicas: Replicas

    def asked(self, active: Tensor) -> Tensor:
        """Returns the tasks that the rule is asked about, bool `[K]`."""
        return active if self.due is None else active & self.due

    def weights(self, active: Tensor) -> Tensor:
        """Returns the weights `[K]` of a step that reuses them."""
        return tf.where(active, self.stored, tf.zeros_like(self.stored))

    def choose(self, fresh: Tensor, reused: Tensor) -> Tensor:
        """Returns one of two tensors that were computed both."""
        return fresh if self.due is None else tf.where(self.due, fresh, reused)

    def run(
        self,
        passes: Callable[[], list[Tensor]],
        fresh: Callable[[list[Tensor], list[Row]], Weighted],
        reused: Callable[[list[Row]], Weighted],
        towers: list[Row],
    ) -> Weighted:
        """Runs a step that computes weights where that is due, and otherwise one that does not.

        A collective of several replicas cannot stand in a branch: there the backward passes alone
        are saved, and both kinds of step are computed from what they gave.

        Args:
            passes: Takes the backward passes that the statistics need, on this replica.
            fresh: Applies the rule to what `passes` gave and to the towers' gradients.
            reused: Weighs the gradients by the stored weights.
            towers: The towers' gradients.
        """
        if self.due is None:
            return fresh(passes(), towers)
        if self.replicas.count == 1:
            return tuple(branch(self.due, lambda: fresh(passes(), towers), lambda: reused(towers)))
        weights, shared, towers, finite = fresh(self._when_due(passes), towers)
        stored, stored_shared, towers, stored_finite = reused(towers)
        pairs = zip(shared, stored_shared, strict=True)
        chosen = row_of(self.choose(new.array, old.array) for new, old in pairs)
        return self.choose(weights, stored), chosen, towers, finite & stored_finite

    def _when_due(self, compute: Callable[[], list[Tensor]]) -> list[Tensor]:
        """Returns what `compute` gives in a step that computes weights, and else zeros."""
        if tf.executing_eagerly():  # eagerly, nothing else tells the shapes
            return compute()
        tensors: list[Tensor] = []

        def computed() -> list[Tensor]:
            tensors.extend(compute())
            return tensors

        def zeros() -> list[Tensor]:
            return [tf.zeros(tensor.shape, tensor.dtype) for tensor in tensors]

        return list(tf.cond(self.due, computed, zeros))

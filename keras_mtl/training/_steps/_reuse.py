"""Which steps compute weights, and which use those of an earlier step again (`every=n`)."""

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

from keras_mtl._replicas import Replicas
from keras_mtl._types import Tensor
from keras_mtl.training._gradients import Row, branch, row_of

Weighted: TypeAlias = tuple[Tensor, Row, list[Row], Tensor]
"""Weights `[K]`, gradients of the shared variables and of the towers, and whose are finite."""


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
        """Returns the tasks that the rule sees, bool `[K]`: none in a step that reuses weights."""
        return active if self.due is None else active & self.due

    def weights(self, active: Tensor) -> Tensor:
        """Returns the weights `[K]` of a step that reuses them."""
        return tf.where(active, self.stored, tf.zeros_like(self.stored))

    def choose(self, fresh: Tensor, reused: Tensor) -> Tensor:
        """Returns one of two tensors, which have both been computed."""
        return fresh if self.due is None else tf.where(self.due, fresh, reused)

    def run(
        self,
        passes: Callable[[], list[Tensor]],
        fresh: Callable[[list[Tensor], list[Row]], Weighted],
        reused: Callable[[list[Row]], Weighted],
        towers: list[Row],
    ) -> Weighted:
        """Runs a step that computes weights if that is due, and otherwise one that reuses them.

        A collective of several replicas cannot stand in a branch (docs/keras_notes.md, pain 78).
        So on several replicas only the backward passes are in a branch. Both kinds of step are
        computed from their results, and one of them is chosen.

        Args:
            passes: Takes the backward passes that the statistics need, on this replica.
            fresh: Applies the rule to the results of `passes` and to the towers' gradients.
            reused: Weighs the gradients by the stored weights.
            towers: The towers' gradients.
        """
        if self.due is None:
            return fresh(passes(), towers)
        if self.replicas.count == 1:
            return tuple(branch(self.due, lambda: fresh(passes(), towers), lambda: reused(towers)))
        # Both keep the towers' gradients of finite tasks only; neither weighs them here.
        weights, shared, towers, finite = fresh(self._when_due(passes), towers)
        stored, stored_shared, towers, stored_finite = reused(towers)
        pairs = zip(shared, stored_shared, strict=True)
        chosen = row_of(self.choose(new.array, old.array) for new, old in pairs)
        return self.choose(weights, stored), chosen, towers, finite & stored_finite

    def _when_due(self, compute: Callable[[], list[Tensor]]) -> list[Tensor]:
        """Returns the result of `compute` in a step that computes weights, and otherwise zeros."""
        if tf.executing_eagerly():  # without tracing, only `compute` itself tells the shapes
            return compute()
        # Filled while the first branch is traced; the second one reads their shapes.
        tensors: list[Tensor] = []

        def computed() -> list[Tensor]:
            tensors.extend(compute())
            return tensors

        def zeros() -> list[Tensor]:
            return [tf.zeros(tensor.shape, tensor.dtype) for tensor in tensors]

        return list(tf.cond(self.due, computed, zeros))

"""One training step: losses -> statistics -> weights -> a gradient for every variable."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_mtl._replicas import num_replicas, sum_over_replicas
from keras_mtl._types import Tensor
from keras_mtl.balancers import Balancer, GradientBalancer, GramianBalancer, LossBalancer
from keras_mtl.training import _rules
from keras_mtl.training._backward import Backward
from keras_mtl.training._batches import join_batches, parts_of_batch
from keras_mtl.training._statistics import (
    Row,
    Stack,
    combine,
    dense,
    drop,
    drop_rows,
    gramian,
    nearest_weights,
    present,
    split_like,
    stack,
    times,
)


@dataclasses.dataclass
class Outcome:
    """What a step found.

    Attributes:
        gradients: This replica's gradients by `id` of the variable; the optimizer adds up
            those of all replicas.
        weights: The task weights `[K]`.
        scalar: What a loss balancer minimises; `None` for other kinds.
        left_out: Tasks whose loss or gradient is not finite, bool `[K]`.
    """

    gradients: dict[int, Tensor]
    weights: Tensor
    scalar: Tensor | None
    left_out: Tensor


@dataclasses.dataclass
class Step:
    """Finds the gradients of one step; made anew for each trace.

    Attributes:
        balancer: The rule.
        backward: Gives gradients of this replica's losses.
        losses: Losses `[K]` of the global batch, times the tasks' own weights.
        labelled: Which tasks have a valid label in the global batch, bool `[K]`.
        stored: The weights `[K]` of the last step that computed them.
        due: Whether this step computes them; `None` if every step does.
        at: `"parameters"` or `"representation"`.
        rescale_weights: Whether weights are brought to sum to the number of present tasks.
        scale_towers: Whether a task's own variables are weighted too.
    """

    balancer: Balancer
    backward: Backward
    losses: Tensor
    labelled: Tensor
    stored: Tensor
    due: Tensor | None
    at: str
    rescale_weights: bool
    scale_towers: bool

    def run(self) -> Outcome:
        """Takes the backward passes and applies the rule."""
        self.present = self.labelled & tf.math.is_finite(self.losses)
        self.losses = tf.where(self.present, self.losses, tf.zeros_like(self.losses))
        if isinstance(self.balancer, LossBalancer):
            return self._by_losses(self.balancer)
        cotangents, towers = self.backward.towers(tf.cast(self.present, tf.float32))
        if self.at == "representation":
            weights, shared, finite = self._at_representation(cotangents, towers)
        else:
            weights, shared, finite = self._at_parameters(cotangents, towers)
        if self.scale_towers:
            towers = [[times(weights[k], g) for g in row] for k, row in enumerate(towers)]
        return self._outcome(weights, shared, towers, None, finite)

    def _by_losses(self, balancer: LossBalancer) -> Outcome:
        scalar, weights, *learned = _rules.scalarise(balancer, self.losses, self._asked())
        weights = self._or_stored(self._rescaled(weights))
        if self.due is not None:  # what is differentiated where weights are reused
            scalar = tf.where(self.due, scalar, tf.reduce_sum(weights * self.losses))
        cotangents, towers = self.backward.towers(weights)
        shared, finite = self.backward.summed(weights, cotangents, towers)
        outcome = self._outcome(weights, shared, towers, scalar, finite)
        share = (1.0 if self.backward.scale is None else self.backward.scale) / num_replicas()
        for variable, gradient in zip(balancer.trainable_variables, learned, strict=True):
            outcome.gradients[id(variable)] = gradient * share
        return outcome

    def _outcome(
        self,
        weights: Tensor,
        shared: Row,
        towers: list[Row],
        scalar: Tensor | None,
        finite: Tensor,
    ) -> Outcome:
        groups = [self.backward.shared, *self.backward.own]
        gradients = {}
        for variables, row in zip(groups, [shared, *drop(~finite, towers)], strict=True):
            for variable, gradient in zip(variables, row, strict=True):
                if gradient is None:
                    raise ValueError(_unreached(variable))
                gradients[id(variable)] = gradient
        took_part = self.present & finite
        if self.backward.scale is not None:
            # An overflow must reach the loss-scaling optimizer, which lowers its scale then; a
            # loss that is not finite is none.
            overflow = tf.reduce_any(self.present & ~finite)
            poison = tf.where(overflow, float("nan"), 1.0)
            gradients = {key: times(poison, g) for key, g in gradients.items()}
        weights = tf.where(took_part, weights, tf.zeros_like(weights))
        return Outcome(gradients, weights, scalar, self.labelled & ~took_part)

    def _asked(self) -> Tensor:
        """The tasks that the rule is asked about; none in a step that reuses weights."""
        return self.present if self.due is None else self.present & self.due

    def _or_stored(self, weights: Tensor) -> Tensor:
        if self.due is None:
            return weights
        reused = tf.where(self.present, self.stored, tf.zeros_like(self.stored))
        return tf.where(self.due, weights, reused)

    def _rescaled(self, weights: Tensor) -> Tensor:
        if not self.rescale_weights:
            return weights
        total = tf.reduce_sum(weights)
        count = tf.reduce_sum(tf.cast(self.present, tf.float32))
        return weights * tf.where(total > 0.0, count / total, 1.0)

    def _stack(self, rows: list[Row]) -> Stack:
        """The rows stacked, without the factor of loss scaling."""
        stacked = stack(rows)
        if self.backward.scale is None:
            return stacked
        return [each / self.backward.scale for each in stacked]

    def _scaled(self, row: Row) -> Row:
        """Gradients as the optimizer takes them: times its loss scale, a share a replica."""
        if self.backward.scale is None and num_replicas() == 1:
            return row
        scale = 1.0 if self.backward.scale is None else self.backward.scale
        return [times(scale / num_replicas(), g) for g in row]

    def _rule(self, stacked: Stack, matrix: Tensor, asked: Tensor) -> tuple[Tensor, Tensor | None]:
        """The weights `[K]`, and the direction `[n]` where the rule gives one.

        Args:
            stacked: Gradients of the global batch, finite.
            matrix: Their Gramian.
            asked: The tasks that the rule sees, bool `[K]`.
        """
        if isinstance(self.balancer, GramianBalancer):
            return self._rescaled(_rules.weigh(self.balancer, matrix, self.losses, asked)), None
        if not isinstance(self.balancer, GradientBalancer):
            raise TypeError(f"{type(self.balancer).__name__} is no kind of balancer.")
        jacobian = tf.concat(stacked, axis=1)
        direction = _rules.merge(self.balancer, jacobian, self.losses, asked)
        weights = nearest_weights(matrix, tf.linalg.matvec(jacobian, direction))
        rescaled = self._rescaled(weights)
        if self.rescale_weights:
            direction *= tf.math.divide_no_nan(tf.reduce_sum(rescaled), tf.reduce_sum(weights))
        return rescaled, direction

    def _checked(self, stacked: Stack, matrix: Tensor) -> tuple[Stack, Tensor, Tensor]:
        """Drops tasks whose gradient is not finite; the third value says whose are."""
        finite = tf.math.is_finite(tf.linalg.diag_part(matrix))
        both = finite[:, None] & finite[None, :]
        return drop_rows(~finite, stacked), tf.where(both, matrix, tf.zeros_like(matrix)), finite

    def _at_representation(
        self, cotangents: list[Row], towers: list[Row]
    ) -> tuple[Tensor, Row, Tensor]:
        if isinstance(self.balancer, GramianBalancer):
            local = self._when_due(lambda: [gramian(self._stack(cotangents))])
            _, matrix, finite = self._checked([], sum_over_replicas(local[0]))
            weights = self._or_stored(self._rule([], matrix, self._asked() & finite)[0])
            return weights, *self.backward.weighted(weights, cotangents, towers)
        # A merged direction is no function of a small statistic: join the batches themselves.
        things = _first(cotangents)
        stacked = self._stack(cotangents)
        joined = [join_batches(each, thing) for each, thing in zip(stacked, things, strict=True)]
        joined, matrix, finite = self._checked(joined, gramian(joined))
        weights, direction = self._rule(joined, matrix, self._asked() & finite)
        weights = self._or_stored(weights)
        own = parts_of_batch(direction, joined, things)
        if self.due is not None:
            reused = combine(weights, drop_rows(~finite, stacked), things)
            own = [tf.where(self.due, d, r) for d, r in zip(own, reused, strict=True)]
        if self.backward.scale is not None:
            own = [d * self.backward.scale for d in own]
        return weights, self.backward.trunk(own), finite

    def _at_parameters(
        self, cotangents: list[Row], towers: list[Row]
    ) -> tuple[Tensor, Row, Tensor]:
        if self.due is None:
            return self._from_stack(self._passes(cotangents), self.present)
        if num_replicas() == 1:
            weights, shared, finite = tf.cond(
                self.due,
                lambda: self._from_stack(self._passes(cotangents), self.present),
                lambda: self._reuse(cotangents, towers),
            )
            return weights, shared, finite
        # Collectives cannot stand in a branch: between replicas only the passes are saved.
        stacked = self._when_due(lambda: self._passes(cotangents))
        weights, shared, finite = self._from_stack(stacked, self._asked())
        stored, reused, finite_too = self._reuse(cotangents, towers)
        shared = [tf.where(self.due, s, r) for s, r in zip(shared, reused, strict=True)]
        return tf.where(self.due, weights, stored), shared, finite & finite_too

    def _passes(self, cotangents: list[Row]) -> Stack:
        """A pass through the trunk for each task."""
        rows = self.backward.rows(cotangents)
        for variable, *column in zip(self.backward.shared, *rows, strict=True):
            if not present(column):
                raise ValueError(_unreached(variable))
        return self._stack(rows)

    def _from_stack(self, stacked: Stack, asked: Tensor) -> tuple[Tensor, Row, Tensor]:
        if num_replicas() > 1:
            stacked = sum_over_replicas(stacked)
        stacked, matrix, finite = self._checked(stacked, gramian(stacked))
        weights, direction = self._rule(stacked, matrix, asked & finite)
        things = [variable.value for variable in self.backward.shared]
        if direction is None:
            shared = combine(weights, stacked, things)
        else:
            shared = split_like(direction, things)
        return weights, self._scaled(shared), finite

    def _reuse(self, cotangents: list[Row], towers: list[Row]) -> tuple[Tensor, Row, Tensor]:
        weights = tf.where(self.present, self.stored, tf.zeros_like(self.stored))
        shared, finite = self.backward.weighted(weights, cotangents, towers)
        return weights, [None if g is None else dense(g) for g in shared], finite

    def _when_due(self, compute: Callable[[], list[Tensor]]) -> list[Tensor]:
        """What `compute` gives in a step that computes weights, else zeros."""
        if self.due is None or tf.executing_eagerly():  # eagerly, nothing else tells the shapes
            return compute()
        made: list[Tensor] = []

        def remembered() -> list[Tensor]:
            made.extend(compute())
            return made

        def zeros() -> list[Tensor]:
            return [tf.zeros(tensor.shape, tensor.dtype) for tensor in made]

        return list(tf.cond(self.due, remembered, zeros))


def _first(rows: list[Row]) -> list[Tensor]:
    return [next(g for g in column if g is not None) for column in zip(*rows, strict=True)]


def _unreached(variable: Any) -> str:
    return (
        f"the variable {variable.path!r} gets no gradient from the loss of any task. Connect it "
        "to a task's output, or set trainable=False on its layer."
    )

"""What a step along one task's gradient does to the losses of all tasks."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._probing._graph import in_graph
from keras_mtl.analysis._probing._look_ahead import LookAhead
from keras_mtl.analysis._probing._probe import Gradients, Probe, Values
from keras_mtl.analysis._probing._read_batches import Element

Method = Literal["look ahead", "first order"]
MAX_LOOK_AHEAD = 16
"""Above so many tasks, first order is the default."""


def choose_method(method: str | None, num_tasks: int) -> Method:
    """Returns the method, which depends on the number of tasks by default.

    Raises:
        ValueError: If it is unknown.
    """
    if method is None:
        return "look ahead" if num_tasks <= MAX_LOOK_AHEAD else "first order"
    if method == "look ahead":
        return "look ahead"
    if method == "first order":
        return "first order"
    raise ValueError(f"method is {method!r}; expected 'look ahead' or 'first order'.")


class StepAffinities(NamedTuple):
    """Holds the affinities of one step; row i is what the step of task i does to task j.

    Attributes:
        benefit: 1 - L_j(after) / L_j, `[K, K]`.
        marginal: (L_j(after a step of zeros) - L_j(after)) / L_j, `[K, K]`.
        losses: L_j, `[K]`.
    """

    benefit: FloatArray
    marginal: FloatArray
    losses: FloatArray


class Affinities:
    """Measures affinities at given values of a network's variables.

    Args:
        probe: The network.
        look_ahead: Takes steps, and takes them back.
        method: Whether losses after a step are computed, or estimated from gradients.
    """

    def __init__(self, probe: Probe, look_ahead: LookAhead, method: Method) -> None:
        self._probe, self._look_ahead = probe, look_ahead
        self.method = method

    def __call__(
        self, values: Values, batch: Element, judges: Element, gradients: Gradients | None = None
    ) -> StepAffinities:
        """Returns the affinities of a step.

        Args:
            values: The values of the variables.
            batch: The rows whose gradients the steps follow.
            judges: The rows whose losses are compared; may be the same.
            gradients: The gradients on `batch`, if they are known.
        """
        if gradients is None:
            gradients = self._probe.gradients(values, batch)
        active = gradients.active.numpy()
        shared = self._probe.shared_values(values)
        changes, losses = self._measures(values, batch, judges, gradients)
        num_tasks = len(self._probe.names)
        with self._look_ahead.kept():
            of_zero = changes(self._look_ahead([tf.zeros_like(value) for value in shared]))
            rows = np.full((num_tasks, num_tasks), np.nan)
            for i in np.flatnonzero(active):
                row = self._row_of(gradients, int(i), shared)
                rows[i] = changes(self._look_ahead(row))
        with np.errstate(divide="ignore", invalid="ignore"):
            benefit, marginal = -rows / losses, (of_zero - rows) / losses
        return StepAffinities(benefit, marginal, losses)

    def _row_of(self, gradients: Gradients, i: int, shared: Sequence[Tensor]) -> list[Tensor]:
        pairs = zip(gradients.stacked, shared, strict=True)
        return [tf.cast(tf.reshape(rows[i], tf.shape(value)), value.dtype) for rows, value in pairs]

    def _measures(
        self, values: Values, batch: Element, judges: Element, gradients: Gradients
    ) -> tuple[Callable[[list[Tensor]], FloatArray], FloatArray]:
        """Returns how losses change with the shared variables, a function, and the losses."""
        if self.method == "look ahead":
            before = _to_numpy(self._probe.losses(values, judges))

            def by_forward(after: list[Tensor]) -> FloatArray:
                there = self._probe.with_shared(values, after)
                return _to_numpy(self._probe.losses(there, judges)) - before

            return by_forward, before
        judged = gradients if judges is batch else self._probe.gradients(values, judges)
        shared = self._probe.shared_values(values)
        # Gradients are those of the losses times their weights.
        weights = _to_numpy(self._probe.weights)

        def by_gradient(after: list[Tensor]) -> FloatArray:
            with np.errstate(divide="ignore", invalid="ignore"):
                change = _to_numpy(self._products(judged.stacked, after, shared)) / weights
            change[~judged.active.numpy()] = np.nan
            return change

        return by_gradient, _to_numpy(judged.losses)

    @functools.cached_property
    def _products(self) -> Callable[..., Tensor]:
        """The products of gradients `[K, n]` with a move, `[K]`."""

        def products(stacked: list[Tensor], after: list[Tensor], before: list[Tensor]) -> Tensor:
            moves = [
                tf.reshape(tf.cast(new, tf.float32) - tf.cast(old, tf.float32), (-1,))
                for new, old in zip(after, before, strict=True)
            ]
            return tf.add_n(
                [tf.linalg.matvec(rows, move) for rows, move in zip(stacked, moves, strict=True)]
            )

        return in_graph(products)


def _to_numpy(tensor: Any) -> FloatArray:
    return np.asarray(tensor, np.float64)

"""The backward passes of a network whose graph tells which variables are shared."""

import itertools

import tensorflow as tf

from keras_mtl._replicas import Replicas
from keras_mtl._types import Tensor
from keras_mtl.training._frontier import Frontier
from keras_mtl.training._gradients._finite import sum_of_finite
from keras_mtl.training._gradients._gradient import Row
from keras_mtl.training._gradients._spread_columns import SpreadCotangents
from keras_mtl.training._gradients._tape import Sources, StepTape

_MANY_PASSES = 16  # from here on one traced pass serves all of them


class TrunkBackward:
    """Passes through each tower once, and through the trunk as often as asked.

    Every tower reads its own copies of the frontier. So one pass of the plain sum of losses gives
    each task's gradients with respect to its tower and to the frontier, without a contribution of
    another task.

    Args:
        tape: The step's tape and losses.
        frontier: The network, cut into a trunk and towers.
        replicas: The replicas that have to agree on which gradients are finite.
    """

    def __init__(self, tape: StepTape, frontier: Frontier, replicas: Replicas) -> None:
        self._tape, self._frontier, self._replicas = tape, frontier, replicas
        self._sources = [list(variables) for variables in frontier.task_variables.values()]
        self.sizes = tape.sizes
        self.shareable = frontier.shared
        self.shared: Sources = list(frontier.shared)
        self.task_variables = tape.by_loss(self._sources, [])
        self.users = frontier.users

    def towers(self, weights: Tensor) -> tuple[list[Row], list[Row]]:
        """Takes one pass of the weighted sum of losses through all towers."""
        # For each task its copies of the frontier, then its variables: all in one call of the tape.
        groups = [
            [*(copy for copy in copies if copy is not None), *variables]
            for copies, variables in zip(self._tape.forward.copies, self._sources, strict=True)
        ]
        flat = iter(
            self._tape.gradient(
                self._tape.losses,
                [source for group in groups for source in group],
                self._tape.seeds(weights),
            )
        )
        return self._tape.arrange([[next(flat) for _ in group] for group in groups], self._sources)

    def towers_by_loss(self, weights: Tensor) -> tuple[list[Row], list[Row]]:
        """Takes the passes of `towers`, and returns separate cotangents for each column."""
        cotangents, towers = self.towers(weights)
        passes = self._tape.forward.column_passes
        names = self._frontier.task_variables
        return self._tape.part_columns(cotangents, weights, passes, names), towers

    def spread(self, weights: Tensor) -> tuple[SpreadCotangents, list[Row]] | None:
        """Takes the passes of `towers`, where a `Dense` layer spreads the columns of tasks."""
        columns = self._tape.spread_columns(weights, self._frontier.task_variables)
        if columns is None:
            return None
        cotangents, towers = self.towers(weights)
        firsts = itertools.accumulate(self.sizes[:-1], initial=0)
        of_tasks = [
            cotangents[first][0] if of_task is None else of_task
            for of_task, first in zip(columns, firsts, strict=True)
        ]
        shape = tf.shape(self._tape.forward.frontier[0])
        return SpreadCotangents(of_tasks, shape, self._tape.loss_scale), towers

    def trunk(self, cotangents: Row) -> Row:
        """Takes one pass from the frontier to the shared variables."""
        return self._tape.trunk(cotangents, self.shared)

    def rows(self, cotangents: list[Row], vectorized: bool = False) -> list[Row]:
        """Returns each loss's gradients of the shared variables; takes one pass per loss."""
        if not vectorized:
            if len(cotangents) >= _MANY_PASSES and not tf.executing_eagerly():
                return self._tape.trunk_in_turn(cotangents, self.shared)
            return [self.trunk(row) for row in cotangents]
        parts = iter(cotangents)
        of_tasks = [[next(parts) for _ in range(size)] for size in self.sizes]
        return [row for rows in of_tasks for row in self._rows_of_task(rows)]

    def _rows_of_task(self, cotangents: list[Row]) -> list[Row]:
        if len(cotangents) == 1 or not any(gradient.exists for gradient in cotangents[0]):
            return [self.trunk(row) for row in cotangents]
        return self._tape.trunk_of_columns(cotangents, self.shared)

    def weighted(
        self, weights: Tensor | None, cotangents: list[Row], towers: list[Row], usable: Tensor
    ) -> tuple[Row, list[Row], Tensor]:
        """Returns the gradients of the shared variables for the weighted sum; takes one pass."""
        # The trunk is linear in the cotangents: their sum passes it once.
        total, towers, finite = sum_of_finite(
            weights, cotangents, towers, usable, self.sizes, self._replicas
        )
        return self.trunk(total), towers, finite

    def summed(
        self, weights: Tensor, cotangents: list[Row], towers: list[Row], usable: Tensor
    ) -> tuple[Row, list[Row], Tensor]:
        """Returns the result of `weighted` for cotangents that `towers` has weighted already."""
        return self.weighted(None, cotangents, towers, usable)

"""The backward passes of a step."""

from typing import Protocol

import keras
import tensorflow as tf

from keras_mtl._replicas import Replicas
from keras_mtl._types import Tensor
from keras_mtl.training._frontier import Forward, Frontier
from keras_mtl.training._gradients._entangled_backward import EntangledBackward
from keras_mtl.training._gradients._gradient import Row
from keras_mtl.training._gradients._loss_scale import LossScale
from keras_mtl.training._gradients._spread_columns import SpreadCotangents
from keras_mtl.training._gradients._tape import Sources, StepTape
from keras_mtl.training._gradients._trunk_backward import TrunkBackward


class Backward(Protocol):
    """Takes gradients of this replica's losses; each call of a method adds its passes to the graph.

    There are K losses: one per task, or one per column where a task has columns. In lists by loss,
    the variables and gradients of a task with columns stand at the first of its losses.

    Attributes:
        sizes: How many losses each task has.
        shared: The variables that the losses of several tasks reach.
        shareable: The variables that the graph shows as shared, in the order in which a rule that
            merges gradients knows them; `shared` holds all of them, or some in the same order.
        task_variables: For each loss, the variables that only its task's losses reach.
        users: The tasks whose losses reach each variable, by `id`; without joint variables.
    """

    sizes: list[int]
    shared: Sources
    shareable: list[keras.Variable]
    task_variables: list[Sources]
    users: dict[int, set[str]]

    def towers(self, weights: Tensor) -> tuple[list[Row], list[Row]]:
        """Takes one pass of the weighted sum of losses through all towers.

        Args:
            weights: The factor `[K]` of each loss.

        Returns:
            For each loss, its task's gradients with respect to the frontier (the cotangents), and
            those with respect to its own variables. Gradients of a task's columns are summed.
        """

    def towers_by_loss(self, weights: Tensor) -> tuple[list[Row], list[Row]]:
        """Takes the passes of `towers`, and returns separate cotangents for each column."""

    def spread(self, weights: Tensor) -> tuple[SpreadCotangents, list[Row]] | None:
        """Takes the passes of `towers`, where a `Dense` layer spreads the columns of tasks.

        Returns:
            The cotangents of all losses, in a form that makes no row for each column, and the
            second result of `towers`; `None` where rows are needed.
        """

    def trunk(self, cotangents: Row) -> Row:
        """Takes one pass from the frontier to the shared variables."""

    def rows(self, cotangents: list[Row], vectorized: bool = False) -> list[Row]:
        """Returns each loss's gradients of the shared variables; takes one pass per loss.

        Args:
            cotangents: The first result of `towers_by_loss`.
            vectorized: Whether the columns of a task pass at once, where that is a choice. The
                graph of 600 columns is then traced in seconds instead of minutes. Sums may be
                taken in another order.
        """

    def weighted(
        self, weights: Tensor, cotangents: list[Row], towers: list[Row], usable: Tensor
    ) -> tuple[Row, list[Row], Tensor]:
        """Returns the gradients of the shared variables for the weighted sum of losses.

        Args:
            weights: The factor `[K]` of each loss.
            cotangents: The first result of `towers` for factors of 1.
            towers: The second result.
            usable: Whose gradients in `towers` are finite, bool `[K]`.

        Returns:
            The gradients, without those of tasks that are not finite; the towers' gradients,
            likewise; and whose gradients are finite, bool `[K]`.
        """

    def summed(
        self, weights: Tensor, cotangents: list[Row], towers: list[Row], usable: Tensor
    ) -> tuple[Row, list[Row], Tensor]:
        """Returns the result of `weighted` for cotangents that `towers` has weighted already.

        Both rows then hold factors times gradients, and the weights are not applied again.
        """


def make_backward(
    tape: tf.GradientTape,
    frontier: Frontier,
    forward: Forward,
    losses: list[Tensor],
    loss_scale: LossScale,
    replicas: Replicas,
) -> Backward:
    """Returns the backward passes that fit a network.

    Args:
        tape: A persistent tape that has watched the forward pass.
        frontier: The network, cut into a trunk and towers.
        forward: The tensors at the cut.
        losses: This replica's part of each task's loss; a vector where the task has columns.
        loss_scale: The loss scale of the optimizer.
        replicas: The replicas that have to agree on which gradients are finite.
    """
    step_tape = StepTape(tape, forward, losses, loss_scale)
    # The graph tells whose a variable is, or only the gradients do (docs/design.md, D3 and D7).
    kind = EntangledBackward if frontier.entangled else TrunkBackward
    return kind(step_tape, frontier, replicas)

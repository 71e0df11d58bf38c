"""The backward passes of a network where only gradients tell which variables are shared."""

import tensorflow as tf

from keras_mtl._replicas import Replicas
from keras_mtl._types import Tensor
from keras_mtl.training._frontier import Frontier, VariableSlice
from keras_mtl.training._gradients._finite import sum_of_finite
from keras_mtl.training._gradients._gradient import Gradient, Row
from keras_mtl.training._gradients._spread_columns import SpreadCotangents
from keras_mtl.training._gradients._tape import Sources, StepTape


class EntangledBackward:
    """Passes through the whole network once per loss.

    It serves networks in which two towers call one layer, a nested model has several outputs, or
    an operation lets no gradient through. There the nodes of the graph do not tell which tasks
    train a variable, but the gradients of each loss do, while the step is traced: a variable that
    a loss does not reach has no gradient.

    Args:
        tape: The step's tape and losses.
        frontier: The network, cut into a trunk and towers.
        replicas: The replicas that have to agree on which gradients are finite.
    """

    def __init__(self, tape: StepTape, frontier: Frontier, replicas: Replicas) -> None:
        self._tape, self._frontier, self._replicas = tape, frontier, replicas
        self.sizes = tape.sizes
        self.shareable = list(frontier.shareable)
        self.shared, self._sources = self._choose_variables()
        self.task_variables = tape.by_loss(self._sources, [])

    def _choose_variables(self) -> tuple[Sources, list[Sources]]:
        """Returns the shared variables, and for each task those that only its loss reaches."""
        task_variables = self._frontier.task_variables
        groups = [self._frontier.shared, *task_variables.values()]
        whole = [v for group in groups for v in group if not isinstance(v, VariableSlice)]
        variables = list({id(variable): variable for variable in whole}.values())  # each once
        # These gradients are only asked whether they exist; TensorFlow prunes them from the graph.
        reached = [self._tape.gradient([loss], variables) for loss in self._tape.losses]
        # A joint layer may compute all towers in one operation, through which each loss reaches
        # everything that any tower reads. The graph knows better which tasks use a variable there.
        tasks_of = [
            [
                k
                for k, (name, row) in enumerate(zip(task_variables, reached, strict=True))
                if row[i].exists and name in self._frontier.users[id(variable)]
            ]
            for i, variable in enumerate(variables)
        ]
        pairs = list(zip(variables, tasks_of, strict=True))
        names = list(task_variables)
        reaching = {id(v): {names[k] for k in tasks} for v, tasks in pairs}
        self.users = {**self._frontier.users, **reaching}
        # The columns of a lone task share all that the graph shows below the layer where they part.
        alone = {id(variable) for variable in self.shareable} if len(task_variables) == 1 else set()
        shared = [v for v, tasks in pairs if len(tasks) > 1 or (tasks and id(v) in alone)]
        of_tasks = [
            [v for v, tasks in pairs if tasks == [k] and id(v) not in alone]
            # The task of a slice is known.
            + [source for source in sources if isinstance(source, VariableSlice)]
            for k, sources in enumerate(task_variables.values())
        ]
        return shared, of_tasks

    def towers(self, weights: Tensor) -> tuple[list[Row], list[Row]]:
        """Takes one pass per loss through its tower."""
        rows = []
        for loss, copies, variables, seed in zip(
            self._tape.losses,
            self._tape.forward.copies,
            self._sources,
            self._tape.seeds(weights),
            strict=True,
        ):
            sources = [*(copy for copy in copies if copy is not None), *variables]
            row = self._tape.gradient([loss], sources, [seed])
            # The gradient of a joint variable is a new array in each pass, in which this loss has
            # one entry: the entry alone is kept.
            rows.append([Gradient(g.values) if g.is_entry else g for g in row])
        return self._tape.arrange(rows, self._sources)

    def towers_by_loss(self, weights: Tensor) -> tuple[list[Row], list[Row]]:
        """Takes the passes of `towers`, and returns separate cotangents for each column."""
        cotangents, towers = self.towers(weights)
        names = self._frontier.task_variables
        # No closed form by the layer at which columns part: it may be used in other places too.
        return self._tape.part_columns(cotangents, weights, {}, names), towers

    def spread(self, weights: Tensor) -> tuple[SpreadCotangents, list[Row]] | None:
        """Returns `None`: there is no single frontier."""
        return None

    def trunk(self, cotangents: Row) -> Row:
        """Takes one pass from the frontier to the shared variables."""
        return self._tape.trunk(cotangents, self.shared)

    def rows(self, cotangents: list[Row], vectorized: bool = True) -> list[Row]:
        """Returns each loss's gradients of the shared variables; takes one pass per loss.

        The columns of a task pass at once in any case.
        """
        seeds = self._tape.seeds(tf.ones(sum(self.sizes)))
        pairs = zip(self._tape.losses, seeds, strict=True)
        return [row for pair in pairs for row in self._tape.rows(*pair, self.shared)]

    def weighted(
        self, weights: Tensor, cotangents: list[Row], towers: list[Row], usable: Tensor
    ) -> tuple[Row, list[Row], Tensor]:
        """Returns the gradients of the shared variables for the weighted sum of losses."""
        if max(self.sizes) == 1:
            rows = self.rows(cotangents)
            return sum_of_finite(weights, rows, towers, usable, self.sizes, self._replicas)
        # Still one pass per task: it takes the weighted sum of the task's columns.
        pairs = zip(self._tape.losses, self._tape.seeds(weights), strict=True)
        of_tasks = [self._tape.gradient([loss], self.shared, [seed]) for loss, seed in pairs]
        rows = self._tape.by_loss(of_tasks, [Gradient()] * len(self.shared))
        return sum_of_finite(None, rows, towers, usable, self.sizes, self._replicas)

    def summed(
        self, weights: Tensor, cotangents: list[Row], towers: list[Row], usable: Tensor
    ) -> tuple[Row, list[Row], Tensor]:
        """Returns the result of `weighted`: the passes to shared variables begin at the losses."""
        return self.weighted(weights, cotangents, towers, usable)

"""A network whose trunk is frozen: only variables that serve one task are trained."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, compile_args
from keras_mtl._types import Tensor
from keras_mtl.analysis._probing._read_batches import network_of
from keras_mtl.callbacks._refitting._head import find_heads
from keras_mtl.training import BalancedModel
from keras_mtl.training._frontier import (
    Frontier,
    distinct_sources,
    find_frontier,
    split_forward,
)


class HeadsNetwork(keras.Model):
    """Trains the heads of a network on its frozen trunk.

    It uses the network's own variables. The trunk is in the mode of evaluation, so that neither
    its dropout nor its moving averages take part. Each head learns from the loss of its own task:
    with Adam, which moves each number by its own gradients, all of them train at once as each
    would alone.

    Args:
        network: The network.
        tasks: The tasks, exactly its outputs.
        frontier: The network, cut into a trunk and towers.
    """

    def __init__(self, network: keras.Model, tasks: Sequence[Task], frontier: Frontier) -> None:
        # The network's layers cast their inputs themselves (docs/keras_notes.md, pain 88).
        super().__init__(dtype=network.dtype_policy, autocast=False)
        self._tasks = tuple(tasks)
        # Keras sorts a dict of outputs, and names metrics by this list (docs/keras_notes.md, F2).
        self.output_names = sorted(task.name for task in tasks)
        self._frontier = frontier
        self.heads = find_heads(frontier)
        sources = [source for head in self.heads.values() for source in head.trained]
        self._trained = distinct_sources(sources)
        # Tracked for what they add to the loss.
        self._tower_layers = [
            operation
            for part in (*frontier.towers.values(), *frontier.exits.values())
            for operation in part.operations
            if isinstance(operation, keras.layers.Layer)
        ]
        self.built = True  # otherwise Keras would call the model once, to build it

    @property
    def trainable_weights(self) -> list[keras.Variable]:
        """The variables of the heads."""
        return list(self._trained)

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """The variables of the heads."""
        return self.trainable_weights

    def call(self, inputs: Tensor, training: bool | None = None) -> dict[str, Tensor]:
        """Returns the predictions by task."""
        predictions, _ = split_forward(self._frontier, inputs, training, frozen_trunk=True)
        return predictions

    def compile_tasks(self, learning_rate: float) -> None:
        """Compiles with the losses and metrics of the tasks."""
        self.compile(keras.optimizers.Adam(learning_rate), **compile_args(self._tasks))


def make_heads_network(model: keras.Model, tasks: Sequence[Task]) -> HeadsNetwork:
    """Returns the network of a model with its trunk frozen.

    Raises:
        ValueError: If its outputs are not the tasks, no task has variables of its own, or tasks
            share nothing, call one layer, or read a preference.
    """
    network = network_of(model, tasks)
    if isinstance(model, BalancedModel) and model.balancer.needs.preference:
        raise ValueError(
            f"the network reads a preference, which {type(model.balancer).__name__} draws in each "
            "step: there is no one best epoch. Expected keep='aggregate' or keep='each'."
        )
    frontier = find_frontier(network, tasks)
    _check(frontier)
    return HeadsNetwork(network, tasks, frontier)


def _check(frontier: Frontier) -> None:
    names = list(frontier.towers)
    if not frontier.shared:
        raise ValueError(
            f"the tasks {names} share no trainable layer: there is no trunk on which heads could "
            "be refitted. Pass keep='each', which keeps the best epoch of each task."
        )
    if frontier.tied:
        raise ValueError(
            f"several of the tasks {names} call one layer behind their own ones, so that the "
            "network has no trunk and heads. Pass keep='aggregate'."
        )
    owned: Mapping[str, Sequence[Any]] = frontier.task_variables
    if not any(owned.values()):
        raise ValueError(
            f"none of the tasks {names} has trainable layers of its own: there are no heads to "
            "refit. Pass keep='aggregate'."
        )

"""Gradient steps on a support set, which change no variable."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._keras_internals import nested_layers
from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.training._checks import check_outputs
from keras_mtl.training._extra_forward import State
from keras_mtl.training._logs import Losses, TaskLosses
from keras_mtl.training._optimizer import normalizations


class InnerLoop:
    """Takes gradient steps on a support set, and predicts with the values that they lead to.

    Batch normalization takes the statistics of the support alone: its moving averages are neither
    read nor written, and a query is no source of statistics for itself.

    Args:
        network: A functional network.
        tasks: Its tasks.
        variables: The variables that the steps change.
        second_order: Whether gradients pass through the steps.
    """

    def __init__(
        self,
        network: keras.Model,
        tasks: Sequence[Task],
        variables: Sequence[keras.Variable],
        second_order: bool,
    ) -> None:
        self._network, self.variables = network, list(variables)
        self._names = check_outputs(network, tasks)
        self.task_losses = TaskLosses(tasks)
        self._second_order = second_order
        self._seeds = [
            layer.seed_generator.state
            for layer in nested_layers(network)
            if hasattr(layer, "seed_generator")
        ]

    def adapt(
        self, values: list[Tensor], rates: Sequence[Any], support: Any, steps: int, index: Tensor
    ) -> tuple[list[Tensor], State]:
        """Returns the values of the variables after some steps, and the state to predict with.

        Args:
            values: The values before.
            rates: The learning rate of each variable, a number or one for each entry.
            support: Inputs, labels and sample weights by task.
            steps: The number of steps.
            index: The number of the episode, for draws of its own.
        """
        seeds = self._seeds_of(index)
        for _ in range(steps):
            with tf.GradientTape() as tape:
                tape.watch(values)
                goal = tf.add_n(
                    [
                        tf.reduce_sum(loss)
                        for loss in self.losses(support, [*seeds, *self._mapped(values)]).of_replica
                    ]
                )
            gradients = tape.gradient(goal, values, unconnected_gradients="zero")
            self._check_dense(gradients)
            if not self._second_order:
                gradients = [tf.stop_gradient(gradient) for gradient in gradients]
            values = [
                v - tf.cast(rate, v.dtype) * g
                for v, rate, g in zip(values, rates, gradients, strict=True)
            ]
        state = self._mapped(values)
        return values, [*state, *self._statistics(support[0], [*seeds, *state])]

    def losses(self, rows: Any, state: State, *, training: bool = True) -> Losses:
        """Returns the losses on some rows, with other values for some variables."""
        x, labels, weights = rows
        return self.task_losses(labels, self.predict(x, state, training=training), weights)

    def predict(self, x: Any, state: State, *, training: bool = False) -> dict[str, Tensor]:
        """Returns predictions by task, with other values for some variables."""
        with keras.StatelessScope(state_mapping=list(state)), _no_memory(self._network):
            outputs = self._network(x, training=training)
        if isinstance(outputs, dict):
            return dict(outputs)
        return dict(zip(self._names, keras.tree.flatten(outputs), strict=True))

    def _mapped(self, values: Sequence[Tensor]) -> State:
        return list(zip(self.variables, values, strict=True))

    def _statistics(self, x: Any, state: State) -> State:
        """Returns the moving averages of batch normalization as the support has them."""
        layers = normalizations(self._network)
        moving = [v for layer in layers for v in (layer.moving_mean, layer.moving_variance)]
        if not moving:
            return []
        with keras.StatelessScope(state_mapping=list(state)) as scope, _no_memory(self._network):
            self._network(x, training=True)
            return [(variable, scope.get_current_value(variable)) for variable in moving]

    def _seeds_of(self, index: Tensor) -> State:
        """Returns seeds for one episode: all its passes draw the same masks."""
        return [
            (seed, seed.value + tf.stack([tf.cast(index, seed.value.dtype), 0]))
            for seed in self._seeds
        ]

    def advance_seeds(self) -> None:
        """Lets the next step draw other numbers."""
        for seed in self._seeds:
            seed.assign(seed.value + tf.constant([0, 1], seed.value.dtype))

    def _check_dense(self, gradients: Sequence[Any]) -> None:
        sparse = [
            variable.path
            for variable, gradient in zip(self.variables, gradients, strict=True)
            if isinstance(gradient, tf.IndexedSlices)
        ]
        if sparse:
            raise ValueError(
                f"inner steps would make a dense copy of {sparse} for each episode, of which a "
                "batch reads a few rows. Leave embeddings out by inner_layers='...', or "
                "rule='anil'."
            )


@contextlib.contextmanager
def _no_memory(network: keras.Model) -> Iterator[None]:
    """Lets moving averages be those of the last batch alone, inside of the context."""
    layers = normalizations(network)
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum

"""Losses and gradients on a batch, as functions of the values of a network's variables."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import keras
import tensorflow as tf

from keras_mtl._keras_internals import nested_layers
from keras_mtl._replicas import Replicas
from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.analysis._probing._graph import in_graph
from keras_mtl.analysis._probing._read_batches import Element, loss_names, network_of
from keras_mtl.training._balanced_model import BalancedModel
from keras_mtl.training._extra_forward import with_preference
from keras_mtl.training._frontier import Forward, find_frontier, split_forward
from keras_mtl.training._gradients import (
    Backward,
    Gradient,
    LossScale,
    Row,
    StackedGradients,
    make_backward,
    stack,
)
from keras_mtl.training._gradients._loss_scale import DynamicLossScale
from keras_mtl.training._logs import Losses, TaskLosses

Values: TypeAlias = list[Tensor]
"""A value for each variable of the network, in the order of `network.variables`."""


_FLOAT16_SCALE = 1024.0  # a power of 2, so that it changes no digit


class Gradients(NamedTuple):
    """Holds the gradients of all losses on one batch.

    Attributes:
        stacked: The gradients of the shared variables, `[K, n]` for each of them; 0 where a loss
            takes no part.
        losses: The unweighted losses, `[K]`; NaN where there is no label.
        counts: The sums of the absolute weights of the labels, `[K]`: their number, if no sample
            weights are set.
        active: Which losses have labels and are finite, with finite gradients, bool `[K]`.
        units: The sum over the batch of |unit times its gradient| for each unit at which tasks
            part, `[K, units]`; `None` unless it is asked for.
    """

    stacked: StackedGradients
    losses: Tensor
    counts: Tensor
    active: Tensor
    units: Tensor | None


class Probe:
    """Looks at a network in evaluation mode; changes none of its variables.

    All functions take the values of the variables as arguments, and read no variable: whatever
    a layer assigns is dropped, and they work within and outside of the scope of a strategy, whose
    mirrored variables have no gradient across replicas. They run in graphs that are made once.

    Args:
        model: A `BalancedModel`, or a functional network.
        tasks: The tasks, at least two losses.

    Attributes:
        names: The names of the K losses.
        shared: The variables that several tasks train, known for sure once gradients were taken.

    Raises:
        ValueError: If there are none, or the network's outputs are not the tasks.
    """

    def __init__(self, model: keras.Model, tasks: Sequence[Task]) -> None:
        self.network = network_of(model, tasks)
        self.tasks = tuple(tasks)
        self.names = loss_names(tasks)
        self._takes_preference = (
            isinstance(model, BalancedModel) and model.balancer.needs.preference
        )
        self._loss_scale = _loss_scale_of(self.network)
        self._frontier = find_frontier(self.network, tasks)
        self._task_losses = TaskLosses(tasks)
        # Of an entangled network, gradients tell which of these are shared (docs/design.md, D3).
        self.shared = _check_shared(list(self._frontier.shareable), self.names)

    def values(self) -> Values:
        """Returns the current values of all variables."""
        return [tf.convert_to_tensor(variable.value) for variable in self.network.variables]

    def shared_values(self, values: Values) -> list[Tensor]:
        """Returns the values of the shared variables among those of all variables."""
        by_variable = self._by_variable(values)
        return [by_variable[id(variable)] for variable in self.shared]

    def with_shared(self, values: Values, of_shared: Sequence[Tensor]) -> Values:
        """Returns the values with others for the shared variables."""
        changed = self._by_variable(values)
        changed |= {id(v): new for v, new in zip(self.shared, of_shared, strict=True)}
        return [changed[id(variable)] for variable in self.network.variables]

    def _by_variable(self, values: Values) -> dict[int, Tensor]:
        pairs = zip(self.network.variables, values, strict=True)
        return {id(variable): value for variable, value in pairs}

    @property
    def weights(self) -> Tensor:
        """The weights `[K]` by which gradients of the unweighted losses are multiplied."""
        return self._task_losses.weights

    @property
    def num_variables(self) -> int:
        """n, the number of entries of all shared variables."""
        return sum(int(variable.value.shape.num_elements()) for variable in self.shared)

    @functools.cached_property
    def losses(self) -> Callable[[Values, Element], Tensor]:
        """The unweighted losses `[K]` on a batch, NaN where there is no label."""

        def losses(values: Values, batch: Element) -> Tensor:
            with self._scope(values):
                predictions, _ = split_forward(self._frontier, self._inputs(batch), False)
                return _known(self._losses(batch, predictions))

        return in_graph(losses)

    @functools.cached_property
    def gradients(self) -> Callable[[Values, Element], Gradients]:
        """The gradients on a batch."""
        return in_graph(self.gradients_in_graph)

    def gradients_in_graph(self, values: Values, batch: Element, units: bool = False) -> Gradients:
        """Returns the gradients on a batch, for functions that are part of a graph.

        Args:
            values: The values of the variables.
            batch: Inputs, labels and weights.
            units: Whether the importance of units is asked for, too.
        """
        with self._scope(values):
            backward, forward, losses = self._backward(values, batch)
            # A loss without labels, or that is infinite, takes no part, as in the engine's step.
            active = (losses.counts > 0.0) & tf.math.is_finite(losses.unweighted)
            active &= self._task_losses.weights > 0.0
            cotangents, _ = backward.towers_by_loss(tf.cast(active, tf.float32))
            stacked = stack(_with_zeros(backward.rows(cotangents, vectorized=True), self.shared))
            stacked = [self._loss_scale.unscaled(rows) for rows in stacked]
            importance = _unit_importance(cotangents, forward) if units else None
        active &= tf.math.is_finite(tf.add_n([tf.reduce_sum(rows, axis=1) for rows in stacked]))
        # No product with 0, which would keep a NaN (docs/keras_notes.md, F5).
        stacked = [tf.where(active[:, None], rows, tf.zeros_like(rows)) for rows in stacked]
        return Gradients(stacked, _known(losses), losses.counts, active, importance)

    def _backward(self, values: Values, batch: Element) -> tuple[Backward, Forward, Losses]:
        replicas = Replicas()  # rows are not dealt out: each replica would see all of them
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([value for value in values if value.dtype.is_floating])
            predictions, forward = split_forward(self._frontier, self._inputs(batch), False)
            losses = self._losses(batch, predictions)
        backward = make_backward(
            tape, self._frontier, forward, losses.of_replica, self._loss_scale, replicas
        )
        self.shared = _check_shared(list(backward.shared), self.names)
        return backward, forward, losses

    def _scope(self, values: Values) -> keras.StatelessScope:
        return keras.StatelessScope(
            state_mapping=list(zip(self.network.variables, values, strict=True))
        )

    def _inputs(self, batch: Element) -> Any:
        if not self._takes_preference:
            return batch[0]
        even = tf.fill((len(self.names),), 1.0 / len(self.names))
        return with_preference(self.network, batch[0], even)

    def _losses(self, batch: Element, predictions: dict[str, Tensor]) -> Losses:
        return self._task_losses(batch[1], predictions, batch[2])


def _known(losses: Losses) -> Tensor:
    """Returns the unweighted losses, NaN where there is no label."""
    return tf.where(losses.counts > 0.0, losses.unweighted, float("nan"))


def _loss_scale_of(network: keras.Model) -> LossScale:
    """Returns a factor for gradients that pass layers in float16, where small ones become 0."""
    if any(layer.compute_dtype == "float16" for layer in nested_layers(network)):
        return DynamicLossScale(Replicas(), tf.constant(_FLOAT16_SCALE))
    return LossScale(Replicas())


def _check_shared(variables: list[Any], names: Sequence[str]) -> list[Any]:
    if not variables:
        raise ValueError(
            f"the tasks {list(names)} share no trainable variable of the network: there are no "
            "gradients to compare. Expected a network with layers that several tasks read; thaw "
            "these layers if they are frozen."
        )
    return variables


def _with_zeros(rows: list[Row], shared: Sequence[Any]) -> list[Row]:
    """Returns the rows, with zeros for variables that no loss reaches, only a regularizer."""
    unreached = [
        not any(gradient.exists for gradient in column) for column in zip(*rows, strict=True)
    ]
    first = [
        Gradient(tf.zeros_like(variable.value)) if nothing else gradient
        for variable, gradient, nothing in zip(shared, rows[0], unreached, strict=True)
    ]
    return [first, *rows[1:]]


def _unit_importance(cotangents: list[Row], forward: Forward) -> Tensor:
    """Returns the sum over a batch of |unit times its gradient|, `[K, units]`.

    Units are the entries of the last axis of each tensor at which the tasks part.
    """

    def of_tensor(tensor: Tensor, gradient: Gradient) -> Tensor:
        size = tensor.shape[-1]
        if not gradient.exists:
            return tf.zeros(size)
        products = tf.abs(tf.cast(tensor, tf.float32) * gradient.dense())
        return tf.reduce_sum(tf.reshape(products, (-1, size)), axis=0)

    return tf.stack(
        [
            tf.concat(
                [of_tensor(*pair) for pair in zip(forward.frontier, row, strict=True)], axis=0
            )
            for row in cotangents
        ]
    )

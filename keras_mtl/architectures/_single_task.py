"""Towers that share nothing: the baseline of every multi-task network."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation
from keras_mtl.architectures._building import (
    Tower,
    end_towers,
    read_inputs,
)


def single_task(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    tower: Tower = (128, 64),
    activation: Activation = "relu",
    name: str | None = "single_task",
) -> keras.Model:
    """Gives each task its own tower over the inputs, and shares nothing.

    With the features x, and for each task k a tower h_k that ends in the task's head:

        y_k = h_k(x)

    Choose it for the baseline that a shared network must beat. All towers are trained side by
    side in one model; with fixed task weights and an optimizer that treats each variable apart
    (SGD, Adam), that equals training them one by one. Balancing it is meaningless, because the
    tasks have nothing in common. Layers in front of `inputs`, such as trained embeddings, are
    shared nevertheless.

    Guide:
        Kind: nothing or one body
        Shares: nothing
        Choose it when: you need the baseline that a shared network must beat
        Not when: labels are few, or serving must be cheap
        Source: this package

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        tower: Units of each task's tower, or a recipe `features -> features` that makes new layers
            at each call. A dict gives each task a tower of its own (`None` stands for all others).
            Defaults to `(128, 64)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, or a tower ends in a shape
            that does not fit its task.
        TypeError: If an argument is of another type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.single_task(keras.Input((8,)), tasks, tower=(16,))
        >>> {name: output.shape for name, output in network.output.items()}
        {'click': (None, 1), 'price': (None, 1)}
        >>> tuple(network.get_layer("price_tower_0").kernel.shape)
        (8, 16)
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    outputs = end_towers(tower, {task.name: features for task in tasks}, tasks, activation)
    return keras.Model(inputs, outputs, name=name)

"""One body under all towers (Caruana, 1997)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation
from keras_mtl.architectures._building import (
    Part,
    Tower,
    apply_part,
    end_towers,
    read_inputs,
)


def hard_sharing(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    shared: Part | keras.layers.Layer = (128, 64),
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "hard_sharing",
) -> keras.Model:
    """Runs all tasks through one shared body, and ends each in a tower of its own.

    The prediction of task k is

        y_k = h_k(f(x))

    where `f` is the shared body and `h_k` the tower with its head.

    Choose it first: it is the smallest and the fastest to serve, and the shared body regularizes
    tasks with few labels. Choose `mmoe` where tasks disagree, which shows when a task does worse
    than with `single_task`.

    Guide:
        Kind: nothing or one body
        Shares: one body
        Choose it when: you begin, tasks are related, or one small network must serve all tasks
        Not when: tasks pull the shared body in different directions
        Source: Caruana 1997, Machine Learning 28

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes. A body that is not given as units may read other types.
        tasks: The tasks, at least one.
        shared: Units of the shared body, a recipe `features -> features`, or a Keras model or
            layer, pretrained or new, which becomes part of the network. Defaults to
            `(128, 64)`.
        tower: Units of each task's tower, or a recipe `features -> features` that makes new layers
            at each call. A dict gives each task a tower of its own (`None` stands for all others).
            Defaults to `(32,)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, or a tower ends in a shape
            that does not fit its task.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.tagging("pos", 17), mtl.Task.tagging("entity", 9)]
        >>> def body(words):
        ...     x = keras.layers.Embedding(100, 16, mask_zero=True)(words)
        ...     return keras.layers.Bidirectional(keras.layers.GRU(8, return_sequences=True))(x)
        >>> words = keras.Input((None,), dtype="int32")
        >>> network = mtl.architectures.hard_sharing(words, tasks, shared=body)
        >>> network.output["pos"].shape
        (None, None, 17)

    Reference:
        Caruana, Multitask Learning, Machine Learning 28, 1997. (There the body is one hidden
        layer, and no layers stand between it and the outputs; today a deep body and small towers
        are usual.)
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    features = apply_part(shared, features, "shared_body", activation, shared=True)

    outputs = end_towers(tower, {task.name: features for task in tasks}, tasks, activation)
    return keras.Model(inputs, outputs, name=name)

"""One network whose one head predicts all tasks (Caruana, 1997)."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import keras

from keras_mtl._tasks import Head, Task, attach_activation, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Part,
    apply_part,
    check_features,
    check_rank,
    read_inputs,
)
from keras_mtl.layers import ChannelSlice


def joint_network(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    shared: Part | keras.layers.Layer = (128, 64),
    activation: Activation = "relu",
    name: str | None = "joint_network",
) -> keras.Model:
    """Runs all tasks through one body and one dense head, whose slices are the tasks.

    The prediction of all tasks is

        y = a(W f(x) + b)

    where `f` is the body, and each task has some of the rows of `W` and `b` and an activation
    `a` of its own.

    It is the smallest network that serves several tasks, and one matrix product ends it: choose
    it for very many small tasks, or as the extreme case in which everything is shared. Tasks can
    differ only in the last linear map; choose `hard_sharing` to give them towers.

    Guide:
        Kind: nothing or one body
        Shares: everything: the tasks are slices of one head
        Choose it when: there are very many small tasks
        Not when: tasks need towers of their own
        Source: Caruana 1997, Machine Learning 28

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes. A body that is not given as units may read other types.
        tasks: The tasks, at least one, each with a `Head` (as the factories of `Task` make it).
        shared: Units of the body, a recipe `features -> features`, or a Keras model or layer,
            pretrained or new, which becomes part of the network. Defaults to `(128, 64)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, a task's head is a recipe,
            whose size is not known, or the body ends in a shape that does not fit a task.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.multiclass("region", 5)]
        >>> network = mtl.architectures.joint_network(keras.Input((8,)), tasks)
        >>> network.get_layer("shared_logits").units
        6

    Reference:
        Caruana, Multitask Learning, Machine Learning 28, 1997: one net with one output unit per
        task. The head is one dense layer over all tasks, so the spread of its initial kernel is
        that of its joint width, a little less than that of one head per task.
    """
    tasks = check_tasks(tasks)
    heads = [_read_head(task) for task in tasks]
    inputs, features = read_inputs(inputs, tasks)

    features = apply_part(shared, features, "shared_body", activation, shared=True)

    check_features(features, "shared_logits")
    stops = [*accumulate(head.num_logits for head in heads)]  # where each task's slice ends
    logits = keras.layers.Dense(stops[-1], name="shared_logits")(features)
    outputs = {}
    for task, head, stop in zip(tasks, heads, stops, strict=True):
        pick = ChannelSlice(stop - head.num_logits, stop, name=f"{task.name}_slice")
        outputs[task.name] = _end(task, head, pick(logits))
    return keras.Model(inputs, outputs, name=name)


def _read_head(task: Task) -> Head:
    """Returns the task's head, and checks that its size is known."""
    if isinstance(task.head, Head):
        return task.head
    raise ValueError(
        f"task {task.name!r}: all tasks are slices of one dense head here, so their heads must be "
        f"Head(units, activation); received the recipe {task.head!r}. Choose hard_sharing for "
        "heads of other kinds."
    )


def _end(task: Task, head: Head, logits: Tensor) -> Tensor:
    """Computes the task's prediction from its slice of the logits."""
    prediction = attach_activation(head, logits, task.name, task.scale)
    check_rank(task, prediction)
    return prediction

"""One body per task, and relations along which features and gradients spread."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation
from keras_mtl.architectures._building import (
    Body,
    Tower,
    end_towers,
    read_inputs,
    read_stages,
    stage_per_task,
)
from keras_mtl.layers import TaskRelations


def knowledge_propagation(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    body: Body = (128, 64),
    tower: Tower = (32,),
    strength: float = 0.5,
    relations: Sequence[Sequence[float]] | None = None,
    activation: Activation = "relu",
    name: str | None = "knowledge_propagation",
) -> keras.Model:
    """Gives each task a body of its own, which learns from related tasks' losses as well.

    With the features `x_j` at the end of the body of task j, and the relations `r_kj`, the tower
    of task k reads its own features and those of the tasks that it is related to:

        x~_k = x_k + lambda sum_j r_kj x_j

    So the body of task j gets from the loss L, a sum of the tasks' losses L_k, the gradient

        dL/dx_j = delta_j + lambda sum_k r_kj delta_k
        delta_k = dL_k/dx~_k

    which is the term of its own task, and `lambda r_kj` times the terms of the other tasks.

    Choose it with few tasks, since it costs as much as one network per task, and where it is
    known which tasks help which (the matrix `r`, which need not be symmetric), or where training
    should find out (`relations=None`). With `strength=0` tasks are separate, as in
    `single_task`; `soft_sharing` ties weights instead of features, and `cross_stitch` mixes after
    every stage, without bounds.

    Guide:
        Kind: mixed features
        Shares: features and gradients, along relations between tasks
        Choose it when: it is known which tasks help which, or training should find out
        Not when: tasks are unrelated
        Source: this package

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes. A body whose first stage is not given as units may read
            other types.
        tasks: The tasks, at least one.
        body: Stages. Each is given as units, a recipe `features -> features` that makes new
            layers at each call, or a Keras layer or model, of which each task gets a copy with
            its weights. Defaults to `(128, 64)`.
        tower: Units of each task's tower, or a recipe as above. A dict gives each task a tower of
            its own (`None` stands for all others). Defaults to `(32,)`.
        strength: `lambda`. Defaults to `0.5`.
        relations: `r`, a matrix in the order of the tasks with a diagonal of 0: row k says how
            much task k takes from each other task. `None` to learn it in training: each entry
            then lies between 0 and `1 / (K - 1)` and starts at half of that, and it can be read
            as `.relations` of `network.get_layer("shared_relations")`. Defaults to `None`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, relations are no matrix that
            fits, bodies differ in shape between tasks, or a tower ends in a shape that does not
            fit its task.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.binary("buy")]
        >>> network = mtl.architectures.knowledge_propagation(
        ...     keras.Input((8,)), tasks, relations=[[0, 0], [1, 0]]  # buy learns from click
        ... )
        >>> network.get_layer("shared_relations").relations.tolist()
        [[0.0, 0.0], [1.0, 0.0]]

    Reference:
        None: this is the package's own form of the idea that a task's loss should include a part
        of the losses of related tasks. It is one step of propagation over the graph of tasks.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    task_features = {task.name: features for task in tasks}
    for i, stage in enumerate(read_stages(body)):
        task_features = stage_per_task(
            stage, task_features, f"shared_{{}}_body_{i}", tasks, activation
        )

    propagate = TaskRelations(strength, relations, name="shared_relations")
    propagated = propagate([*task_features.values()])  # one tensor per task, in the same order
    task_features = dict(zip(task_features, propagated, strict=True))

    outputs = end_towers(tower, task_features, tasks, activation)
    return keras.Model(inputs, outputs, name=name)

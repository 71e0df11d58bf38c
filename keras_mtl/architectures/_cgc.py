"""Customized gate control (Tang et al., 2020)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation
from keras_mtl.architectures._building import (
    Part,
    Tower,
    check_count,
    end_towers,
    gate_features,
    join_experts,
    make_experts,
    mix_experts,
    read_inputs,
)


def cgc(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    num_shared_experts: int = 2,
    num_task_experts: int = 2,
    expert: Part = (128,),
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "cgc",
) -> keras.Model:
    """Gives each task experts of its own beside shared ones, and a gate over both.

    For task k

        w_k(x) = softmax(W_k x)
        g_k(x) = w_k(x) S_k(x)
        y_k = h_k(g_k(x))

    where the rows of `S_k(x)` are the outputs of task k's own experts and then of the shared
    ones, `w_k` is the gate with the kernel `W_k`, and `h_k` is the tower with its head.

    Choose it where `mmoe` helps some tasks and hurts others: here knowledge that belongs to one
    task alone has a place of its own. With many tasks the experts add up, and where tasks agree
    `hard_sharing` is enough. The weights that a gate gives are the output of the layer
    `<task>_gate`, with the task's own experts first.

    Guide:
        Kind: experts
        Shares: experts of all tasks, beside experts of each task alone
        Choose it when: tasks conflict, and a part of each task is specific to it
        Not when: there are many tasks, since each adds experts
        Source: Tang et al. 2020, doi:10.1145/3383313.3412236

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        num_shared_experts: Number of experts that all tasks use. Defaults to `2`.
        num_task_experts: Number of experts that each task has for itself. Defaults to `2`.
        expert: Units of each expert (all of a group are then computed together), or a recipe
            `features -> features` that makes new layers at each call. Defaults to `(128,)`.
        tower: Units of each task's tower, or a recipe as above. A dict gives each task a tower of
            its own (`None` stands for all others). Defaults to `(32,)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, there is no expert of a
            kind, `expert` is empty, or a tower ends in a shape that does not fit its task.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.binary("married")]
        >>> network = mtl.architectures.cgc(keras.Input((8,)), tasks, num_shared_experts=3)
        >>> network.get_layer("income_gate").output.shape
        (None, 5)

    Reference:
        Tang et al., Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL)
        Model for Personalized Recommendations, RecSys 2020, doi:10.1145/3383313.3412236,
        equations 2 to 5. There tasks may have different numbers of experts. Features with more
        axes are gated as in `mmoe`.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    check_count(num_shared_experts, "num_shared_experts")
    check_count(num_task_experts, "num_task_experts")
    groups = {"shared": (features, num_shared_experts)}
    groups |= {task.name: (features, num_task_experts) for task in tasks}
    experts = make_experts(groups, expert, activation)

    gated = gate_features(features, experts["shared"])
    mixtures = {
        task.name: mix_experts(
            gated, join_experts(experts[task.name], experts["shared"]), task.name
        )
        for task in tasks
    }

    outputs = end_towers(tower, mixtures, tasks, activation)
    return keras.Model(inputs, outputs, name=name)

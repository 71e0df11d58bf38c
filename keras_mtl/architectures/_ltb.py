"""Learning to branch (Guo et al., 2020)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Body,
    Stage,
    Tower,
    check_count,
    check_features,
    check_separate_variables,
    end_towers,
    new_stage,
    read_inputs,
    read_stages,
)
from keras_mtl.layers import Branching, Experts, ParallelDense, PickBranch, StackBranches


def ltb(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    body: Body = (128, 64),
    num_branches: int | None = None,
    temperature: float = 1.0,
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "ltb",
) -> keras.Model:
    """Learns a tree: which tasks share a layer of the body, and where they branch off.

    Every stage of the body has `num_branches` nodes, each with weights of its own. A node reads
    one node of the stage below, and a task reads one node of the last stage. The layer
    `Branching` makes these choices: by a draw of the Gumbel-softmax distribution in training,
    and by taking the best parent otherwise.

    Choose it to find a tree that is small to serve: `keras_mtl.export.harden(network)` returns
    that tree as a plain network, without the nodes that no task uses. Training costs
    `num_branches` bodies; train the tree again after it was extracted. The choices are
    `network.get_layer("shared_branch_<stage>").choices`.

    Guide:
        Kind: branching
        Shares: the layers of a tree that is learned
        Choose it when: it is unknown where the tasks should branch
        Not when: training must be short
        Source: Guo et al. 2020, arXiv:2006.01895

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        body: Stages, each of them units, a recipe `features -> features` that makes new layers
            at each call, or a Keras layer or model, of which each node gets a copy with its
            weights. Defaults to `(128, 64)`.
        num_branches: Number of nodes in each stage. Defaults to the number of tasks, but at
            least 2.
        temperature: Temperature of the draws, a variable of each `shared_branch_<stage>` that a
            callback may lower with time. Defaults to `1.0`.
        tower: Units of each task's tower, or a recipe as above. A dict gives each task a tower of
            its own (`None` stands for all others). Defaults to `(32,)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, `body` is empty, a number
            is out of its range, or a tower ends in a shape that does not fit its task.
        TypeError: If an argument is of another type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.binary("married")]
        >>> network = mtl.architectures.ltb(keras.Input((8,)), tasks, num_branches=3)
        >>> network.get_layer("shared_branch_2").choices.tolist()  # before training
        [0, 0]

    Reference:
        Guo et al., Learning to Branch for Multi-Task Learning, ICML 2020, arXiv:2006.01895.
        Here the temperature stays constant unless it is assigned, and the branching is trained
        together with the weights from the first step on.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    if num_branches is None:
        num_branches = max(2, len(tasks))  # with one node there would be nothing to choose
    check_count(num_branches, "num_branches", minimum=2)
    stages = read_stages(body)
    nodes = _first_nodes(stages[0], features, num_branches, activation)
    for i, stage in enumerate(stages[1:], start=1):
        # (batch, ..., num_branches, units): the parent that each node of this stage reads
        parents = Branching(num_branches, temperature, name=f"shared_branch_{i}")(nodes)
        nodes = _later_nodes(stage, parents, activation, i)
    parents = Branching(len(tasks), temperature, name=f"shared_branch_{len(stages)}")(nodes)
    task_features = {
        task.name: PickBranch(k, name=f"{task.name}_branch")(parents)
        for k, task in enumerate(tasks)
    }

    outputs = end_towers(tower, task_features, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _first_nodes(
    stage: Stage, features: Tensor, num_branches: int, activation: Activation
) -> Tensor:
    """Builds the nodes of the first stage, which all read the features."""
    if isinstance(stage, int):
        check_features(features, "shared_nodes_0")
        return Experts(num_branches, (stage,), activation, name="shared_nodes_0")(features)
    return _separate_nodes(stage, [features] * num_branches, activation, 0)


def _later_nodes(stage: Stage, parents: Tensor, activation: Activation, i: int) -> Tensor:
    """Builds the nodes of stage `i`, each of which reads the parent that it chose."""
    if isinstance(stage, int):
        return ParallelDense(stage, activation, name=f"shared_nodes_{i}")(parents)
    node_features = [
        PickBranch(k, name=f"shared_branch_{i}_{k}")(parents) for k in range(parents.shape[-2])
    ]
    return _separate_nodes(stage, node_features, activation, i)


def _separate_nodes(
    stage: Stage, node_features: list[Tensor], activation: Activation, i: int
) -> Tensor:
    """Builds the nodes of a stage that is not units, one after the other, and stacks them."""
    outputs = {
        f"shared_node_{i}_{k}": new_stage(stage, features, f"shared_node_{i}_{k}", activation)
        for k, features in enumerate(node_features)
    }
    check_separate_variables(outputs, node_features)
    return StackBranches(name=f"shared_nodes_{i}")(list(outputs.values()))

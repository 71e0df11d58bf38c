"""A network per task, tied by a penalty on the distance between their weights."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._keras_internals import nodes_above
from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Body,
    Tower,
    end_towers,
    read_inputs,
    read_stages,
    stage_per_task,
)
from keras_mtl.layers import WeightTies


def soft_sharing(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    body: Body = (128, 64),
    tower: Tower = (),
    distance: str = "squared_l2",
    strength: float | Sequence[Sequence[float]] = 1e-3,
    activation: Activation = "relu",
    name: str | None = "soft_sharing",
) -> keras.Model:
    """Gives each task its own body, and ties the bodies by the distance between their weights.

    With the distance d between the corresponding weights W_i^l and W_j^l of the tasks i and j,
    and the strength lambda_ij of the tie between these tasks, the loss gets the penalty

        sum_{i<j} lambda_ij sum_l d(W_i^l, W_j^l)

    Choose it for few, related tasks that should resemble each other without sharing all, or
    where it is known how related they are: that knowledge enters as the matrix `lambda_ij`.
    It costs as much as one network per task, and a balancer of gradients finds nothing shared.

    The logs hold the penalty as `shared_ties_penalty`; it is part of `loss`.

    Guide:
        Kind: nothing or one body
        Shares: nothing, but the tasks' bodies are tied by a penalty
        Choose it when: tasks are alike, yet need weights of their own
        Not when: memory matters, since each task has its own body
        Source: Duong et al. 2015, doi:10.3115/v1/P15-2139

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes. A body whose first stage is not units may read other types.
        tasks: The tasks, at least one.
        body: Stages of the tied bodies, each of them units, a recipe `features -> features`
            that makes new layers at each call, or a Keras layer or model, of which each task
            gets a copy with its weights. Defaults to `(128, 64)`.
        tower: Units of each task's tower, which is not tied, or a recipe. A dict gives each task a
            tower of its own (`None` stands for all others). Defaults to `()`.
        distance: `"squared_l2"`, `"l1"`, `"cosine"` (1 minus the cosine), each between pairs of
            tasks, or `"trace_norm"` of the matrix whose rows are the tasks' weights. Defaults
            to `"squared_l2"`.
        strength: `lambda`: a number for all pairs, or a symmetric matrix in the order of the
            tasks. Defaults to `1e-3`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, the distance is unknown, the
            strength is neither a number nor a symmetric matrix, or a tower ends in a shape that
            does not fit its task.
        TypeError: If an argument is of another type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary(name) for name in ("english", "german", "chinese")]
        >>> network = mtl.architectures.soft_sharing(
        ...     keras.Input((8,)),
        ...     tasks,
        ...     strength=[[0, 0.1, 0.01], [0.1, 0, 0.01], [0.01, 0.01, 0]],
        ... )
        >>> network.get_layer("shared_ties").distance
        'squared_l2'

    Reference:
        Duong et al., Low Resource Dependency Parsing: Cross-lingual Parameter Sharing in a
        Neural Network Parser, ACL 2015, doi:10.3115/v1/P15-2139 (squared L2); Yang and
        Hospedales, Trace Norm Regularized Deep Multi-Task Learning, arXiv:1606.04038 (their
        last-axis flattening). L1, the cosine and the matrix of strengths are this package's.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    # The layer passes its input on; it finds the tied weights by the names that are set below.
    ties = WeightTies([()] * len(tasks), distance, strength, name="shared_ties")
    features = ties(features)

    task_features = {task.name: features for task in tasks}
    for i, stage in enumerate(read_stages(body)):
        task_features = stage_per_task(stage, task_features, f"{{}}_body_{i}", tasks, activation)
    ties.branches = [_weighted_layers(output, features) for output in task_features.values()]

    outputs = end_towers(tower, task_features, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _weighted_layers(output: Tensor, features: Tensor) -> list[str]:
    """Returns the names of the layers with weights between the features and a body's output."""
    visited: set[int] = set()
    for _ in nodes_above([features], visited):  # marks the nodes before the body
        pass
    operations = [node.operation for node in nodes_above([output], visited)]
    return [operation.name for operation in operations if getattr(operation, "weights", ())]

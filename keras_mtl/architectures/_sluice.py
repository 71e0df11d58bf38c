"""Sluice networks: what to share, in which layers and subspaces (Ruder et al., 2019)."""

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
from keras_mtl.layers import CrossStitch, LayerStitch, SubspaceOrthogonality

# Layers whose kernels end in the axis of the channels, once or, in recurrent layers, per gate.
_SEPARABLE = tuple(
    getattr(keras.layers, name)
    for name in ("Dense", "Conv1D", "Conv2D", "Conv3D", "LSTM", "GRU", "SimpleRNN")
)


def sluice(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    body: Body = (64, 64),
    tower: Tower = (32,),
    num_subspaces: int = 2,
    alpha: float = 0.9,
    beta: float = 0.9,
    orthogonality: float = 0.0,
    activation: Activation = "relu",
    name: str | None = "sluice",
) -> keras.Model:
    """Gives each task its own body, mixes subspaces of their features, and for each task depths.

    After every stage l the channels of each task are cut into subspaces, and each subspace i of
    each task is mixed with all subspaces j of all tasks, so that a task can share one part of
    its features and keep another. The tower of task k reads z_k, a mixture of the features
    x~_kl of the task after all stages:

        x~_i = sum_j alpha_ij x_j
        z_k = sum_l beta_kl x~_kl

    Choose it over `cross_stitch` where tasks are loosely related, or some need shallower
    features than others. It costs as much as one network per task.

    The learned sharing is `network.get_layer("shared_stitch_0").alphas` (subspaces of the first
    task first) and `network.get_layer("<task>_layers").betas`.

    Guide:
        Kind: mixed features
        Shares: subspaces of the features, and for each task a mixture of depths
        Choose it when: it is unknown what to share, and there are few, loosely related tasks
        Not when: there are many tasks, since each has its own body
        Source: Ruder et al. 2019, arXiv:1705.08142

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        body: Stages that all end in the same shape, each of them units, a recipe
            `features -> features` that makes new layers at each call, or a Keras layer or
            model, of which each task gets a copy with its weights. Defaults to `(64, 64)`.
        tower: Units of each task's tower, or a recipe as above. A dict gives each task a tower of
            its own (`None` stands for all others). Defaults to `(32,)`.
        num_subspaces: Number of parts into which channels are cut. Defaults to `2`.
        alpha: Initial value of `alpha_ii`; the others share the rest of 1. Defaults to `0.9`.
        beta: Initial value of the `beta` of the last stage, likewise. Defaults to `0.9`.
        orthogonality: Weight in the loss of `sum |G_1^T G_2|_F^2`, where `G_1` and `G_2` are
            the columns of a kernel that make two subspaces; the logs hold it as
            `shared_subspaces_penalty`. Defaults to `0.0`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, stages differ in shape, their
            channels cannot be cut, a stage has no kernel to be kept orthogonal, or a tower ends
            in a shape that does not fit its task.
        TypeError: If an argument is of another type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.binary("married")]
        >>> network = mtl.architectures.sluice(keras.Input((8,)), tasks, body=(16, 16, 16))
        >>> tuple(network.get_layer("shared_stitch_0").alphas.shape)
        (4, 4)
        >>> network.get_layer("income_layers").betas.numpy().round(2)
        array([0.05, 0.05, 0.9 ], dtype=float32)

    Reference:
        Ruder et al., Latent Multi-task Architecture Learning, AAAI 2019, arXiv:1705.08142.
        Beyond the paper: any numbers of tasks and subspaces, any kind of stage. There the
        orthogonality holds for whole recurrent kernels; here also for dense and convolutional
        ones.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    penalty = None
    if orthogonality:
        # The layer passes its input on; it finds the kernels by the names that are added below.
        penalty = SubspaceOrthogonality([], num_subspaces, orthogonality, name="shared_subspaces")
        features = penalty(features)

    task_features = {task.name: features for task in tasks}
    features_by_stage = []
    for i, stage in enumerate(read_stages(body)):
        below = task_features
        task_features = stage_per_task(stage, below, f"shared_{{}}_body_{i}", tasks, activation)
        if penalty is not None:
            penalty.branches += [
                [_last_kernel(task_features[key], below[key])] for key in task_features
            ]
        stitch = CrossStitch(alpha, num_subspaces=num_subspaces, name=f"shared_stitch_{i}")
        mixed = stitch([*task_features.values()])
        task_features = dict(zip(task_features, mixed, strict=True))
        features_by_stage.append(task_features)

    mixtures = {
        task.name: LayerStitch(beta, name=f"{task.name}_layers")(
            [stage_features[task.name] for stage_features in features_by_stage]
        )
        for task in tasks
    }

    outputs = end_towers(tower, mixtures, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _last_kernel(features: Tensor, below: Tensor) -> str:
    """Returns the name of the layer whose kernel makes a stage's channels.

    Args:
        features: The stage's output.
        below: The stage's input.

    Raises:
        ValueError: If the last layer with a kernel cannot be cut by channels.
    """
    visited: set[int] = set()
    for _ in nodes_above([below], visited):  # marks the nodes before the stage
        pass
    # Nodes come from the output towards the inputs: the first with a matrix makes the channels.
    weighted = [
        node.operation
        for node in nodes_above([features], visited)
        if any(len(variable.shape) > 1 for variable in getattr(node.operation, "weights", ()))
    ]
    if weighted and isinstance(weighted[0], _SEPARABLE):
        layer = weighted[0]
        if layer.output.shape[-1] == features.shape[-1]:
            return str(layer.name)
    last = f"{weighted[0].name!r} ({type(weighted[0]).__name__})" if weighted else "no such layer"
    raise ValueError(
        "orthogonality: the channels of each stage must come from a dense, convolutional or "
        f"one-way recurrent layer, whose kernel can be cut by channels; received {last}. End the "
        "stage in one of these, or set orthogonality=0."
    )

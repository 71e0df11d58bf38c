"""Sluice networks: what to share, in which layers and subspaces (Ruder et al., 2019)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._keras_internals import nodes_above
from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Tensor
from keras_mtl.architectures._building import (
    Body,
    Part,
    end_towers,
    read_inputs,
    read_stages,
    stage_of_each,
)
from keras_mtl.layers import CrossStitch, LayerStitch, SubspaceOrthogonality

# Layers whose kernels end in the axis of the channels, once or once a gate.
_SEPARABLE = tuple(
    getattr(keras.layers, name)
    for name in ("Dense", "Conv1D", "Conv2D", "Conv3D", "LSTM", "GRU", "SimpleRNN")
)


def sluice(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    body: Body = (64, 64),
    tower: Part = (32,),
    num_subspaces: int = 2,
    alpha: float = 0.9,
    beta: float = 0.9,
    orthogonality: float = 0.0,
    activation: Any = "relu",
    name: str | None = "sluice",
) -> keras.Model:
    """Gives each task a body of its own, mixes their subspaces, and for each task their depths.

    After every stage the channels of each task are cut into subspaces, and each subspace of
    each task becomes `x~_i = sum_j alpha_ij x_j` over all subspaces of all tasks, so that a task
    can share one part of its features and keep another. A tower reads `sum_l beta_l x~_l` over
    all stages. Choose it over `cross_stitch` where tasks are loosely related, or some need
    shallower features than others. It costs as much as one network a task.

    What is shared is `network.get_layer("shared_stitch_0").alphas` (subspaces of the first task
    first) and `network.get_layer("<task>_layers").betas`.

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        body: Stages that all end in the same shape, each units, a recipe `features -> features`
            that makes new layers at each call, or a Keras layer or model, of which each task
            gets a copy with its weights. Defaults to `(64, 64)`.
        tower: Units of each task's tower, or a recipe as above. Defaults to `(32,)`.
        num_subspaces: Into how many parts channels are cut. Defaults to `2`.
        alpha: Where `alpha_ii` starts; the others share the rest of 1. Defaults to `0.9`.
        beta: Where the `beta` of the last stage starts, likewise. Defaults to `0.9`.
        orthogonality: Weight of `sum |G_1^T G_2|_F^2` in the loss, for the columns `G_1`, `G_2`
            of the kernels that make two subspaces; the logs hold it as
            `shared_subspaces_penalty`. Defaults to `0.0`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, stages differ in shape, their
            channels cannot be cut, a stage has no kernel to be kept orthogonal, or a tower ends
            in a shape that does not fit its task.
        TypeError: If an argument is of another kind.

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
        Beyond the paper: any numbers of tasks and subspaces, any kind of stage; its recurrent
        kernels are constrained whole, here dense and convolutional ones too.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    apart = None
    if orthogonality:
        apart = SubspaceOrthogonality([], num_subspaces, orthogonality, name="shared_subspaces")
        features = apart(features)

    columns = {task.name: features for task in tasks}
    levels = []
    for i, stage in enumerate(read_stages(body)):
        below = columns
        columns = stage_of_each(stage, below, f"shared_{{}}_body_{i}", tasks, activation)
        if apart is not None:
            apart.branches += [[_last_kernel(columns[key], below[key])] for key in columns]
        stitch = CrossStitch(alpha, num_subspaces=num_subspaces, name=f"shared_stitch_{i}")
        columns = dict(zip(columns, stitch([*columns.values()]), strict=True))
        levels.append(columns)

    mixtures = {
        task.name: LayerStitch(beta, name=f"{task.name}_layers")(
            [level[task.name] for level in levels]
        )
        for task in tasks
    }

    outputs = end_towers(tower, mixtures, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _last_kernel(features: Tensor, below: Tensor) -> str:
    """The name of the layer whose kernel makes a stage's channels."""
    visited: set[int] = set()
    for _ in nodes_above([below], visited):
        pass
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

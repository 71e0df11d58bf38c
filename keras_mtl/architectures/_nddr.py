"""Neural discriminative dimensionality reduction between the tasks' bodies (Gao et al., 2019)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Tensor
from keras_mtl.architectures._building import (
    Body,
    Part,
    end_towers,
    read_inputs,
    read_stages,
    resize_like,
    stage_of_each,
)
from keras_mtl.layers import NDDR


def nddr(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    body: Body = (128, 64),
    tower: Part = (32,),
    alpha: float = 0.9,
    weight_decay: float = 2.5e-4,
    shortcut: bool = False,
    activation: Any = "relu",
    name: str | None = "nddr",
) -> keras.Model:
    """Gives each task a body of its own, and after every stage a projection of all features.

    `x~_i = act(BN(W_i [x_1, ..., x_K]))` with a 1x1 convolution `W_i` that begins near the
    identity. It is `cross_stitch` with a matrix for every pair of tasks instead of a number, so
    a channel of one task can feed any channel of another: choose it for few tasks with large
    data, where `cross_stitch` is too stiff. It grows with the square of the number of tasks,
    and its batch statistics want batches that are not small.

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        body: Stages, each units, a recipe `features -> features` that makes new layers at each
            call, or a Keras layer or model, of which each task gets a copy with its weights.
            Defaults to `(128, 64)`.
        tower: Units of each task's tower, or a recipe as above. Defaults to `(32,)`.
        alpha: Where a task's weight of its own channels starts; those of the other tasks share
            the rest of 1. Defaults to `0.9`.
        weight_decay: Times the sum of the squares of the `W_i`; part of the loss, and of the
            method. Defaults to `2.5e-4` (the authors' 5e-4 of half that sum).
        shortcut: Whether towers read the mixed features of all stages, brought to the size of
            the last, joined and projected to as many channels as it has. Defaults to `False`.
        activation: Activation of the layers made from units, and of the projections. Defaults
            to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, stages differ in shape
            between tasks, sizes cannot be brought to each other, or a tower ends in a shape
            that does not fit its task.
        TypeError: If an argument is of another kind.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.binary("married")]
        >>> network = mtl.architectures.nddr(keras.Input((8,)), tasks, body=(16, 8))
        >>> tuple(network.get_layer("shared_nddr_1").kernel.shape)  # both tasks' 8 channels
        (16, 16)

    Reference:
        Gao et al., NDDR-CNN: Layerwise Feature Fusing in Multi-Task CNNs by Neural
        Discriminative Dimensionality Reduction, CVPR 2019, arXiv:1801.08297. Beyond the paper:
        any number of tasks and any kind of stage. Shortcuts are max-pooled here, and resized
        bilinearly there; the 100 times larger learning rate of the `W_i` there is left to the
        optimizer.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    columns = {task.name: features for task in tasks}
    levels = []
    for i, stage in enumerate(read_stages(body)):
        columns = stage_of_each(stage, columns, f"shared_{{}}_body_{i}", tasks, activation)
        fuse = NDDR(alpha, weight_decay, activation=activation, name=f"shared_nddr_{i}")
        columns = dict(zip(columns, fuse([*columns.values()]), strict=True))
        levels.append(columns)
    if shortcut:
        for key in columns:
            own = [level[key] for level in levels]
            columns[key] = _join(own, f"{key}_shortcut", weight_decay, activation)

    outputs = end_towers(tower, columns, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _join(levels: list[Tensor], name: str, weight_decay: float, activation: Any) -> Tensor:
    """Features of all stages, projected to the channels of the last."""
    resized = [resize_like(each, levels[-1], f"{name}_{i}") for i, each in enumerate(levels)]
    joined = keras.layers.Concatenate(name=name)(resized) if len(levels) > 1 else resized[0]
    project = keras.layers.Dense(
        levels[-1].shape[-1],
        use_bias=False,
        kernel_regularizer=keras.regularizers.L2(weight_decay) if weight_decay else None,
        name=f"{name}_projection",
    )
    normalize = keras.layers.BatchNormalization(momentum=0.95, name=f"{name}_normalization")
    activate = keras.layers.Activation(activation, name=f"{name}_activation")
    return activate(normalize(project(joined)))

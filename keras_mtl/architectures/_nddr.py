"""Neural discriminative dimensionality reduction between the tasks' bodies (Gao et al., 2019)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Body,
    Tower,
    end_towers,
    read_inputs,
    read_stages,
    resize_like,
    stage_per_task,
)
from keras_mtl.layers import NDDR


def nddr(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    body: Body = (128, 64),
    tower: Tower = (32,),
    alpha: float = 0.9,
    weight_decay: float = 2.5e-4,
    shortcut: bool = False,
    activation: Activation = "relu",
    name: str | None = "nddr",
) -> keras.Model:
    """Gives each task its own body, and projects the features of all tasks after every stage.

    With the features x_1, ..., x_K of the K tasks at a stage, joined along the channels, and
    for each task k a 1x1 convolution W_k that begins near the identity of the task's channels:

        x~_k = act(BN(W_k [x_1, ..., x_K]))

    BN is batch normalization and act the activation. This is `cross_stitch` with a matrix for
    every pair of tasks instead of a number, so that a channel of one task can feed any channel
    of another. Choose it for few tasks with large data, where `cross_stitch` is not flexible
    enough. It grows with the square of the number of tasks, and its batch statistics need
    batches that are not small.

    Guide:
        Kind: mixed features
        Shares: features, projected between the tasks' bodies
        Choose it when: it is unknown what to share, with few tasks, much data and large batches
        Not when: there are many tasks, since it has even more weights than `cross_stitch`
        Source: Gao et al. 2019, arXiv:1801.08297

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        body: Stages, each of them units, a recipe `features -> features` that makes new layers
            at each call, or a Keras layer or model, of which each task gets a copy with its
            weights. Defaults to `(128, 64)`.
        tower: Units of each task's tower, or a recipe as above. A dict gives each task a tower of
            its own (`None` stands for all others). Defaults to `(32,)`.
        alpha: Initial weight in W_k of the channels of task k; the other tasks' channels share
            the rest of 1. Defaults to `0.9`.
        weight_decay: Factor of the sum of the squares of all W_k, which is added to the loss
            and is part of the method. Defaults to `2.5e-4` (the authors' 5e-4 of half that
            sum).
        shortcut: Whether towers read the mixed features of all stages, resized to the last
            stage, joined, and projected to as many channels as it has. Defaults to `False`.
        activation: Activation of the layers made from units, and of the projections. Defaults
            to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, stages differ in shape
            between tasks, features cannot be resized to those of the last stage, or a tower
            ends in a shape that does not fit its task.
        TypeError: If an argument is of another type.

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
        bilinearly there; the learning rate of the W_k, 100 times larger there, is left to the
        optimizer.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    task_features = {task.name: features for task in tasks}
    features_by_stage = []
    for i, stage in enumerate(read_stages(body)):
        task_features = stage_per_task(
            stage, task_features, f"shared_{{}}_body_{i}", tasks, activation
        )
        fuse = NDDR(alpha, weight_decay, activation=activation, name=f"shared_nddr_{i}")
        fused = fuse([*task_features.values()])
        task_features = dict(zip(task_features, fused, strict=True))
        features_by_stage.append(task_features)
    if shortcut:
        for key in task_features:
            all_stages = [stage_features[key] for stage_features in features_by_stage]
            task_features[key] = _join_stages(
                all_stages, f"{key}_shortcut", weight_decay, activation
            )

    outputs = end_towers(tower, task_features, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _join_stages(
    features: list[Tensor], name: str, weight_decay: float, activation: Activation
) -> Tensor:
    """Joins one task's features of all stages, and projects them to the channels of the last."""
    last = features[-1]
    resized = [
        resize_like(stage_features, last, f"{name}_{i}")
        for i, stage_features in enumerate(features)
    ]
    joined = keras.layers.Concatenate(name=name)(resized) if len(features) > 1 else resized[0]
    project = keras.layers.Dense(
        last.shape[-1],
        use_bias=False,  # the normalization that follows has one
        kernel_regularizer=keras.regularizers.L2(weight_decay) if weight_decay else None,
        name=f"{name}_projection",
    )
    normalize = keras.layers.BatchNormalization(momentum=0.95, name=f"{name}_normalization")
    activate = keras.layers.Activation(activation, name=f"{name}_activation")
    return activate(normalize(project(joined)))

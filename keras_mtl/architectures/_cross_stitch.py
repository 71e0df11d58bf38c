"""Cross-stitch networks (Misra et al., 2016)."""

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
from keras_mtl.layers import CrossStitch


def cross_stitch(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    body: Body = (128, 64),
    tower: Tower = (32,),
    alpha: float = 0.9,
    per_channel: bool = False,
    activation: Activation = "relu",
    name: str | None = "cross_stitch",
) -> keras.Model:
    """Gives each task a body of its own, and mixes the bodies' features after every stage.

    After each stage task i goes on with

        x~_i = sum_j alpha_ij x_j

    where `x_j` are the features of task j. Training finds how much task i takes from task j,
    from nothing (the matrix `alpha` is the identity, and networks are separate) to all.

    Choose it where it is not known which layers should be shared. It costs as much as one
    network per task; `mmoe` is cheaper with many tasks.
    `network.get_layer("shared_stitch_0").alphas` shows what is shared.

    Guide:
        Kind: mixed features
        Shares: features, mixed between the bodies of the tasks
        Choose it when: it is unknown what to share, and there are few tasks
        Not when: there are many tasks, since each has its own body
        Source: Misra et al. 2016, arXiv:1604.03539

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        body: Stages. Each is given as units, a recipe `features -> features` that makes new
            layers at each call, or a Keras layer or model, of which each task gets a copy with
            its weights (for example `keras.Model(m.input, m.get_layer("block2_pool").output)`
            and the layers after it). Defaults to `(128, 64)`.
        tower: Units of each task's tower, or a recipe as above. A dict gives each task a tower of
            its own (`None` stands for all others). Defaults to `(32,)`.
        alpha: Initial value of `alpha_ii`; the rest of 1 is spread evenly over the other
            `alpha_ij` of the row. Defaults to `0.9`.
        per_channel: Whether every channel has its own mixture. Defaults to `False`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, stages differ in shape
            between tasks, or a tower ends in a shape that does not fit its task.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.binary("married")]
        >>> network = mtl.architectures.cross_stitch(keras.Input((8,)), tasks, body=(16, 8))
        >>> tuple(network.get_layer("shared_stitch_1").alphas.shape)
        (2, 2)

    Reference:
        Misra et al., Cross-stitch Networks for Multi-task Learning, CVPR 2016,
        arXiv:1604.03539. Beyond the paper: any number of tasks and any kind of stage.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    task_features = {task.name: features for task in tasks}
    for i, stage in enumerate(read_stages(body)):
        task_features = stage_per_task(
            stage, task_features, f"shared_{{}}_body_{i}", tasks, activation
        )
        stitch = CrossStitch(alpha, per_channel, name=f"shared_stitch_{i}")
        stitched = stitch([*task_features.values()])  # one tensor per task, in the same order
        task_features = dict(zip(task_features, stitched, strict=True))

    outputs = end_towers(tower, task_features, tasks, activation)
    return keras.Model(inputs, outputs, name=name)

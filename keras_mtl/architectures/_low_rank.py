"""One body, whose kernels differ between tasks by matrices of low rank."""

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
    read_body,
)
from keras_mtl.layers import LowRankBody, LowRankFactors


def low_rank(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    body: Part | keras.layers.Layer = (128, 64),
    rank: int = 4,
    targets: Sequence[str] | None = None,
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "low_rank",
) -> keras.Model:
    """Gives each task the shared weights of a body and a low-rank difference from them.

    For task k each kernel of the body is

        W_k = W_0 + U_k V_k

    where all tasks share `W_0 (in, out)`, and `U_k (in, r)` and `V_k (r, out)` belong to task k
    alone. Biases and all other variables of the body are shared.

    Choose it for many tasks that differ little: one more costs `r (in + out)` numbers per layer,
    and a larger `rank` leads from `hard_sharing` almost to `single_task`. Choose `lora` where
    the body is trained already. The body runs once per task; `export.merge` makes plain layers
    of a trained network.

    Guide:
        Kind: low rank and sparsity
        Shares: one body, whose kernels differ between tasks by matrices of low rank
        Choose it when: there are many tasks that differ little
        Not when: tasks differ much
        Source: Evgeniou and Pontil 2004, doi:10.1145/1014052.1014067

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes. For a body that is a model, these are its inputs, such as
            `body.input`.
        tasks: The tasks, at least one.
        body: Units, a recipe `features -> features`, or a Keras layer or model, which becomes
            part of the network. Defaults to `(128, 64)`.
        rank: `r`. Defaults to `4`.
        targets: The names of the body's layers whose kernels differ between tasks, or of layers
            that contain them, such as `["query", "value"]`. By default all dense, convolutional
            (except depthwise), recurrent and attention layers.
        tower: Units of each task's tower, or a recipe that makes new layers at each call. A dict
            gives each task a tower of its own (`None` stands for all others). Defaults to `(32,)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, the body has no such layer
            or returns several tensors, `rank` is less than 1, or a tower ends in a shape that
            does not fit its task.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.binary("married")]
        >>> network = mtl.architectures.low_rank(keras.Input((8,)), tasks, body=(16, 16), rank=2)
        >>> [tuple(factor.shape) for factor in network.get_layer("income_low_rank").factors]
        [(8, 2), (2, 16), (16, 2), (2, 16)]

    Reference:
        The sum of shared weights and weights of a task alone is that of Evgeniou and Pontil,
        Regularized Multi-Task Learning, KDD 2004, doi:10.1145/1014052.1014067. Models are linear
        there, and the weights of a task alone are penalized; the factors that replace them here
        are as in Hu et al., arXiv:2106.09685. Training both together from the start is this
        package's addition.
    """
    tasks = check_tasks(tasks)
    check_count(rank, "rank")
    inputs, features, layer = read_body(inputs, tasks, body, activation)

    shared = LowRankBody(layer, targets, name="shared_body")
    shared.build()  # finds the kernels, whose shapes the factors need
    task_features = {}
    for task in tasks:
        factors = LowRankFactors(
            shared.shapes,
            rank,
            a_initializer="glorot_uniform",
            b_initializer="glorot_uniform",
            name=f"{task.name}_low_rank",
        )
        task_features[task.name] = shared(features, factors(features))

    outputs = end_towers(tower, task_features, tasks, activation)
    return keras.Model(inputs, outputs, name=name)

"""A frozen body with a low-rank update for each task (Hu et al., 2021)."""

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
from keras_mtl.layers._frozen import freeze


def lora(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    body: Part | keras.layers.Layer = (128, 64),
    rank: int = 8,
    alpha: float | None = None,
    targets: Sequence[str] | None = None,
    tower: Tower = (),
    activation: Activation = "relu",
    name: str | None = "lora",
) -> keras.Model:
    """Adapts a frozen, pretrained body to each task by low-rank updates of its kernels.

    For task k a kernel of the body is

        W_k = W_0 + (alpha / r) B_k A_k

    where `W_0 (out, in)` is frozen, and `A_k (r, in)` and `B_k (out, r)` are trained. `B_k`
    starts at zero, so training starts from the body as it is.

    Choose it for a large pretrained body and tasks with few labels each: tasks cannot harm each
    other, and a task is a few numbers (`network.get_layer("<task>_lora").get_weights()`) beside
    one body. Choose `hard_sharing` where tasks should learn from each other: here no trained
    variable is shared, and a balancer of gradients has nothing to do. `export.merge` adds the
    updates to the kernels for serving.

    Guide:
        Kind: frozen bodies
        Shares: a frozen body, whose kernels each task updates by matrices of low rank
        Choose it when: a pretrained body is large, labels are few, and updates are to be merged
        Not when: the body may be trained, and there is much data
        Source: Hu et al. 2021, arXiv:2106.09685

    Args:
        inputs: The inputs of the body, such as `backbone.input`: a `keras.Input`, a dict of them
            by name, or the output of a preprocessing model, whose own inputs the network then
            takes.
        tasks: The tasks, at least one.
        body: A Keras layer or model, which becomes part of the network and is frozen
            (`trainable = False`). It must return one tensor; pick one with
            `keras.Model(backbone.input, backbone.output["sequence_output"])`. Units or a recipe
            make a body of random, frozen weights, as a baseline. Defaults to `(128, 64)`.
        rank: `r`. Defaults to `8`.
        alpha: `alpha`: the updates are scaled by `alpha / r`. Defaults to `rank`, a scale of 1.
        targets: The names of layers whose kernels are updated, or of layers that contain them,
            such as `["query", "value"]`. By default all dense, convolutional (except depthwise),
            recurrent and attention layers.
        tower: Units of each task's tower, or a recipe that makes new layers at each call. A dict
            gives each task a tower of its own (`None` stands for all others). Defaults to `()`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, the body has no such layer or returns several
            tensors, `rank` is less than 1, or a tower ends in a shape that does not fit its
            task.
        TypeError: If an argument has a wrong type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.multiclass("breed", 120), mtl.Task.binary("puppy")]
        >>> backbone = keras.applications.MobileNetV2(
        ...     (32, 32, 3), alpha=0.35, include_top=False, weights=None, pooling="avg"
        ... )
        >>> network = mtl.architectures.lora(
        ...     backbone.input, tasks, body=backbone, rank=4, targets=["Conv_1"]
        ... )
        >>> [factor.shape for factor in network.get_layer("breed_lora").get_weights()]
        [(112, 4), (4, 1280)]

    Reference:
        Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022,
        arXiv:2106.09685. As there, `A (r, in)` is Gaussian, here with variance `2 / in`. There
        attention is updated; here every kernel is, unless `targets` are given. Kernels in Keras
        are transposed, so with `a = A^T` and `b = B^T` they are `W + (alpha / r) a b`.
    """
    tasks = check_tasks(tasks)
    check_count(rank, "rank")
    inputs, features, layer = read_body(inputs, tasks, body, activation)

    freeze(layer)
    scale = 1.0 if alpha is None else alpha / rank
    shared = LowRankBody(layer, targets, scale, name="shared_body")
    shared.build()  # finds the kernels, whose shapes the factors need
    task_features = {}
    for task in tasks:
        factors = LowRankFactors(shared.shapes, rank, name=f"{task.name}_lora")
        task_features[task.name] = shared(features, factors(features))

    outputs = end_towers(tower, task_features, tasks, activation)
    return keras.Model(inputs, outputs, name=name)

"""Multi-task attention network (Liu et al., 2019)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._keras_internals import is_functional
from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building import (
    Body,
    Tower,
    check_features,
    end_towers,
    read_inputs,
    read_stages,
    resize_like,
    reusable_stage,
)

Pair = tuple[Tensor, Tensor]
"""The features `u_j` and `p_j` of one stage of the body."""


def mtan(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    body: Body = (128, 64),
    attend: Sequence[str | tuple[str, str]] | None = None,
    tower: Tower = (32,),
    activation: Activation = "relu",
    name: str | None = "mtan",
) -> keras.Model:
    """Lets each task attend to the features of a shared body, stage by stage.

    At stage j the body has the features u_j and p_j. Task k computes a mask a_kj between 0 and
    1 from u_j and from its features of the stage below, and multiplies p_j by it:

        r_kj = f_(j-1)(v_k(j-1))          for j > 1
        a_kj = h_kj(g_kj([u_j, r_kj]))    at the first stage h_k1(g_k1(u_1))
        v_kj = a_kj * p_j

    v_kj of the last stage goes to the task's tower. g and h are 1x1 convolutions of the task
    (dense maps at each position), f is shared by the tasks, and each is followed by batch
    normalization; g and f then by the activation, h by a sigmoid. [.] joins channels.

    Choose it for images and deep bodies: it adds few weights per task, and it shows where each
    task looks. For flat feature vectors use `cgc`. The mask is the output of the layer
    `<task>_attention_<j>`.

    Guide:
        Kind: attention and conditioning
        Shares: one body, with attention for each task
        Choose it when: inputs are images, or tasks need different features of one body
        Not when: there are many tasks, since each has attention at each stage
        Source: Liu et al. 2019, arXiv:1803.10704

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        body: Stages, each of them units, a recipe `features -> features`, or a Keras layer or
            model. With `attend`, one functional Keras model. Defaults to `(128, 64)`.
        attend: For a body that is one model, the layers in it whose outputs are attended to,
            lowest first: a name for `u` and `p` alike, or a pair of names. Defaults to all
            stages, with `u = p`.
        tower: Units of each task's tower, or a recipe that makes new layers at each call. A dict
            gives each task a tower of its own (`None` stands for all others). Defaults to `(32,)`.
        activation: Activation of the layers made from units, and after g and f. Defaults to
            `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, `body` is empty or has no
            layer of a name in `attend`, the sizes of two stages do not fit, or a tower ends in
            a shape that does not fit its task.
        TypeError: If an argument is of another type.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.segmentation("parts", 7), mtl.Task.segmentation("edges", 2)]
        >>> def block(features):
        ...     return keras.layers.Conv2D(16, 3, padding="same", activation="relu")(features)
        >>> network = mtl.architectures.mtan(keras.Input((8, 8, 3)), tasks, body=[block, block])
        >>> network.get_layer("edges_attention_1").output.shape
        (None, 8, 8, 16)

    Reference:
        Liu et al., End-to-End Multi-Task Learning with Attention, CVPR 2019, arXiv:1803.10704,
        and the authors' code. There `u` is the output of the first and `p` that of the last
        convolution of a block. `f` is a 3x3 convolution where features are images and the body
        is not made from units, and otherwise a dense map; its output is then pooled or enlarged
        to the size of the next stage. Where a batch is split over replicas, batch statistics
        are those of one replica.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    stages = (
        _stages(features, body, activation)
        if attend is None
        else _attended_stages(features, body, attend)
    )
    pointwise = attend is None and all(isinstance(stage, int) for stage in read_stages(body))

    below: dict[str, Tensor] = {}  # r_kj by the task's name, before it is resized
    for j, (u, p) in enumerate(stages):
        task_features = {}
        for task in tasks:
            reads = [u, resize_like(below[task.name], u, f"{task.name}_resized_{j}")] if j else [u]
            task_features[task.name] = _attend(reads, p, f"{task.name}_attention_{j}", activation)
        if j < len(stages) - 1:
            extract = _Extractor(p, pointwise, f"shared_extractor_{j}", activation)
            below = {key: extract(features) for key, features in task_features.items()}

    outputs = end_towers(tower, task_features, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _stages(features: Tensor, body: Body, activation: Activation) -> list[Pair]:
    """Returns `u` and `p` of each stage of a body in stages, where both are its output."""
    pairs = []
    for j, stage in enumerate(read_stages(body)):
        features = reusable_stage(stage, features, f"shared_body_{j}", activation)(features)
        check_features(features, f"shared_body_{j}")
        pairs.append((features, features))
    return pairs


def _attended_stages(
    features: Tensor, body: Any, attend: Sequence[str | tuple[str, str]]
) -> list[Pair]:
    """Returns `u` and `p` of each stage of a body that is one model, by the names of layers."""
    functional = isinstance(body, keras.Sequential) or is_functional(body)
    if not isinstance(body, keras.Model) or not functional or not body.built:
        raise TypeError(
            "attend names layers of a body that is one functional Keras model with inputs; "
            f"received {body!r}."
        )
    pairs = [(entry, entry) if isinstance(entry, str) else entry for entry in attend]
    known_names = {layer.name for layer in body.layers}
    for layer_name in {layer_name for pair in pairs for layer_name in pair} - known_names:
        raise ValueError(
            f"attend: the body {body.name!r} has no layer {layer_name!r}; "
            f"it has {sorted(known_names)}."
        )
    if not pairs:
        raise ValueError("attend is empty: name at least one layer of the body.")
    outputs = {
        layer_name: body.get_layer(layer_name).output for pair in pairs for layer_name in pair
    }
    body_features = keras.Model(body.input, outputs, name="shared_body")(features)
    return [(body_features[u], body_features[p]) for u, p in pairs]


def _attend(reads: list[Tensor], p: Tensor, name: str, activation: Activation) -> Tensor:
    """Multiplies the features `p` by a task's mask, which is computed from `reads`."""
    x = keras.layers.Concatenate(name=f"{name}_read")(reads) if len(reads) > 1 else reads[0]
    units = p.shape[-1]
    # A bias would be taken away by the normalization behind it.
    x = keras.layers.Dense(units, use_bias=False, name=f"{name}_g")(x)
    x = keras.layers.BatchNormalization(name=f"{name}_g_norm")(x)
    x = keras.layers.Activation(activation, name=f"{name}_g_activation")(x)
    x = keras.layers.Dense(units, use_bias=False, name=f"{name}_h")(x)
    x = keras.layers.BatchNormalization(name=f"{name}_h_norm")(x)
    mask = keras.layers.Activation("sigmoid", name=name)(x)
    return keras.layers.Multiply(name=f"{name}_product")([mask, p])


class _Extractor:
    """Applies the `f` of a stage: one instance, which all tasks call."""

    def __init__(self, p: Tensor, pointwise: bool, name: str, activation: Activation) -> None:
        units = p.shape[-1]
        if len(p.shape) == 4 and not pointwise:
            extract = keras.layers.Conv2D(units, 3, padding="same", use_bias=False, name=name)
        else:
            extract = keras.layers.Dense(units, use_bias=False, name=name)
        self.layers = [
            extract,
            keras.layers.BatchNormalization(name=f"{name}_norm"),
            keras.layers.Activation(activation, name=f"{name}_activation"),
        ]

    def __call__(self, features: Tensor) -> Tensor:
        for layer in self.layers:
            features = layer(features)
        return features

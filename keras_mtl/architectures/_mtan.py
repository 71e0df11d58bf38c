"""Multi-task attention network (Liu et al., 2019)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._keras_internals import is_functional
from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Tensor
from keras_mtl.architectures._building import (
    Body,
    Part,
    check_features,
    end_towers,
    read_inputs,
    read_stages,
    repeated_stage,
    resize_like,
)

Pair = tuple[Tensor, Tensor]


def mtan(
    inputs: Any,
    tasks: Sequence[Task],
    *,
    body: Body = (128, 64),
    attend: Sequence[str | tuple[str, str]] | None = None,
    tower: Part = (32,),
    activation: Any = "relu",
    name: str | None = "mtan",
) -> keras.Model:
    """Lets each task attend to the features of a shared body, stage by stage.

    At stage j, task k multiplies the body's features by a mask between 0 and 1:
    `a_k,j = h_k,j(g_k,j([u_j; f_j-1(a_k,j-1 * p_j-1)]))`, and the last `a_k,j * p_j` goes to its
    tower. `g` and `h` are 1x1 convolutions of the task (dense maps at each position), `f` is
    shared by the tasks, and each is followed by batch normalization. Choose it for images and
    deep bodies: it adds few weights a task, and tells where each task looks. For plain features
    `cgc` is its like. The mask is the output of the layer `<task>_attention_<j>`.

    Args:
        inputs: A `keras.Input` of floats `(batch, ..., in)`; a dict of float inputs, which are
            joined to `(batch, in)`; or the output of a preprocessing model, whose own inputs
            the network then takes.
        tasks: The tasks, at least one.
        body: Stages, each units, a recipe `features -> features`, or a Keras layer or model.
            With `attend`, one functional Keras model. Defaults to `(128, 64)`.
        attend: For a body that is one model, the layers in it whose outputs are attended to,
            lowest first: a name for `u` and `p` alike, or a pair of names. Defaults to all
            stages, with `u = p`.
        tower: Units of each task's tower, or a recipe that makes new layers at each call.
            Defaults to `(32,)`.
        activation: Activation of the layers made from units. Defaults to `"relu"`.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from the inputs to a dict of predictions by task name.

    Raises:
        ValueError: If tasks share a name, inputs cannot be joined, `body` is empty or has no
            such layer, the sizes of two stages do not fit, or a tower ends in a shape that does
            not fit its task.
        TypeError: If an argument is of another kind.

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
        and the authors' code. There `u` comes after the first and `p` after the last
        convolution of a block. `f` is a 3x3 convolution over images whose body is not made from
        units, else a dense map; then it is pooled or enlarged to the size of the next stage.
        Where a batch is split over replicas, batch statistics are those of a replica.
    """
    tasks = check_tasks(tasks)
    inputs, features = read_inputs(inputs, tasks)

    stages = (
        _stages(features, body, activation) if attend is None else _ends(features, body, attend)
    )
    pointwise = attend is None and all(isinstance(stage, int) for stage in read_stages(body))

    below: dict[str, Tensor] = {}
    for j, (u, p) in enumerate(stages):
        columns = {}
        for task in tasks:
            read = [u, resize_like(below[task.name], u, f"{task.name}_resized_{j}")] if j else [u]
            columns[task.name] = _attend(read, p, f"{task.name}_attention_{j}", activation)
        if j < len(stages) - 1:
            extract = _Extractor(p, pointwise, f"shared_extractor_{j}", activation)
            below = {key: extract(column) for key, column in columns.items()}

    outputs = end_towers(tower, columns, tasks, activation)
    return keras.Model(inputs, outputs, name=name)


def _stages(features: Tensor, body: Body, activation: Any) -> list[Pair]:
    """`u` and `p` of each stage, which are the same."""
    pairs = []
    for j, stage in enumerate(read_stages(body)):
        features = repeated_stage(stage, features, f"shared_body_{j}", activation)(features)
        check_features(features, f"shared_body_{j}")
        pairs.append((features, features))
    return pairs


def _ends(features: Tensor, body: Any, attend: Sequence[str | tuple[str, str]]) -> list[Pair]:
    """`u` and `p` of each stage of a model, by the names of layers."""
    functional = isinstance(body, keras.Sequential) or is_functional(body)
    if not isinstance(body, keras.Model) or not functional or not body.built:
        raise TypeError(
            "attend names layers of a body that is one functional Keras model with inputs; "
            f"received {body!r}."
        )
    names = [(each, each) if isinstance(each, str) else each for each in attend]
    known = {layer.name for layer in body.layers}
    for each in {each for pair in names for each in pair} - known:
        raise ValueError(
            f"attend: the body {body.name!r} has no layer {each!r}; it has {sorted(known)}."
        )
    if not names:
        raise ValueError("attend is empty: name at least one layer of the body.")
    outputs = {each: body.get_layer(each).output for pair in names for each in pair}
    made = keras.Model(body.input, outputs, name="shared_body")(features)
    return [(made[u], made[p]) for u, p in names]


def _attend(read: list[Tensor], p: Tensor, name: str, activation: Any) -> Tensor:
    """What a task's mask leaves of the features `p`."""
    x = keras.layers.Concatenate(name=f"{name}_read")(read) if len(read) > 1 else read[0]
    units = p.shape[-1]
    x = keras.layers.Dense(units, use_bias=False, name=f"{name}_g")(x)
    x = keras.layers.BatchNormalization(name=f"{name}_g_norm")(x)
    x = keras.layers.Activation(activation, name=f"{name}_g_activation")(x)
    x = keras.layers.Dense(units, use_bias=False, name=f"{name}_h")(x)
    x = keras.layers.BatchNormalization(name=f"{name}_h_norm")(x)
    mask = keras.layers.Activation("sigmoid", name=name)(x)
    return keras.layers.Multiply(name=f"{name}_product")([mask, p])


class _Extractor:
    """The `f` of a stage: one instance, which all tasks call."""

    def __init__(self, p: Tensor, pointwise: bool, name: str, activation: Any) -> None:
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

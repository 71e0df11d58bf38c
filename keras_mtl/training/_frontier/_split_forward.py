"""The forward pass in two parts: once through the trunk, then through each tower."""

import dataclasses
from typing import TypeAlias

import keras
import tensorflow as tf

from keras_mtl._keras_internals import (
    logits_of,
    mask_of,
    scale_of,
    with_logits,
    with_mask,
    with_scaled,
)
from keras_mtl._types import Tensor
from keras_mtl.training._frontier._column_layers import ColumnLayer
from keras_mtl.training._frontier._frontier import Frontier

Copies: TypeAlias = list[Tensor | None]
"""One task's copies of the tensors of the frontier; `None` for those that it does not read."""


@dataclasses.dataclass(frozen=True)
class ColumnPass:
    """Holds what a forward pass leaves at the layer where a task's columns part.

    Attributes:
        layer: The layer.
        features: Its input.
        before_activation: Its output before the activation.
    """

    layer: ColumnLayer
    features: Tensor
    before_activation: Tensor


@dataclasses.dataclass(frozen=True)
class Forward:
    """Holds what a forward pass leaves for the backward passes.

    Attributes:
        frontier: The differentiable tensors that the trunk made, then the logits behind those of
            them that are a task's prediction.
        copies: For each task, its own copies of them.
        column_passes: For tasks whose columns part at one layer.
    """

    frontier: list[Tensor]
    copies: list[Copies]
    column_passes: dict[str, ColumnPass]


def split_forward(
    frontier: Frontier, inputs: Tensor, training: bool | None, *, frozen_trunk: bool = False
) -> tuple[dict[str, Tensor], Forward]:
    """Returns predictions by task, each computed from the task's own copy of the frontier.

    Because of the copies, one backward pass of the plain sum of the losses gives every task's
    gradient at the frontier: the gradient with respect to a copy comes from its task's loss only.

    Args:
        frontier: The network, cut into a trunk and towers.
        inputs: The network's inputs.
        training: The mode of all layers.
        frozen_trunk: Whether the trunk is in the mode of evaluation, whatever `training` is.
    """
    # One pass through the trunk, whatever the number of tasks.
    mode = False if frozen_trunk else training
    tensors = keras.tree.flatten(frontier.trunk(inputs, training=mode))
    differentiable = [i for i, carries in enumerate(frontier.differentiable) if carries]
    predictions, copies = {}, []
    for name, reads in frontier.reads.items():
        # Integers, and inputs that no variable has touched, carry no gradient: no copy.
        of_task = {i: _copy(tensors[i]) if i in differentiable else tensors[i] for i in reads}
        predictions[name] = frontier.towers[name].run([of_task[i] for i in reads], training)
        copies.append([of_task.get(i) for i in differentiable])
    column_passes = {}
    # So far, the predictions of tasks with such a layer are its inputs.
    for layer in frontier.joint_layers:
        features = [predictions[name] for name in layer.tasks]
        if isinstance(layer, ColumnLayer):
            before, after = layer.run_in_two_steps(features[0], training)
            column_passes[layer.tasks[0]] = ColumnPass(layer, features[0], before)
            outputs = [after]
        else:
            outputs = layer.run(features, training)
        for name, output in zip(layer.tasks, outputs, strict=True):
            predictions[name] = frontier.exits[name].run([output], training)
    at_frontier = [tensors[i] for i in differentiable]
    logits, copies_of_logits = _logits_read(at_frontier, copies, list(predictions.values()))
    copies = [[*row, *more] for row, more in zip(copies, copies_of_logits, strict=True)]
    return predictions, Forward([*at_frontier, *logits], copies, column_passes)


def _copy(tensor: Tensor) -> Tensor:
    """Returns a copy of the tensor, whose gradient comes from one task's loss only.

    `tf.identity` drops the mask and the logits (docs/keras_notes.md, pains 20 and 21). A loss
    that reads logits is differentiated with respect to them: they need a copy, too.
    """
    copy = with_mask(tf.identity(tensor), mask_of(tensor))
    logits = logits_of(tensor)
    if logits is None:
        return copy
    return with_scaled(with_logits(copy, logits := tf.identity(logits)), logits, scale_of(tensor))


def _logits_read(
    tensors: list[Tensor], copies: list[Copies], predictions: list[Tensor]
) -> tuple[list[Tensor], list[Copies]]:
    """Returns the logits at the frontier that a loss may read, and for each task its copies.

    These are predictions that other tasks read as well, so that the trunk makes them. (Features
    behind a sigmoid have logits, too, which nobody reads.)

    Args:
        tensors: The differentiable tensors at the frontier.
        copies: For each task, its copies of them.
        predictions: For each task, its prediction.
    """
    reads = [
        [
            logits if logits is not None and logits is logits_of(prediction) else None
            for logits in map(logits_of, of_task)
        ]
        for of_task, prediction in zip(copies, predictions, strict=True)
    ]
    read = [i for i in range(len(tensors)) if any(row[i] is not None for row in reads)]
    return [logits_of(tensors[i]) for i in read], [[row[i] for i in read] for row in reads]

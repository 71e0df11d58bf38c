"""Heads that read one modality each, and the encoders below them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._keras_internals import nodes_above
from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.training._adversaries._smoothness import CLASSES, has_distribution
from keras_mtl.training._frontier import named_outputs
from keras_mtl.training._named_layers import trained_by_name


@dataclasses.dataclass(frozen=True)
class Head:
    """Describes a head that reads one modality.

    Args:
        task: Its task.
        losses: The positions of its losses among all.
        variables: The variables of the encoder.
    """

    task: Task
    losses: slice
    variables: Sequence[keras.Variable]

    def sums(
        self, outputs: Mapping[str, Tensor], labels: Mapping[str, Tensor], weights: Any
    ) -> Tensor:
        """Returns the sum of the probabilities of the right labels, and their number, `[2]`."""
        output = self.task.described()
        chances = tf.cast(outputs[self.task.name], tf.float32)
        if output.logits:
            yes_or_no = output.kind == "yes or no"
            chances = tf.sigmoid(chances) if yes_or_no else tf.nn.softmax(chances)
        label = labels[self.task.name]
        if output.kind == "yes or no":
            true = tf.reshape(tf.cast(label, tf.float32), tf.shape(chances))
            right = true * chances + (1.0 - true) * (1.0 - chances)
        elif output.kind == "class":
            place = tf.maximum(tf.cast(tf.reshape(label, (-1,)), tf.int32), 0)
            right = tf.gather(chances, place, axis=1, batch_dims=1)[:, None]
        else:
            right = tf.reduce_sum(tf.cast(label, tf.float32) * chances, axis=1, keepdims=True)
        weight = tf.cast(weights[self.task.name], tf.float32)
        weight = tf.reshape(weight, (tf.shape(right)[0], -1)) * tf.ones_like(right)
        known = weight > 0.0
        right = tf.where(known, right, tf.zeros_like(right))  # a missing label may be NaN
        weight = tf.where(known, weight, tf.zeros_like(weight))
        return tf.stop_gradient(tf.stack([tf.reduce_sum(weight * right), tf.reduce_sum(weight)]))


def find_heads(
    network: keras.Model, tasks: Sequence[Task], encoders: Mapping[str, str], label: str
) -> list[Head]:
    """Finds the heads and their encoders in a network, and checks that each reads its own."""
    outputs = named_outputs(network)
    known = {task.name: task for task in tasks}
    unknown = sorted({*encoders} - {*known})
    if unknown:
        raise ValueError(f"{label!r}: {unknown} are no tasks; the model has {list(known)}.")
    unfit = [n for n in encoders if not has_distribution(known[n], len(outputs[n].shape))]
    if unfit:
        raise ValueError(
            f"{label!r} compares probabilities of the right label, and {unfit} predict none for "
            f"each row; expected heads of one of the kinds yes or no, {', '.join(CLASSES)}."
        )
    losses = [task.name for task in tasks for _ in task.loss_names]
    heads = []
    for name, layers in encoders.items():
        first = losses.index(name)
        places = slice(first, first + losses.count(name))
        try:
            variables = trained_by_name(network, layers)
        except ValueError as error:
            raise ValueError(f"{label!r}, encoder of {name!r}: {error}") from None
        heads.append(Head(known[name], places, variables))
    _check_encoders(heads, outputs, label)
    return heads


def _check_encoders(heads: Sequence[Head], outputs: Mapping[str, Tensor], label: str) -> None:
    """Checks that encoders have no layer in common, and that each head reads its own alone."""
    owner: dict[int, str] = {}
    for head in heads:
        for variable in head.variables:
            other = owner.setdefault(id(variable), head.task.name)
            if other != head.task.name:
                raise ValueError(
                    f"{label!r}: the encoders of {other!r} and {head.task.name!r} both have "
                    f"{variable.path!r}; let each pattern match the layers of one modality."
                )
    for head in heads:
        read = {
            id(variable)
            for node in nodes_above([outputs[head.task.name]])
            for variable in getattr(node.operation, "trainable_variables", ())
        }
        seen = {owner[key] for key in read & {*owner}}
        if seen != {head.task.name}:
            raise ValueError(
                f"{label!r}: the head {head.task.name!r} reads the encoders of {sorted(seen)}; "
                "expected its own alone. Name a task that reads one modality."
            )

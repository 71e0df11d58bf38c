"""Chains of events, each with a probability, and of tasks that read each other."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import keras

from keras_mtl._tasks import Head, Task
from keras_mtl._types import Activation, Tensor
from keras_mtl.architectures._building._parts import (
    apply_part,
    check_features,
    check_separate_variables,
)
from keras_mtl.architectures._building._towers import end_towers
from keras_mtl.architectures._building._towers_by_name import Tower, towers_by_name


def check_events(tasks: Sequence[Task], builder: str, why: str) -> None:
    """Checks that each task predicts the probability of an event.

    Args:
        tasks: The tasks.
        builder: Name of the builder, for the message.
        why: What the builder does with the probabilities, for the message.

    Raises:
        ValueError: If a task has another head.
    """
    for task in tasks:
        if task.head != Head(1, "sigmoid"):
            raise ValueError(
                f"task {task.name!r}: {builder} {why}, so each of its tasks must predict one "
                f"probability: Task.binary({task.name!r}). Its head is {task.head!r}."
            )


def event_logits(
    tower: Tower, features: Mapping[str, Tensor], activation: Activation
) -> dict[str, Tensor]:
    """Computes the logit of each event by a tower of its own.

    Args:
        tower: Units, a recipe, or a dict of these by event.
        features: The features that each event's tower reads, by the name with which the names of
            its layers begin.
        activation: Activation of dense layers made from units.

    Returns:
        Logits `(batch, ..., 1)` by these names.
    """
    logits = {}
    parts = towers_by_name(tower, features)
    for name, event_features in features.items():
        top = apply_part(parts[name], event_features, f"{name}_tower", activation)
        check_features(top, f"{name}_head")
        logits[name] = keras.layers.Dense(1, name=f"{name}_logits")(top)
    check_separate_variables(logits, features.values())
    return logits


def end_in_probabilities(logits: Mapping[str, Tensor], tasks: Sequence[Task]) -> dict[str, Tensor]:
    """Returns the outputs of tasks whose logits are known; losses are computed from the logits."""
    # A sigmoid as the head, in place of a dense layer with one.
    ends = [dataclasses.replace(task, head=_sigmoid(task.name)) for task in tasks]
    return end_towers((), {task.name: logits[task.name] for task in tasks}, ends, None)


def _sigmoid(name: str) -> Callable[[Tensor], Tensor]:
    def head(logit: Tensor) -> Tensor:
        return keras.layers.Activation("sigmoid", dtype="float32", name=f"{name}_sigmoid")(logit)

    return head


def join_features(tensors: Sequence[Tensor], name: str) -> Tensor:
    """Joins the tensors that a task reads along the last axis.

    Args:
        tensors: Features `(batch, ..., units)`, equal in all axes but the last.
        name: Name of the layer. One tensor alone is returned as it is.

    Raises:
        ValueError: If shapes differ before the last axis.
    """
    if len(tensors) == 1:
        return tensors[0]
    if len({len(tensor.shape) for tensor in tensors}) > 1:
        raise ValueError(
            f"{name}: reads features of shapes {[tensor.shape for tensor in tensors]}, which "
            "cannot be joined: one is a row, another has positions. Give a tower that keeps, or "
            "pools, the axes in the middle for all tasks."
        )
    return keras.layers.Concatenate(name=name)(tensors)

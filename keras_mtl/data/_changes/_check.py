"""Inputs that are changed, and tasks whose labels follow."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_mtl._tasks import Task
from keras_mtl.data._elements._element import Element
from keras_mtl.data._elements._merge_weights import merge_weights


def check_batched(element: Element, function: str) -> None:
    """Checks that the first axis of an element counts rows, as far as its shapes tell.

    Raises:
        ValueError: If a label has no axis, or known first axes differ.
    """
    parts = {"inputs": element.inputs, "labels": element.labels, "weights": element.weights}
    leaves = [leaf for part in parts.values() for leaf in tf.nest.flatten(part)]
    shapes = [leaf.shape for leaf in leaves if isinstance(leaf, tf.TensorSpec)]
    shapes = [shape for shape in shapes if shape.rank is not None]
    lengths = {shape[0] for shape in shapes if shape.rank} - {None}
    if len(lengths) > 1 or not all(shape.rank for shape in shapes):
        raise ValueError(
            f"{function} needs batches, of which the first axis of all parts counts the rows; "
            f"received elements of the shapes {[tuple(shape) for shape in shapes]}. Call "
            "dataset.batch(...) before."
        )


def named_input(inputs: Any, key: str | None, function: str) -> Any:
    """Returns the spec, or the value, of the input that is changed.

    Raises:
        ValueError: If there are several inputs and none, or an unknown one, is named.
    """
    if isinstance(inputs, Mapping):
        if key not in inputs:
            raise ValueError(
                f"{function}: key must name one of the inputs {sorted(inputs)}; it is {key!r}."
            )
        return inputs[key]
    if key is not None:
        raise ValueError(f"{function}: key={key!r} needs inputs as a dict by name.")
    return inputs


def changed_input(inputs: Any, key: str | None, value: Any) -> Any:
    """Returns inputs with one of them replaced."""
    return value if key is None else {**inputs, key: value}


def tasks_of_words(element: Element, tasks: Sequence[Task], function: str) -> list[str]:
    """Returns the tasks with a label for each word: those that have an axis for any number of them.

    Raises:
        ValueError: If labels are ragged.
    """
    ragged = [
        task.name for task in tasks if isinstance(element.labels[task.name], tf.RaggedTensorSpec)
    ]
    if ragged:
        raise ValueError(
            f"{function}: the labels of task {ragged[0]!r} are ragged; call "
            "data.mask_missing(dataset, tasks) before, which makes them dense with weights."
        )
    names = []
    for task in tasks:
        if task.labels is not None and task.labels.shape[:1] == (None,):
            names.append(task.name)
    return names


def label_weights(
    labels: Mapping[str, Any], weights: Mapping[str, Any] | None, tasks: Sequence[Task]
) -> dict[str, tf.Tensor]:
    """Returns one weight per label: those of the dataset, or ones."""
    return {
        task.name: merge_weights(tf.ones_like(labels[task.name], tf.float32), weights, task)
        for task in tasks
    }

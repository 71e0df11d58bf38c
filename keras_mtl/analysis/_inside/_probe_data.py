"""Features of layers and labels of tasks, as linear models take them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_mtl._keras_internals import mask_of, nodes_above, operation_of, run_in_mode
from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._inside._core import Core
from keras_mtl.analysis._inside._rows import Rows
from keras_mtl.analysis._inside._shared_features import unit_axes

_MAX_COLUMNS = 16


class Labels(NamedTuple):
    """Holds what is predicted of a task.

    Attributes:
        values: One column per regression, `[rows, columns]`, with NaN for missing labels.
        is_class: Whether labels are classes.
        missing: Why there are none; empty if there are.
    """

    values: FloatArray
    is_class: bool
    missing: str


def shared_layers(core: Core) -> dict[str, list[Tensor]]:
    """Returns the outputs of the layers with trainable variables that two tasks depend on.

    Of a single task all of its layers count but the last one. They are in the order of the network.
    """
    needed = min(2, len(core.outputs))
    users: dict[int, tuple[Any, int]] = {}
    for task in core.outputs:
        for node in core.nodes_of(task):
            users[id(node)] = (node, users.get(id(node), (node, 0))[1] + 1)
    order = {id(operation): i for i, operation in enumerate(core.network.operations)}
    nodes = [
        node
        for node, count in users.values()
        if count >= needed and bool(getattr(node.operation, "trainable_variables", None))
    ]
    nodes.sort(key=lambda node: (_depth(node), order[id(node.operation)]))
    if len(core.outputs) == 1:
        nodes = nodes[:-1]
    tensors: dict[str, list[Tensor]] = {}
    for node in nodes:
        outputs = [t for t in node.output_tensors if keras.backend.is_float_dtype(t.dtype)]
        if outputs:
            tensors.setdefault(str(node.operation.name), []).extend(outputs)
    return tensors


def _depth(node: Any) -> int:
    return sum(1 for _ in nodes_above(node.output_tensors))


def read_features(
    core: Core, layers: dict[str, list[Tensor]], batches: Sequence[Rows], kept: Sequence[Any]
) -> dict[str, FloatArray]:
    """Returns the features of each layer, `[rows, features]`, means over positions.

    Args:
        core: The network.
        layers: The outputs of each layer.
        batches: The batches.
        kept: Which rows of each batch are kept.
    """
    look = keras.Function(list(core.network.inputs), layers)
    parts: dict[str, list[FloatArray]] = {name: [] for name in layers}
    for rows, chosen in zip(batches, kept, strict=True):
        outputs = run_in_mode(look, core.read(rows.x), False)
        for name, tensors in layers.items():
            pooled = [
                _pool(value, unit_axes(tensor))
                for tensor, value in zip(tensors, outputs[name], strict=True)
            ]
            parts[name].append(np.concatenate(pooled, axis=1)[chosen])
    return {name: np.concatenate(values) for name, values in parts.items()}


def _pool(value: Tensor, axes: int) -> FloatArray:
    """Returns means over the positions that are not masked, `(batch, units)`."""
    array = np.asarray(keras.ops.cast(value, "float64"))
    array = array.reshape(len(array), -1, int(np.prod(array.shape[-axes:])))
    mask = mask_of(value)
    if mask is None:
        return np.asarray(array.mean(axis=1))
    weights = np.asarray(mask, np.float64).reshape(len(array), -1)
    if weights.shape[1] != array.shape[1]:
        return np.asarray(array.mean(axis=1))
    sums = np.maximum(weights.sum(axis=1, keepdims=True), 1)
    return np.asarray(np.einsum("bp,bpu->bu", weights, array) / sums)


def read_labels(task: Task, batches: Sequence[Rows], kept: Sequence[Any]) -> Labels:
    """Returns the labels of a task for the rows that are kept."""
    pairs = [
        (np.asarray(rows.labels[task.name]), np.asarray(rows.weights[task.name]))
        for rows in batches
    ]
    values, weights = (
        np.concatenate([part[chosen] for part, chosen in zip(parts, kept, strict=True)])
        for parts in zip(*pairs, strict=True)
    )
    described = task.described()
    if described.positions or values.ndim > 2:
        return Labels(np.empty((0, 0)), False, "has labels at positions, not per row")
    values = values.reshape(len(values), -1).astype(np.float64)
    weights = weights.reshape(len(weights), -1)
    if described.kind in ("one-hot", "distribution"):
        known = (weights != 0).all(axis=1, keepdims=True)
        classes = values.argmax(axis=1)[:, None].astype(np.float64)
        return Labels(np.where(known, classes, np.nan), True, "")
    values = np.where(np.broadcast_to(weights, values.shape) != 0, values, np.nan)
    count = values.shape[1]
    if count > _MAX_COLUMNS:
        values = values[:, np.linspace(0, count - 1, _MAX_COLUMNS).round().astype(int)]
    return Labels(values, described.kind in ("yes or no", "class"), "")


def layer_named(core: Core, name: str) -> list[Tensor]:
    """Returns the outputs of a layer.

    Raises:
        ValueError: If no task depends on it.
    """
    outputs: dict[int, Tensor] = {}
    for task in core.outputs:
        for node in core.nodes_of(task):
            if operation_of(node.output_tensors[0]).name == name:
                outputs |= {id(tensor): tensor for tensor in node.output_tensors}
    if not outputs:
        names = [operation.name for operation in core.network.operations]
        raise ValueError(f"layers name {name!r}; expected layers of the tasks, some of {names}.")
    return list(outputs.values())

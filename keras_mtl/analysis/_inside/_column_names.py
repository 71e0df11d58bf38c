"""Names of the columns of tensors, read from the graph."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_mtl._keras_internals import node_of
from keras_mtl._types import Tensor
from keras_mtl.data._tables._category_codes import CategoryCodes
from keras_mtl.data._tables._numeric_columns import NumericColumns

# Operations that keep columns apart, by the names of their classes: Keras exports none of them
# (docs/keras_notes.md, pain 92).
_PASSING_OPERATIONS = {"Cast", "Identity"}
_PASSING_LAYERS = (
    CategoryCodes,
    keras.layers.Identity,
    keras.layers.IntegerLookup,
    keras.layers.Normalization,
    keras.layers.Rescaling,
    keras.layers.StringLookup,
)


def name_columns(tensor: Tensor, known: Mapping[int, list[str]]) -> list[str] | None:
    """Returns the names of the columns of a tensor `(batch,)` or `(batch, columns)`.

    A column that a flag says the gaps of gives the flag its name.

    Args:
        tensor: A tensor of the graph.
        known: Names of the columns of some tensors, by the identities of these.

    Returns:
        One name per column; `None` where the graph does not tell them.
    """
    if id(tensor) in known:
        return known[id(tensor)]
    node = node_of(tensor)
    if node.is_input:
        return _columns_of_input(node.operation.name, tensor)
    operation, sources = node.operation, node.input_tensors
    kind = type(operation).__name__
    if isinstance(operation, NumericColumns):
        names = [column.name for column in operation.columns]
        return names + [names[place] for place in operation.flagged]
    if kind in ("Concatenate", "Stack"):
        parts = [name_columns(source, known) for source in sources]
        return None if None in parts else [name for part in parts for name in part or ()]
    if kind == "GetItem":
        return _slice(name_columns(sources[0], known), node.arguments.args)
    passes = isinstance(operation, _PASSING_LAYERS) or kind in _PASSING_OPERATIONS
    if passes and len(sources) == 1 and sources[0].shape == tensor.shape:
        return name_columns(sources[0], known)
    return None


def _columns_of_input(name: str, tensor: Tensor) -> list[str] | None:
    if len(tensor.shape) == 1 or tuple(tensor.shape[1:]) == (1,):
        return [name]
    if len(tensor.shape) == 2 and tensor.shape[1] is not None:
        return [f"{name}/{i}" for i in range(tensor.shape[1])]
    return None


def _slice(names: list[str] | None, arguments: Any) -> list[str] | None:
    """Returns the names of the columns that `tensor[:, key]` keeps."""
    if names is None or len(arguments) < 2:
        return None
    key = arguments[1]
    if not isinstance(key, tuple) or len(key) != 2 or not isinstance(key[1], slice):
        return None
    kept: list[str] = np.array(names, dtype=object)[key[1]].tolist()
    return kept

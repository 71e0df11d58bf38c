"""Inputs that Keras cannot read, refused with the name of the input."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_mtl.data._inputs._finite_inputs import name_leaves

_CURE = (
    "Pass .astype('float32') of it, or the columns as data.from_table does, for "
    "data.tabular_encoder."
)
_PLAIN = str | bytes | int | float | bool | complex


def check_readable(x: Any) -> None:
    """Refuses inputs that Keras cannot read; its own messages name no input, and print the data.

    See docs/keras_notes.md, pain 118.

    Args:
        x: Should be arrays, in any structure.

    Raises:
        ValueError: If an input is a list of numbers, holds objects, dates or complex numbers, or is
            a frame whose columns Keras cannot put into one tensor.
    """
    named = name_leaves(x)
    if any(isinstance(leaf, _PLAIN) for _, leaf in named):
        raise ValueError(
            "the inputs hold single numbers or strings; Keras takes a list for a list of arrays. "
            "Make one array of it, with np.asarray(x, 'float32')."
        )
    for name, leaf in named:
        if hasattr(leaf, "iloc"):
            _check_frame(name, leaf)
        elif isinstance(leaf, np.ndarray) and not _is_readable(leaf):
            raise ValueError(
                f"{name} is an array of dtype {leaf.dtype}, which Keras does not read. Make "
                "numbers of it, such as with .astype('float32'); strings it reads as "
                "tf.constant(...)."
            )


def check_input_names(network: keras.Model, x: Any) -> None:
    """Refuses inputs of which the network has none, where both are dictionaries.

    Keras binds the entries in the order of their sorted keys, so that one more entry shifts all
    others, with a warning alone (docs/keras_notes.md, pain 121).

    Args:
        network: A functional model.
        x: Arrays, tensors or specs.
    """
    if not isinstance(x, Mapping) or not isinstance(network.input, Mapping):
        return
    unknown = sorted(map(repr, x.keys() - network.input.keys()))
    if unknown:
        raise ValueError(
            f"the network has no input {', '.join(unknown)}; its inputs are "
            f"{sorted(network.input)}. Leave out what it does not read: Keras would bind inputs in "
            "alphabetical order."
        )


def _is_readable(array: Any) -> bool:
    if array.dtype == object:  # Keras makes strings of objects that are all of them strings
        return array.ndim == 1 and all(isinstance(entry, str) for entry in array)
    # bfloat16 is of the kind of structured dtypes, but has no fields.
    return array.dtype.kind in "biuf" or (array.dtype.kind == "V" and not array.dtype.names)


def _check_frame(name: str, frame: Any) -> None:
    """Checks that Keras can put the columns of a frame, or a Series, into one tensor.

    Keras looks at the columns in their order up to the first one that it has to cast, and casts
    all of them if there is one (docs/keras_notes.md, pain 119).
    """
    dtypes = list(frame.dtypes) if hasattr(frame, "columns") else [frame.dtype]
    try:
        cast = any(_is_cast(dtype) for dtype in dtypes)
        rows = frame.iloc[:1]
        values = rows.astype(keras.config.floatx()).to_numpy() if cast else rows.to_numpy()
    except (TypeError, ValueError):
        values = None
    if values is not None and (values.dtype != object or _is_text(frame)):
        return
    foreign = [dtype for dtype in dtypes if not isinstance(dtype, np.dtype) or dtype.kind in "OmM"]
    kinds = ", ".join(sorted({str(dtype) for dtype in foreign or dtypes}))
    if not hasattr(frame, "columns"):
        raise ValueError(f"{name} is a Series of {kinds}, which Keras does not read. {_CURE}")
    raise ValueError(
        f"{name} is a DataFrame whose columns Keras cannot put into one tensor: among their dtypes "
        f"are {kinds}. {_CURE}"
    )


def _is_text(frame: Any) -> bool:
    return not hasattr(frame, "columns") and all(isinstance(entry, str) for entry in frame)


def _is_cast(dtype: Any) -> bool:
    """Returns whether Keras casts a column; raises an error for a dtype that it does not know."""
    standard = keras.backend.standardize_dtype(dtype)
    return bool(keras.backend.is_float_dtype(standard) and standard != keras.config.floatx())

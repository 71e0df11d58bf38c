"""A signature that reads serialized `tf.train.Example`s."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

ARGUMENT = "examples"


def make_tf_example(function: Any, defaults: Mapping[str, Any]) -> Any:
    """Returns a concrete function from serialized examples to the answers of another function.

    Args:
        function: The concrete function of all tasks; its graph is not written again.
        defaults: By input, the value that stands for a feature that an example lacks. Other
            features must be there.

    Returns:
        A function of one vector of strings, `examples`.

    Raises:
        ValueError: If an input cannot be a feature of an example, or a default does not fit.
    """
    specs: dict[str, tf.TensorSpec] = function.structured_input_signature[0][0]
    unknown = sorted(defaults.keys() - specs.keys())
    if unknown:
        raise ValueError(
            f"tf_example has defaults for {unknown}, which are no inputs; there are "
            f"{sorted(specs)}."
        )
    features = {name: _feature(name, spec, defaults) for name, spec in specs.items()}

    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, features)
        values = {name: tf.cast(parsed[name], spec.dtype) for name, spec in specs.items()}
        answers: dict[str, tf.Tensor] = function(values)
        return answers

    return tf.function(serve, autograph=False).get_concrete_function(
        tf.TensorSpec((None,), tf.string, ARGUMENT)
    )


def _feature(name: str, spec: tf.TensorSpec, defaults: Mapping[str, Any]) -> Any:
    """Returns how an input is read from an example, which holds int64, float32 and bytes."""
    shape = spec.shape.as_list()[1:]
    dtype = _dtype_in_example(spec.dtype)
    if None not in shape:
        default = _default(name, defaults[name], shape, dtype) if name in defaults else None
        return tf.io.FixedLenFeature(shape, dtype, default)
    if None in shape[1:]:
        raise ValueError(
            f"input {name!r} of shape {tuple(spec.shape)} cannot be read from a tf.train.Example, "
            "which holds flat lists: only its first axis behind the batch may have any length. "
            "Export without tf_example."
        )
    # Shorter examples of a batch are filled up with the default.
    fill = _default(name, defaults.get(name, "" if dtype == tf.string else 0), [], dtype)
    return tf.io.FixedLenSequenceFeature(
        shape[1:], dtype, allow_missing=True, default_value=fill.item()
    )


def _dtype_in_example(dtype: tf.DType) -> tf.DType:
    if dtype == tf.string:
        return dtype
    return tf.float32 if dtype.is_floating else tf.int64


def _default(name: str, value: Any, shape: list[int], dtype: tf.DType) -> npt.NDArray[Any]:
    """Returns a default in the shape of its feature.

    Raises:
        ValueError: If it does not fit.
    """
    array = np.asarray(value)
    is_text = array.dtype.kind in "SUO"
    is_whole = array.dtype.kind in "biu"
    fits = is_text if dtype == tf.string else is_whole or (array.dtype.kind == "f")
    if dtype == tf.int64 and not is_whole:
        fits = False
    try:
        full = np.broadcast_to(array, shape)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"the default of input {name!r} must be {dtype.name} of shape {tuple(shape)}, or a "
            f"single value for all entries; received {value!r}."
        )
    return full.astype(object if is_text else dtype.as_numpy_dtype)


def serialize_rows(rows: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Returns rows as serialized examples, a vector of bytes."""
    num_rows = len(next(iter(rows.values())))
    examples = np.empty(num_rows, object)
    for row in range(num_rows):
        example = tf.train.Example()
        for name, values in rows.items():
            _fill(example.features.feature[name], values[row])
        examples[row] = example.SerializeToString(deterministic=True)
    return examples


def _fill(feature: Any, values: Any) -> None:
    """Writes the entries of a row into a feature of an example."""
    flat = np.asarray(values).reshape(-1)
    if flat.dtype.kind in "OSU":
        feature.bytes_list.value.extend(
            value if isinstance(value, bytes) else str(value).encode() for value in flat
        )
    elif flat.dtype.kind in "biu":
        feature.int64_list.value.extend(flat.astype(np.int64).tolist())
    else:
        feature.float_list.value.extend(flat.astype(np.float32).tolist())

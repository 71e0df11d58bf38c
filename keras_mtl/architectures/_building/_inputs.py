"""What a network is fed with, and the features that it begins with."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras

from keras_mtl._keras_internals import is_symbolic, nodes_above
from keras_mtl._tasks import Task
from keras_mtl._types import Tensor


def read_inputs(inputs: Any, tasks: Iterable[Task], *, join: bool = True) -> tuple[Any, Any]:
    """What a network is fed with, and the features that it begins with.

    Args:
        inputs: A `keras.Input`, a dict of them, or the output of a preprocessing model.
        tasks: The tasks, whose names no input may bear.
        join: Whether a dict of inputs is joined to features; else they are the dict.

    Returns:
        The inputs of the model to be made (a tensor, or a dict by name where there are
        several) and the features, `(batch, ..., in)`.

    Raises:
        TypeError: If `inputs` is something else.
        ValueError: If inputs cannot be joined, or are named as a task is.
    """
    columns = inputs if isinstance(inputs, dict) else {"inputs": inputs}
    for tensor in columns.values():
        if not is_symbolic(tensor):
            raise TypeError(
                "inputs must be a keras.Input, a dict of them, or the output of a preprocessing "
                f"model (model.output); received {tensor!r}."
            )
    if not columns:
        raise ValueError("inputs is an empty dict: the network would have no input.")
    roots = _roots_of(columns.values())
    for name in roots.keys() & {task.name for task in tasks}:
        raise ValueError(f"task {name!r}: an input has this name too; rename one of the two.")
    if not isinstance(inputs, dict):
        return (roots if len(roots) > 1 else next(iter(roots.values()))), _flat(inputs)
    for key, tensor in inputs.items():
        if tensor.name in roots and key != tensor.name:
            raise ValueError(
                f"inputs[{key!r}] is an input named {tensor.name!r}; "
                f"write keras.Input(..., name={key!r})."
            )
    return roots, (_concatenate(inputs) if join else dict(inputs))


def _roots_of(tensors: Iterable[Tensor]) -> dict[str, Tensor]:
    """Returns the inputs, made by `keras.Input`, from which tensors are computed, by name."""
    nodes = [node for node in nodes_above(tensors) if node.is_input]
    roots = [node.output_tensors[0] for node in reversed(nodes)]
    return {tensor.name: tensor for tensor in roots}


def _flat(features: Tensor, name: str = "shared_features") -> Tensor:
    """Gives one number a row an axis of length 1; leaves all else as it is."""
    if len(features.shape) > 1:
        return features
    return keras.layers.Reshape((1,), name=name)(features)


def _concatenate(columns: Mapping[str, Tensor]) -> Tensor:
    """Joins columns to features `(batch, in)`, in the order of the dict."""
    flat = []
    for key, tensor in columns.items():
        if not keras.backend.is_float_dtype(tensor.dtype) or None in tensor.shape[1:]:
            raise ValueError(
                f"inputs[{key!r}] holds {tensor.dtype} of shape {tensor.shape}; columns are joined "
                "to features, so they must be floats of known shape. Preprocess them with Keras "
                "layers (for example keras.utils.FeatureSpace) and pass the output instead."
            )
        if len(tensor.shape) > 2:
            tensor = keras.layers.Flatten(name=f"shared_flatten_{key}")(tensor)
        flat.append(_flat(tensor, f"shared_reshape_{key}"))
    if len(flat) == 1:
        return flat[0]
    return keras.layers.Concatenate(name="shared_features")(flat)

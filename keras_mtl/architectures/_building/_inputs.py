"""The inputs of a network, and the features that its first layers read."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras

from keras_mtl._keras_internals import is_symbolic, nodes_above
from keras_mtl._tasks import Task
from keras_mtl._types import Tensor


def read_inputs(inputs: Any, tasks: Iterable[Task], *, join: bool = True) -> tuple[Any, Any]:
    """Returns the inputs of a network, and the features that its first layers read.

    Args:
        inputs: A `keras.Input`, a dict of them, or the output of a preprocessing model.
        tasks: The tasks; no input may have the name of a task.
        join: Whether a dict of inputs is joined to features; else the features are the dict.

    Returns:
        The inputs of the model to be made (a tensor, or a dict by name if there are several) and
        the features, `(batch, ..., in)`.

    Raises:
        TypeError: If `inputs` is something else.
        ValueError: If inputs cannot be joined, or have the name of a task.
    """
    tensors = inputs if isinstance(inputs, dict) else {"inputs": inputs}
    for tensor in tensors.values():
        if not is_symbolic(tensor):
            raise TypeError(
                "inputs must be a keras.Input, a dict of them, or the output of a preprocessing "
                f"model (model.output); received {tensor!r}."
            )
    if not tensors:
        raise ValueError("inputs is an empty dict: the network would have no input.")
    roots = _roots_of(tensors.values())
    for name in roots.keys() & {task.name for task in tasks}:
        raise ValueError(f"task {name!r}: an input has this name too; rename one of the two.")
    if not isinstance(inputs, dict):
        return (roots if len(roots) > 1 else next(iter(roots.values()))), _with_last_axis(inputs)
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
    # The walk reaches the last input first.
    roots = [node.output_tensors[0] for node in reversed(nodes)]
    return {tensor.name: tensor for tensor in roots}


def _with_last_axis(features: Tensor, name: str = "shared_features") -> Tensor:
    """Gives features `(batch,)` an axis of length 1; returns all others as they are."""
    if len(features.shape) > 1:
        return features
    return keras.layers.Reshape((1,), name=name)(features)


def _concatenate(inputs: Mapping[str, Tensor]) -> Tensor:
    """Joins inputs to features `(batch, in)`, in the order of the dict."""
    flat = []
    for key, tensor in inputs.items():
        if not keras.backend.is_float_dtype(tensor.dtype) or None in tensor.shape[1:]:
            raise ValueError(
                f"inputs[{key!r}] holds {tensor.dtype} of shape {tensor.shape}; columns are joined "
                "to features, so they must be floats of known shape. Preprocess them with Keras "
                "layers (for example keras.utils.FeatureSpace) and pass the output instead."
            )
        if len(tensor.shape) > 2:
            tensor = keras.layers.Flatten(name=f"shared_flatten_{key}")(tensor)
        flat.append(_with_last_axis(tensor, f"shared_reshape_{key}"))
    if len(flat) == 1:
        return flat[0]
    return keras.layers.Concatenate(name="shared_features")(flat)

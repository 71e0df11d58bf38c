"""The tensors that several tasks share, at which units are looked at."""

from typing import Any

import keras

from keras_mtl._keras_internals import node_of, operation_of, walk
from keras_mtl._types import Tensor
from keras_mtl.analysis._inside._core import Core, past_towers
from keras_mtl.analysis._inside._expert_names import name_experts
from keras_mtl.layers import Experts, ParallelDense, StackBranches, SubNetworkRouting
from keras_mtl.training._frontier import find_frontier

_STACKS = (Experts, ParallelDense, StackBranches, SubNetworkRouting)


def last_shared(core: Core) -> list[Tensor]:
    """Returns the tensors between the trunk and the towers that layers with variables made.

    Of one task, they are what its last layer with variables reads.

    Raises:
        ValueError: If the tasks share no layer.
    """
    if len(core.tasks) == 1:
        ((name, output),) = core.outputs.items()
        tensors = [tensor for tensor in _before_last_layer(output) if not node_of(tensor).is_input]
        what = f"the only layer of task {name!r} reads the inputs"
    else:
        frontier = find_frontier(core.network, core.tasks)
        ends = zip(frontier.trunk.outputs, frontier.differentiable, strict=True)
        tensors = [tensor for tensor, is_trained in ends if is_trained]
        what = f"the tasks {list(core.outputs)} share no layer with variables"
    if not tensors:
        raise ValueError(f"{what}; pass layer=..., the name of a layer to look at.")
    return tensors


def _before_last_layer(output: Tensor) -> list[Tensor]:
    node = node_of(past_towers(output))
    while not node.is_input and not getattr(node.operation, "weights", ()):
        node = node_of(past_towers(node.input_tensors[0]))
    return [t for t in node.input_tensors if keras.backend.is_float_dtype(t.dtype)]


def output_of(core: Core, layer: str) -> list[Tensor]:
    """Returns the outputs of a layer that the tasks depend on.

    Raises:
        ValueError: If there is no such layer, or no task depends on it.
    """
    names = [operation.name for operation in core.network.operations]
    if layer not in names:
        raise ValueError(f"layer is {layer!r}; expected the name of a layer: one of {names}.")
    outputs = {id(t): t for t, _ in walk(core.outputs.values()) if operation_of(t).name == layer}
    if not outputs:
        raise ValueError(f"no task depends on the layer {layer!r}.")
    return list(outputs.values())


def name_units(tensor: Tensor) -> list[str]:
    """Returns a name for each unit of a tensor: the entries of its last axis, of each expert."""
    layer = operation_of(tensor)
    if len(tensor.shape) > 2 and _is_stack(tensor):
        return [f"{name}/{i}" for name in name_experts(tensor) for i in range(tensor.shape[-1])]
    position = f":{node_of(tensor).output_tensors.index(tensor)}" if _is_one_of(tensor) else ""
    return [f"{layer.name}{position}/{i}" for i in range(tensor.shape[-1])]


def _is_stack(tensor: Tensor) -> bool:
    operation = operation_of(tensor)
    return isinstance(operation, _STACKS) or name_experts(tensor) != [
        f"{operation.name}/{i}" for i in range(tensor.shape[-2] or 0)
    ]


def _is_one_of(tensor: Any) -> bool:
    return len(node_of(tensor).output_tensors) > 1


def unit_axes(tensor: Tensor) -> int:
    """Returns how many of the last axes of a tensor count units: two for a stack of experts."""
    return 2 if len(tensor.shape) > 2 and _is_stack(tensor) else 1

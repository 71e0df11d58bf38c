"""How each kind of call is cut down to the branches that are needed of it."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_mtl._keras_internals import concatenates_along, node_of
from keras_mtl._types import Tensor
from keras_mtl.export._cutting._branches import (
    can_narrow,
    has_separate_columns,
    is_elementwise,
    keeps_branches,
)
from keras_mtl.export._cutting._cut import Cut, Rule
from keras_mtl.export._cutting._remake import WHOLE, Need, Step
from keras_mtl.layers import ChannelSlice, MaskedGate, Mixture, PickBranch, StackBranches


def cut_towers(cut: Cut, node: Any) -> Step | None:
    """Cuts a layer of which output i depends on input i alone (`Towers`)."""
    layer, inputs = node.operation, _inputs_of(node)
    is_branchwise = getattr(layer, "branchwise", False) and can_narrow(layer)
    places = [i for i, output in enumerate(node.output_tensors) if id(output) in cut.needs]
    if not is_branchwise or not _is_called_once(cut, node) or len(places) == len(inputs):
        return None

    def make() -> None:
        cut.copies.add(layer, layer.narrow(places))
        cut.call(node, [cut.new_tensors[id(inputs[i])] for i in places])

    return Step(_others(node, inputs) + [(inputs[i], WHOLE) for i in places], make)


def cut_branches(cut: Cut, node: Any) -> Step | None:
    """Cuts a layer that says by `narrow` and `branched_inputs` that it has branches."""
    layer, need = node.operation, cut.part(node, axis=-2)
    branched = getattr(layer, "branched_inputs", None)
    if need is None or branched is None or not can_narrow(layer) or not _is_called_once(cut, node):
        return None
    inputs = _inputs_of(node)
    tied = [inputs[i] for i in branched]
    (output,) = node.output_tensors

    def make() -> None:
        cut.copies.add(layer, layer.narrow(cut.places(output, -2)))
        cut.call(node)

    return Step(_others(node, tied) + cut.tie([*tied, output], need), make)


def pass_through(cut: Cut, node: Any) -> Step | None:
    """Calls a layer, which treats branches or columns separately, on some of them."""
    need = None
    if keeps_branches(node.operation, node):
        need = cut.part(node, axis=-2)
    if need is None and is_elementwise(node.operation):
        need = cut.part(node, axis=-1)
    if need is None:
        return None
    inputs = _inputs_of(node)
    reads = _others(node, inputs) + cut.tie([*inputs, *node.output_tensors], need)
    return Step(reads, lambda: cut.call(node))


def cut_columns(cut: Cut, node: Any) -> Step | None:
    """Cuts a dense layer of which some units are needed."""
    layer = node.operation
    is_cut = has_separate_columns(layer) and _is_called_once(cut, node)
    if not is_cut or cut.part(node, axis=-1) is None:
        return None
    (output,) = node.output_tensors

    def make() -> None:
        places = cut.places(output, -1)
        copy = type(layer).from_config({**layer.get_config(), "units": len(places)})
        copy.build(node.input_tensors[0].shape)
        for variable, new_variable in zip(layer.variables, copy.variables, strict=True):
            values = keras.ops.convert_to_numpy(variable)
            new_variable.assign(np.take(values, places, axis=-1))
        cut.copies.add(layer, copy)
        cut.call(node)

    return Step([(tensor, WHOLE) for tensor in node.input_tensors], make)


def pick(cut: Cut, node: Any) -> Step | None:
    """Takes a branch, or a range of columns, out of those that are made."""
    layer = node.operation
    if not _is_called_once(cut, node):
        return None
    if type(layer) is PickBranch:
        need = Need(False, -2, frozenset([layer.index]))
    elif type(layer) is ChannelSlice:
        need = Need(False, -1, frozenset(range(layer.start, layer.stop)))
    else:
        return None
    (tensor,) = _inputs_of(node)

    def make() -> None:
        first = cut.places(tensor, need.axis).index(min(need.indices))
        changes = {"index": first}
        if need.axis == -1:
            changes = {"start": first, "stop": first + len(need.indices)}
        cut.copies.add(layer, type(layer).from_config({**layer.get_config(), **changes}))
        cut.call(node)

    return Step([*_others(node, [tensor]), (tensor, need)], make)


def stack(cut: Cut, node: Any) -> Step | None:
    """Stacks those branches that are needed."""
    need = cut.part(node, axis=-2)
    if need is None or type(node.operation) is not StackBranches:
        return None
    inputs = _inputs_of(node)
    (output,) = node.output_tensors

    def make() -> None:
        cut.call(node, [cut.new_tensors[id(inputs[i])] for i in cut.places(output, -2)])

    return Step(_others(node, inputs) + [(inputs[i], WHOLE) for i in need.indices], make)


def join(cut: Cut, node: Any) -> Step | None:
    """Joins those branches, or columns, that are needed."""
    axis = concatenates_along(node)
    need = cut.part(node, axis) if axis in (-1, -2) else None
    inputs = _inputs_of(node)
    if axis is None or need is None or any(tensor.shape[axis] is None for tensor in inputs):
        return None
    (output,) = node.output_tensors
    starts = np.cumsum([0, *(tensor.shape[axis] for tensor in inputs)]).tolist()
    reads = []
    for tensor, start, stop in zip(inputs, starts, starts[1:], strict=False):
        places = {i - start for i in need.indices if start <= i < stop}
        if places:
            [(_, of_tensor)] = cut.tie([tensor], Need(False, axis, frozenset(places)))
            whole = of_tensor.whole or of_tensor.axis != axis
            places = {*range(stop - start)} if whole else {*of_tensor.indices}
            joined = Need(False, axis, frozenset(i + start for i in places))
            reads += [(tensor, of_tensor), (output, joined)]

    def make() -> None:
        kept = cut.needs[id(output)].indices
        parts = [
            cut.new_tensors[id(tensor)]
            for tensor, start, stop in zip(inputs, starts, starts[1:], strict=False)
            if any(start <= i < stop for i in kept)
        ]
        if len(parts) == 1:
            cut.enter([output], parts[0])
        else:
            cut.call(node, parts)

    return Step(_others(node, inputs) + reads, make)


def mix(cut: Cut, node: Any) -> Step | None:
    """Mixes those experts that the gate can reach, or makes those mixtures that are needed."""
    if type(node.operation) is not Mixture:
        return None
    gate, experts = _inputs_of(node)
    if len(gate.shape) == len(experts.shape):  # (batch, ..., num_mixtures, num_experts)
        need = cut.part(node, axis=-2)
        reads = [] if need is None else cut.tie([gate, *node.output_tensors], need)
        return Step([*reads, (experts, WHOLE)], lambda: cut.call(node)) if reads else None
    layer = node_of(gate).operation
    if type(layer) is not MaskedGate or cut.calls[id(layer)] > 1:
        return None
    # The gate weighs all experts that are made, those that other gates reach among them.
    reached = {i for i, is_allowed in enumerate(layer.allowed) if is_allowed}
    for tensor, axis in ((gate, -1), (experts, -2)):
        need = cut.needs.get(id(tensor), Need(False, axis))
        if need.whole or need.axis != axis:
            return None
        reached |= need.indices
    reads = [(gate, Need(False, -1, frozenset(reached)))]
    return Step([*reads, (experts, Need(False, -2, frozenset(reached)))], lambda: cut.call(node))


def cut_gate(cut: Cut, node: Any) -> Step | None:
    """Cuts a gate that may choose some of the experts only."""
    layer, need = node.operation, cut.part(node, axis=-1)
    if need is None or type(layer) is not MaskedGate or not _is_called_once(cut, node):
        return None
    if not {i for i, is_allowed in enumerate(layer.allowed) if is_allowed} <= need.indices:
        return None
    (output,) = node.output_tensors

    def make() -> None:
        cut.copies.add(layer, layer.narrow(cut.places(output, -1)))
        cut.call(node)

    return Step([(tensor, WHOLE) for tensor in node.input_tensors], make)


def _is_called_once(cut: Cut, node: Any) -> bool:
    return cut.calls[id(node.operation)] == 1


def _inputs_of(node: Any) -> list[Tensor]:
    """Returns the tensors of the first argument of a call."""
    args = node.arguments.args
    flat: list[Any] = keras.tree.flatten(args[0]) if args else []
    return [tensor for tensor in flat if isinstance(tensor, keras.KerasTensor)]


def _others(node: Any, tensors: Sequence[Tensor]) -> list[tuple[Tensor, Need]]:
    """Returns the tensors that a call reads beside some others, such as masks: all of them."""
    known = {id(tensor) for tensor in tensors}
    return [(tensor, WHOLE) for tensor in node.input_tensors if id(tensor) not in known]


RULES: tuple[Rule, ...] = (
    cut_towers,
    cut_branches,
    cut_columns,
    cut_gate,
    pick,
    stack,
    join,
    mix,
    pass_through,
)

"""The layers of a network that mix experts, and the weights by which they do."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl._keras_internals import mask_of, node_of, nodes_above
from keras_mtl._types import Tensor
from keras_mtl.analysis._inside._branches import read_branches
from keras_mtl.analysis._inside._core import Core
from keras_mtl.analysis._inside._expert_names import name_experts
from keras_mtl.layers import DSelectKGate, Mixture, SubNetworkRouting


@dataclasses.dataclass(frozen=True)
class FoundMixture:
    """Holds one call of a layer that mixes experts.

    Attributes:
        name: The name of the gate's layer, or of the layer itself if it computes the weights.
        node: The call.
        output: What the call makes.
        reads: The tensors that the call reads: `[gate, experts]`, or `[subnetworks]`.
        mask: The symbolic mask of the rows, `(batch, ...)`; `None` without one.
        experts: The names of the experts.
        tasks: The tasks whose outputs depend on it.
        hard: Whether its weights become exactly 0, so that experts are selected or not.
        sums_to_one: Whether the weights that are left over are scaled up if one is set to 0.
    """

    name: str
    node: Any
    output: Tensor
    reads: list[Tensor]
    mask: Tensor | None
    experts: tuple[str, ...]
    tasks: tuple[str, ...]
    hard: bool
    sums_to_one: bool

    def weights(self, reads: Sequence[Tensor]) -> Tensor:
        """Returns the weights, `(batch, ..., num_mixtures, num_experts)`.

        One mixture per position has an axis of length 1 in the place of `num_mixtures`. The
        weights of sub-networks have the batch axis 1: they are the same for all rows.
        """
        if len(reads) == 1:
            layer, axes = self.node.operation, len(reads[0].shape) - 2
            return ops.reshape(layer.codings, (*[1] * axes, *layer.codings.shape))
        gate, experts = reads
        if len(gate.shape) == len(experts.shape):
            return gate
        return ops.expand_dims(gate, -2)

    def contributions(self, reads: Sequence[Tensor]) -> Tensor:
        """Returns what the weights multiply, `(batch, ..., num_mixtures, num_experts, units)`.

        The axis of mixtures has length 1 where all mixtures read the same.
        """
        layer = self.node.operation
        if len(reads) == 2 or layer.units is None:
            return ops.expand_dims(reads[-1], -3)
        (subnetworks,) = reads
        num_subnetworks, size = subnetworks.shape[-2:]
        kernel = ops.reshape(layer.kernel, (num_subnetworks, size, layer.num_outputs, layer.units))
        # (batch, ..., outputs i, sub-networks j, units): W_ij u_j
        return ops.einsum("...js,jsiu->...iju", subnetworks, kernel)

    def mix(self, weights: Tensor, reads: Sequence[Tensor]) -> Tensor:
        """Returns the output of the call, by other weights, in the shape of `weights`."""
        layer = self.node.operation
        if len(reads) == 1:
            mixed = ops.sum(ops.expand_dims(weights, -1) * self.contributions(reads), axis=-2)
            return mixed if layer.units is None else mixed + layer.bias
        gate, experts = reads
        if len(gate.shape) < len(experts.shape):
            weights = ops.squeeze(weights, -2)
        return layer([ops.cast(weights, gate.dtype), experts])


def tasks_by_position(core: Core, mixture: FoundMixture, num_mixtures: int) -> list[list[str]]:
    """Returns the tasks that depend on each of the mixtures that one call computes."""
    tasks: list[list[str]] = [[] for _ in range(num_mixtures)]
    for name in mixture.tasks:
        reads = read_branches(core.outputs[name], lambda node: node is mixture.node)
        branches = {branch for _, branch in reads}
        for i in range(num_mixtures):
            if i in branches or None in branches:
                tasks[i].append(name)
    return tasks


def find_mixtures(core: Core) -> list[FoundMixture]:
    """Finds the layers `Mixture` and `SubNetworkRouting` by their class, in the graph's order."""
    users: dict[int, tuple[Any, list[str]]] = {}
    for task in core.outputs:
        for node in core.nodes_of(task):
            users.setdefault(id(node), (node, []))[1].append(task)
    mixtures = [
        _describe(node, tasks)
        for node, tasks in users.values()
        if isinstance(node.operation, Mixture | SubNetworkRouting)
    ]
    # From the inputs to the outputs, and gates of one level in the order of their tasks.
    nodes = {id(mixture.node) for mixture in mixtures}
    levels = {
        id(mixture): sum(id(node) in nodes for node in nodes_above([mixture.output]))
        for mixture in mixtures
    }
    order = {name: i for i, name in enumerate(core.outputs)}
    mixtures.sort(key=lambda mixture: (levels[id(mixture)], [order[t] for t in mixture.tasks]))
    return list(_with_different_names(mixtures))


def _describe(node: Any, tasks: Sequence[str]) -> FoundMixture:
    layer = node.operation
    arguments = node.arguments.args[0]
    reads = list(arguments) if isinstance(layer, Mixture) else [arguments]
    gate = node_of(reads[0]).operation
    routes = isinstance(layer, SubNetworkRouting)
    masks = [mask_of(tensor) for tensor in reversed(reads)]
    return FoundMixture(
        name=layer.name if routes else gate.name,
        node=node,
        output=node.output_tensors[0],
        reads=reads,
        mask=next((mask for mask in masks if mask is not None), None),
        experts=tuple(name_experts(reads[-1])),
        tasks=tuple(tasks),
        hard=routes or isinstance(gate, DSelectKGate),
        sums_to_one=not routes,
    )


def _with_different_names(mixtures: Sequence[FoundMixture]) -> Iterator[FoundMixture]:
    """Yields the mixtures; where two read one gate, they have the names of their layers."""
    names = [mixture.name for mixture in mixtures]
    for mixture in mixtures:
        layer: keras.layers.Layer = mixture.node.operation
        name = mixture.name if names.count(mixture.name) == 1 else layer.name
        calls = [id(call.node) for call in mixtures if call.node.operation is layer]
        if len(calls) > 1:
            name = f"{name}:{calls.index(id(mixture.node))}"
        yield dataclasses.replace(mixture, name=name)

"""Cuts a functional network where its tasks part: one trunk, and a tower for each task."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._keras_internals import (
    is_functional,
    mask_of,
    node_of,
    operation_of,
    position_of,
    run_graph,
    walk,
    with_mask,
)
from keras_mtl._types import Tensor
from keras_mtl.training._frontier._column_layers import Spread, find_spread
from keras_mtl.training._frontier._joint_layers import Bundle, find_bundles
from keras_mtl.training._frontier._variable_slice import Slice
from keras_mtl.training._gradients._gramian import Row


class Tower(keras.Function):
    """The part of a functional network that one task has for itself."""

    def run(self, inputs: list[Tensor], training: bool | None) -> Tensor:
        """The task's prediction; layers train (or not) as they are told.

        The graph remembers the mode in which each layer was first called, which for dropout is
        inference: like a functional model, this passes the mode to every layer.
        """

        def told(operation: Any) -> Any:
            if training is None or not isinstance(operation, keras.layers.Layer):
                return operation
            return lambda *args, **kwargs: operation(*args, **{**kwargs, "training": training})

        return run_graph(self, inputs, told)


@dataclasses.dataclass(frozen=True)
class Frontier:
    """A network in two parts that share all variables with it.

    Attributes:
        trunk: Maps the network's inputs to the tensors of the frontier, a list.
        towers: Maps, for each task, what it reads of the frontier to its prediction, or to what
            a bundle reads for it.
        bundles: Layers that compute the towers of several tasks together, and those that spread
            the columns of one.
        exits: Maps, for the tasks of bundles, what these make for them to their prediction.
        reads: The positions in the frontier that each task reads.
        differentiable: For each tensor of the frontier, whether trainable variables lie
            behind it: only those carry a gradient into the trunk.
        shared: Trainable variables of the trunk.
        own: Trainable variables of each task's tower; slices of those of bundles.
        users: The tasks that a variable leads to in the graph, by its identity; not of bundles.
        tied: Whether one variable is used in several of these places (a layer that two towers
            call), so that the parts do not tell whose it is.
        branched: Whether an operation of the trunk has several outputs (a nested model with
            heads of its own), so that not all its variables need be shared.
        walled: Whether an operation of the network lets no gradient through, likewise.
    """

    trunk: keras.Model
    towers: dict[str, Tower]
    bundles: list[Bundle]
    exits: dict[str, Tower]
    reads: dict[str, tuple[int, ...]]
    differentiable: tuple[bool, ...]
    shared: list[keras.Variable]
    own: dict[str, list[keras.Variable | Slice]]
    users: dict[int, set[str]]
    tied: bool
    branched: bool
    walled: bool

    @property
    def entangled(self) -> bool:
        """Whether only the gradients tell which variables are shared."""
        return self.tied or self.branched or self.walled


@dataclasses.dataclass(frozen=True)
class Forward:
    """What a forward pass leaves for the backward passes.

    Attributes:
        frontier: The differentiable tensors that the trunk made.
        copies: For each task, its own copy of each of them; `None` where it reads none.
        spreads: For tasks whose columns one layer spreads: that layer, what it read, and what it
            made before its activation.
    """

    frontier: list[Tensor]
    copies: list[Row]
    spreads: dict[str, tuple[Spread, Tensor, Tensor]]


def split_forward(
    parts: Frontier, inputs: Tensor, training: bool | None
) -> tuple[dict[str, Tensor], Forward]:
    """Predictions by task, each made from the task's own copy of the frontier."""
    tensors = keras.tree.flatten(parts.trunk(inputs, training=training))
    positions = [i for i, carries in enumerate(parts.differentiable) if carries]
    predictions, copies = {}, []
    for name, reads in parts.reads.items():
        mine = {i: _copy(tensors[i]) if i in positions else tensors[i] for i in reads}
        predictions[name] = parts.towers[name].run([mine[i] for i in reads], training)
        copies.append([mine.get(i) for i in positions])
    spreads = {}
    for bundle in parts.bundles:
        read = [predictions[name] for name in bundle.tasks]
        if isinstance(bundle, Spread):
            before, after = bundle.run_apart(read[0], training)
            spreads[bundle.tasks[0]] = bundle, read[0], before
            made = [after]
        else:
            made = bundle.run(read, training)
        for name, tensor in zip(bundle.tasks, made, strict=True):
            predictions[name] = parts.exits[name].run([tensor], training)
    return predictions, Forward([tensors[i] for i in positions], copies, spreads)


def _copy(tensor: Tensor) -> Tensor:
    """The same tensor for one task alone: its gradient is that task's."""
    return with_mask(tf.identity(tensor), mask_of(tensor))


def named_outputs(network: keras.Model) -> dict[str, Tensor]:
    """The symbolic outputs of a functional network by name.

    Raises:
        ValueError: If it is not functional, or its outputs have no names of their own.
    """
    if not is_functional(network):
        raise ValueError(
            "network must be a functional keras.Model (made from keras.Input tensors); received "
            f"{type(network).__name__}. A subclassed model does not show which variables its "
            "tasks share: build it as keras.Model(inputs, {task: output, ...})."
        )
    outputs = network.output
    if isinstance(outputs, dict):
        nested = [name for name, output in outputs.items() if isinstance(output, (dict, list))]
        if nested:
            raise ValueError(f"outputs must be one tensor each; {nested} hold several.")
        return dict(outputs)
    flat = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    names = [operation_of(output).name for output in flat]
    if len(set(names)) < len(names):
        raise ValueError(
            f"outputs must have different names; their layers are called {names}. Return a "
            "dictionary of outputs: keras.Model(inputs, {task: output, ...})."
        )
    return dict(zip(names, flat, strict=True))


def find_frontier(
    network: keras.Model, names: tuple[str, ...], *, with_columns: Sequence[str] = ()
) -> Frontier:
    """Finds the frontier between what several tasks use and what one task uses.

    A node of the graph belongs to the trunk if two or more outputs depend on it, and to a
    task's tower if only that task's does. Columns of one task share all of its nodes: where
    there is no other task, their tower begins with the layer that spreads them, or else with the
    last one that has variables.

    Args:
        network: A functional model.
        names: The outputs that are tasks.
        with_columns: Those of them that have columns.
    """
    outputs = {name: named_outputs(network)[name] for name in names}
    spreads = {name: find_spread(outputs[name], name) for name in with_columns}
    below: list[Tensor] = []
    if len(names) == 1 and with_columns:
        spread = spreads[names[0]]
        below = spread.node.input_tensors if spread else _below_last_layer(outputs[names[0]])
    roots = outputs | {str(place): tensor for place, tensor in enumerate(below)}
    bundles = find_bundles(outputs, _users(roots, {}))
    bundled = {name: bundle for bundle in bundles.values() for name in bundle.tasks}
    users = _users(roots, bundles)
    tensors: dict[int, Tensor] = {}
    reads: dict[str, tuple[int, ...]] = {}
    for name, output in outputs.items():
        edge = _edge(output, name, users, bundles)
        tensors.update(edge)
        order = list(tensors)
        reads[name] = tuple(sorted(order.index(key) for key in edge))
    frontier = list(tensors.values())
    alone = {name: each for name, each in spreads.items() if each and _is_alone(each, users)}
    cuts = alone | bundled
    ends = {name: cuts[name].begin(name) if name in cuts else outputs[name] for name in names}
    towers = {name: Tower([frontier[i] for i in reads[name]], ends[name]) for name in names}
    exits = {name: Tower([bundle.end(name)], outputs[name]) for name, bundle in cuts.items()}
    trunk_nodes = [node for node, tasks in users.values() if len(tasks) > 1]
    own: dict[str, list[keras.Variable | Slice]] = {
        name: [
            *_trainable([node for node, tasks in users.values() if tasks == {name}]),
            *(bundled[name].slices(name) if name in bundled else []),
        ]
        for name in names
    }
    shared = _trainable(trunk_nodes)
    groups = [shared, *own.values()]
    return Frontier(
        trunk=keras.Model(network.input, frontier),
        towers=towers,
        bundles=list({id(bundle.node): bundle for bundle in cuts.values()}.values()),
        exits=exits,
        reads=reads,
        differentiable=tuple(_differentiable(tensor) for tensor in frontier),
        shared=shared,
        own=own,
        users=_users_of_variables(users),
        tied=sum(map(len, groups)) > len({id(v) for group in groups for v in group}),
        branched=any(len(node.output_tensors) > 1 for node in trunk_nodes if not node.is_input),
        walled=any(_stops_gradient(node.operation) for node, _ in users.values()),
    )


def _is_alone(spread: Spread, users: dict[int, tuple[Any, set[str]]]) -> bool:
    """Whether the layer serves its task and no other."""
    return users.get(id(spread.node), (None, set()))[1] == set(spread.tasks)


def _stops_gradient(operation: Any) -> bool:
    """Whether it is `keras.ops.stop_gradient`, or a layer that says so of one of its inputs."""
    return bool(getattr(operation, "stops_gradient", type(operation).__name__ == "StopGradient"))


def _below_last_layer(output: Tensor) -> list[Tensor]:
    """What the last layer with trainable variables on the way to an output reads."""
    node = node_of(output)
    while not node.is_input and not _trainable([node]):
        node = node_of(node.input_tensors[0])
    return list(node.input_tensors)


def _users(
    outputs: dict[str, Tensor], bundles: dict[int, Bundle]
) -> dict[int, tuple[Any, set[str]]]:
    """Every node of the graph, by identity, with the tasks that depend on it; not bundles."""
    users: dict[int, tuple[Any, set[str]]] = {}
    for name, output in outputs.items():
        for _, node in walk([output], reroute=lambda tensor: _above_bundle(tensor, bundles)):
            users.setdefault(id(node), (node, set()))[1].add(name)
    return users


def _above_bundle(tensor: Tensor, bundles: dict[int, Bundle]) -> Tensor:
    """What a bundle makes this tensor of; the tensor itself where no bundle has made it."""
    bundle = bundles.get(id(node_of(tensor)))
    if bundle is None:
        return tensor
    return bundle.begin(bundle.tasks[position_of(tensor)])


def _edge(
    output: Tensor,
    name: str,
    users: dict[int, tuple[Any, set[str]]],
    bundles: dict[int, Bundle],
) -> dict[int, Tensor]:
    """The tensors at which one task's tower begins: made by the trunk, or inputs."""

    def is_own(node: Any) -> bool:
        return not node.is_input and users[id(node)][1] == {name}

    steps = walk([output], enter=is_own, reroute=lambda tensor: _above_bundle(tensor, bundles))
    return {id(tensor): tensor for tensor, node in steps if not is_own(node)}


def _trainable(nodes: list[Any]) -> list[keras.Variable]:
    variables = {
        id(variable): variable
        for node in nodes
        for variable in getattr(node.operation, "trainable_variables", [])
    }
    return list(variables.values())


def _users_of_variables(users: dict[int, tuple[Any, set[str]]]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for node, tasks in users.values():
        for variable in _trainable([node]):
            found.setdefault(id(variable), set()).update(tasks)
    return found


def _differentiable(tensor: Tensor) -> bool:
    if not keras.backend.is_float_dtype(tensor.dtype):
        return False
    nodes = [node for node, _ in _users({"": tensor}, {}).values()]
    return bool(_trainable(nodes))

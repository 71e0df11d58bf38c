"""Cuts a functional network where its tasks part: one trunk, and one tower per task."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras

from keras_mtl._keras_internals import (
    is_functional,
    node_of,
    operation_of,
    position_of,
    run_in_mode,
    walk,
)
from keras_mtl._tasks import Task
from keras_mtl._types import Tensor
from keras_mtl.training._frontier._column_layers import ColumnLayer, find_column_layer
from keras_mtl.training._frontier._joint_layers import JointLayer, find_joint_layers
from keras_mtl.training._frontier._variable_slice import VariableSlice

Users: TypeAlias = dict[int, tuple[Any, set[str]]]
"""Every node of the graph, by its identity, with the tasks that depend on it."""


class Tower(keras.Function):
    """Runs the part of a functional network that serves one task only."""

    def run(self, inputs: list[Tensor], training: bool | None) -> Tensor:
        """Returns the task's prediction, with every layer in the mode `training`."""
        return run_in_mode(self, inputs, training)


@dataclasses.dataclass(frozen=True)
class Frontier:
    """Holds a network in two parts, a trunk and towers, which use the network's own variables.

    Attributes:
        trunk: Maps the network's inputs to the tensors of the frontier, a list.
        towers: Maps, for each task, the tensors of the frontier that it reads to its prediction,
            or to the input of a joint layer.
        joint_layers: Layers that compute the towers of several tasks together, and those at
            which the columns of one task part.
        exits: Maps, for the tasks of joint layers, the layer's output to the prediction.
        reads: The positions in the frontier that each task reads.
        differentiable: For each tensor of the frontier, whether it was computed with trainable
            variables: only then does it carry a gradient into the trunk.
        shared: Trainable variables of the trunk.
        task_variables: Trainable variables of each task's tower; slices of those of joint layers.
        users: The tasks whose outputs depend on each variable, trainable or not, by the variable's
            identity; without variables of joint layers.
        tied: Whether one variable is used in several of these places (a layer that two towers
            call), so that the parts of the network do not tell which tasks it belongs to.
        branched: Whether an operation of the trunk has several outputs (a nested model with
            heads of its own), so that some of its variables may serve one task only.
        walled: Whether an operation of the network lets no gradient through, so that some
            variables of the trunk may be trained by one task only.
    """

    trunk: keras.Model
    towers: dict[str, Tower]
    joint_layers: list[JointLayer]
    exits: dict[str, Tower]
    reads: dict[str, tuple[int, ...]]
    differentiable: tuple[bool, ...]
    shared: list[keras.Variable]
    task_variables: dict[str, list[keras.Variable | VariableSlice]]
    users: dict[int, set[str]]
    tied: bool
    branched: bool
    walled: bool

    @property
    def entangled(self) -> bool:
        """Whether only the gradients tell which variables are shared (docs/design.md, D3)."""
        return self.tied or self.branched or self.walled

    @property
    def shareable(self) -> list[keras.Variable]:
        """The variables that several tasks use, by the graph: those of the trunk, and tied ones.

        In an entangled network, gradients may tell that some of them serve one task only.
        """
        groups = [self.shared, *self.task_variables.values()]
        whole = [v for group in groups for v in group if not isinstance(v, VariableSlice)]
        variables = {id(variable): variable for variable in whole}  # each once
        return [variable for key, variable in variables.items() if len(self.users[key]) > 1]


def named_outputs(network: keras.Model) -> dict[str, Tensor]:
    """Returns the symbolic outputs of a functional network by name.

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
            # docs/keras_notes.md, pain 7
            raise ValueError(f"outputs must be one tensor each; {nested} hold several.")
        return dict(outputs)
    flat = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    # Outputs in a list have the names of their layers, which Keras does not keep apart
    # (docs/keras_notes.md, pain 4; tensorflow#25955).
    names = [operation_of(output).name for output in flat]
    if len(set(names)) < len(names):
        raise ValueError(
            f"outputs must have different names; their layers are called {names}. Return a "
            "dictionary of outputs: keras.Model(inputs, {task: output, ...})."
        )
    return dict(zip(names, flat, strict=True))


def find_frontier(network: keras.Model, tasks: Sequence[Task]) -> Frontier:
    """Finds the frontier between the nodes that several tasks use and those of one task.

    A node of the graph belongs to the trunk if two or more outputs depend on it, and to a
    task's tower if only that task's output does. The columns of one task share all of its nodes.
    Where there is no other task, their tower begins with the layer at which the columns part, or
    else with the last layer that has variables.

    Args:
        network: A functional model.
        tasks: The tasks, each of which is an output.
    """
    names = [task.name for task in tasks]
    outputs = {name: named_outputs(network)[name] for name in names}
    column_layers = {
        task.name: find_column_layer(outputs[task.name], task.name)
        for task in tasks
        if task.columns is not None
    }
    ends = outputs | _ends_of_lone_trunk(outputs, column_layers)
    # First the users of all nodes, which show the joint layers. Then the users past these layers:
    # otherwise each task would look like a user of the features of all tasks of such a layer.
    joint_layers = find_joint_layers(outputs, _find_users(ends, {}))
    users = _find_users(ends, joint_layers)

    # The tensors of the frontier, each once, and for each task the positions that it reads.
    tensors: dict[int, Tensor] = {}
    reads: dict[str, tuple[int, ...]] = {}
    for name, output in outputs.items():
        edge = _edge_of_tower(output, name, users, joint_layers)
        tensors.update(edge)
        order = list(tensors)
        reads[name] = tuple(sorted(order.index(key) for key in edge))
    frontier = list(tensors.values())

    of_task = {name: layer for layer in joint_layers.values() for name in layer.tasks}
    # A tower ends where a layer is called apart from it (`split_forward`): a joint layer, or the
    # layer at which the columns of its task part.
    cuts = {
        name: layer for name, layer in column_layers.items() if layer and _is_alone(layer, users)
    } | of_task
    tower_ends = {
        name: cuts[name].input_of(name) if name in cuts else outputs[name] for name in names
    }
    shared = _trainable([node for node, tasks in users.values() if len(tasks) > 1])
    task_variables = {name: _variables_of(name, users, of_task) for name in names}
    return Frontier(
        trunk=keras.Model(network.input, frontier),
        towers={
            name: Tower([frontier[i] for i in reads[name]], tower_ends[name]) for name in names
        },
        joint_layers=list({id(layer.node): layer for layer in cuts.values()}.values()),
        exits={name: Tower([layer.output_of(name)], outputs[name]) for name, layer in cuts.items()},
        reads=reads,
        differentiable=tuple(_is_differentiable(tensor) for tensor in frontier),
        shared=shared,
        task_variables=task_variables,
        users=_users_of_variables(users),
        tied=_is_tied([shared, *task_variables.values()]),
        branched=any(_is_branched(node) for node, tasks in users.values() if len(tasks) > 1),
        walled=any(_stops_gradient(node.operation) for node, _ in users.values()),
    )


def _ends_of_lone_trunk(
    outputs: Mapping[str, Tensor], column_layers: Mapping[str, ColumnLayer | None]
) -> dict[str, Tensor]:
    """Returns further ends of the trunk, for a network with one task that has columns.

    An end counts as a second user of the nodes that it depends on: they become the trunk.
    """
    if len(outputs) > 1 or not column_layers:
        return {}
    ((name, output),) = outputs.items()
    layer = column_layers[name]
    ends = layer.node.input_tensors if layer else _inputs_of_last_layer(output)
    # No task's name begins with a digit, so that these are the names of no task.
    return {str(position): tensor for position, tensor in enumerate(ends)}


def _inputs_of_last_layer(output: Tensor) -> list[Tensor]:
    """Returns the inputs of the last layer before an output that has trainable variables."""
    node = node_of(output)
    while not node.is_input and not _trainable([node]):
        node = node_of(node.input_tensors[0])
    return list(node.input_tensors)


def _find_users(outputs: Mapping[str, Tensor], joint_layers: Mapping[int, JointLayer]) -> Users:
    """Finds every node of the graph, except joint layers, with the tasks that depend on it."""
    users: Users = {}
    for name, output in outputs.items():
        for _, node in walk([output], reroute=lambda tensor: _past_joint(tensor, joint_layers)):
            users.setdefault(id(node), (node, set()))[1].add(name)
    return users


def _past_joint(tensor: Tensor, joint_layers: Mapping[int, JointLayer]) -> Tensor:
    """Returns, for an output of a joint layer, the layer's input of the same task.

    Any other tensor is returned as it is.
    """
    layer = joint_layers.get(id(node_of(tensor)))
    return tensor if layer is None else layer.input_of(layer.tasks[position_of(tensor)])


def _edge_of_tower(
    output: Tensor, name: str, users: Users, joint_layers: Mapping[int, JointLayer]
) -> dict[int, Tensor]:
    """Returns the tensors that one task's tower reads: outputs of the trunk, or inputs."""

    def in_tower(node: Any) -> bool:
        return not node.is_input and users[id(node)][1] == {name}

    steps = walk([output], enter=in_tower, reroute=lambda tensor: _past_joint(tensor, joint_layers))
    return {id(tensor): tensor for tensor, node in steps if not in_tower(node)}


def _is_alone(layer: ColumnLayer, users: Users) -> bool:
    """Returns whether a layer serves its task and no other."""
    return users.get(id(layer.node), (None, set()))[1] == set(layer.tasks)


def _is_branched(node: Any) -> bool:
    # An input node may make several tensors, but has no variables.
    return len(node.output_tensors) > 1 and not node.is_input


def _is_tied(groups: Sequence[Sequence[Any]]) -> bool:
    """Returns whether a variable stands in several groups, or twice in one."""
    return sum(map(len, groups)) > len({id(variable) for group in groups for variable in group})


def _stops_gradient(operation: Any) -> bool:
    """Returns whether it is `keras.ops.stop_gradient`, or a layer that declares the same.

    Keras exports no class of the operation to test against (docs/keras_notes.md, pain 92).
    """
    return bool(getattr(operation, "stops_gradient", type(operation).__name__ == "StopGradient"))


def _trainable(nodes: Sequence[Any]) -> list[keras.Variable]:
    variables = {
        id(variable): variable
        for node in nodes
        for variable in getattr(node.operation, "trainable_variables", [])
    }
    return list(variables.values())


def _variables_of(
    name: str, users: Users, joint_layer_of: Mapping[str, JointLayer]
) -> list[keras.Variable | VariableSlice]:
    """Returns the trainable variables of one task's tower, and its slices of joint ones."""
    variables = _trainable([node for node, tasks in users.values() if tasks == {name}])
    slices = joint_layer_of[name].slices(name) if name in joint_layer_of else []
    return [*variables, *slices]


def _users_of_variables(users: Users) -> dict[int, set[str]]:
    tasks_of: dict[int, set[str]] = {}
    for node, tasks in users.values():
        for variable in getattr(node.operation, "variables", []):
            tasks_of.setdefault(id(variable), set()).update(tasks)
    return tasks_of


def _is_differentiable(tensor: Tensor) -> bool:
    """Returns whether a gradient with respect to the tensor reaches a trainable variable."""
    if not keras.backend.is_float_dtype(tensor.dtype):
        return False
    return bool(_trainable([node for _, node in walk([tensor])]))

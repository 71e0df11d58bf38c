"""The network whose graph shows what tasks share, also behind a preprocessing model."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl._keras_internals import is_functional, node_of, position_of, walk
from keras_mtl._tasks import Task, check_tasks
from keras_mtl._types import Tensor
from keras_mtl.training import BalancedModel
from keras_mtl.training._frontier import named_outputs


@dataclasses.dataclass(frozen=True)
class Core:
    """Holds a functional network, and the models that stand before it.

    Attributes:
        network: The network in whose graph the tasks part.
        tasks: The tasks.
        outputs: The symbolic output of each task, in the order of the tasks.
        encoders: Models from the user's inputs to those of `network`, applied one after the other.
    """

    network: keras.Model
    tasks: tuple[Task, ...]
    outputs: dict[str, Tensor]
    encoders: tuple[keras.Model, ...]

    def read(self, x: Any) -> list[Tensor]:
        """Returns the values of `network.inputs` for inputs as a user passes them."""
        for encoder in self.encoders:
            x = encoder(x, training=False)
        values: list[Tensor] = keras.tree.flatten(x)
        return values

    def nodes_of(self, task: str) -> list[Any]:
        """Returns the nodes that the output of a task depends on."""
        return [node for _, node in walk([self.outputs[task]], reroute=past_towers)]


def past_towers(tensor: Tensor) -> Tensor:
    """Returns, for an output of a layer that holds several towers, the input of the same tower.

    Otherwise each task would seem to depend on the features of all. Other tensors stay.
    """
    node = node_of(tensor)
    while getattr(node.operation, "branchwise", False):
        tensor = node.arguments.args[0][position_of(tensor)]
        node = node_of(tensor)
    return tensor


def read_core(model: Any, tasks: Sequence[Task]) -> Core:
    """Finds the network in whose graph the tasks part.

    Where all tasks are outputs of one call of an inner model (`data.with_preprocessing`), this is
    the inner model, and the part before it becomes an encoder.

    Args:
        model: A functional model with one output per task and maybe further ones, or a
            `BalancedModel` of one.
        tasks: Tasks of the model.

    Raises:
        TypeError: If the model is of another kind, or `tasks` are no tasks.
        ValueError: If a task is no output of the model.
    """
    tasks = check_tasks(tasks)
    network = model.network if isinstance(model, BalancedModel) else model
    if not is_functional(network):
        raise TypeError(
            "model must be a functional keras.Model (made from keras.Input tensors) or a "
            f"BalancedModel; received {type(model).__name__}, which does not show its graph."
        )
    outputs = named_outputs(network)
    missing = [task.name for task in tasks if task.name not in outputs]
    if missing:
        raise ValueError(
            f"no output of the network for the task(s) {missing}; its outputs are "
            f"{sorted(outputs)}. An output has the name of its task: "
            "keras.Model(inputs, {task.name: output, ...})."
        )
    tensors = {task.name: outputs[task.name] for task in tasks}
    encoders = []
    while (node := _common_call(tensors)) is not None:
        encoders.append(keras.Model(network.input, node.arguments.args[0]))
        network = node.operation
        inner = keras.tree.flatten(network.output)
        tensors = {name: inner[position_of(tensor)] for name, tensor in tensors.items()}
    # This model does to inputs whatever Keras does: it orders a dict, casts, and adds axes.
    encoders.append(keras.Model(network.input, list(network.inputs)))
    return Core(network, tasks, tensors, tuple(encoders))


def _common_call(outputs: dict[str, Tensor]) -> Any:
    """Returns the call of an inner functional model that makes all outputs, or `None`."""
    nodes = {id(node_of(tensor)): node_of(tensor) for tensor in outputs.values()}
    node, *further = nodes.values()
    is_inner = not further and not node.is_input and is_functional(node.operation)
    return node if is_inner and len(node.arguments.args) == 1 else None

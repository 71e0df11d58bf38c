"""A network in parts that signatures share: each layer is traced and written once."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._keras_internals import node_of, nodes_above, run_in_mode
from keras_mtl._types import Tensor


class GraphParts:
    """Splits a network into parts by the tasks that need them, and runs those of some tasks.

    With a signature per task, a layer that n tasks need would be traced and written n + 1 times.
    Here the calls of layers that exactly the same tasks need are one part, a function that is
    traced once: the trunk is a part, and each tower. The graph of a signature calls the parts that
    its tasks need, and runs exactly their layers. So an export grows with the network, whatever
    the number of tasks.

    Args:
        inputs: The inputs by name.
        outputs: The outputs by task.

    Attributes:
        specs: The specs of the inputs, by name.
    """

    def __init__(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        self._inputs, self._outputs = inputs, outputs
        self._bits = {task: 1 << place for place, task in enumerate(outputs)}
        self.specs = {
            name: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype, name)
            for name, tensor in inputs.items()
        }
        specs = {
            id(tensor): tf.TensorSpec(self.specs[name].shape, tensor.dtype)
            for name, tensor in inputs.items()
        }
        # A part that feeds another one is needed by all tasks of the other, and by more.
        parts = sorted(_find_parts(outputs), key=lambda part: -part.tasks.bit_count())
        self._functions = [(part, _trace(part, specs)) for part in parts]

    def run(self, values: Mapping[str, Tensor], tasks: Sequence[str]) -> dict[str, Tensor]:
        """Returns the predictions of some tasks.

        Args:
            values: The values of the inputs that the tasks depend on, by name.
            tasks: The names of the tasks.
        """
        needed = sum(self._bits[task] for task in tasks)
        tensors = {id(self._inputs[name]): value for name, value in values.items()}
        for part, function in self._functions:
            if part.tasks & needed:
                results = function(*(tensors[id(tensor)] for tensor in part.starts))
                tensors |= dict(zip(map(id, part.ends), results, strict=True))
        return {task: tensors[id(self._outputs[task])] for task in tasks}


@dataclasses.dataclass(frozen=True)
class _Part:
    """Holds what enters and leaves a part of the graph.

    Args:
        tasks: The tasks that need the part, one bit for each.
        starts: Tensors of other parts that its layers read, masks among them.
        ends: Its tensors that other parts read, or that are outputs.
    """

    tasks: int
    starts: list[Tensor]
    ends: list[Tensor]


def _find_parts(outputs: Mapping[str, Tensor]) -> list[_Part]:
    """Returns the parts of the graph behind some outputs."""
    nodes: dict[int, Any] = {}
    tasks: dict[int, int] = {}
    for place, output in enumerate(outputs.values()):
        for node in nodes_above([output]):
            nodes[id(node)] = node
            tasks[id(node)] = tasks.get(id(node), 0) | 1 << place
    starts: dict[int, dict[int, Tensor]] = {part: {} for part in tasks.values()}
    ends: dict[int, dict[int, Tensor]] = {part: {} for part in tasks.values()}

    def leave(tensor: Tensor) -> None:
        node = node_of(tensor)
        if not node.is_input:
            ends[tasks[id(node)]][id(tensor)] = tensor

    for node in nodes.values():
        for tensor in node.input_tensors:
            source, part = node_of(tensor), tasks[id(node)]
            if source.is_input or tasks[id(source)] != part:
                starts[part][id(tensor)] = tensor
                leave(tensor)
    for output in outputs.values():
        leave(output)
    # Inputs are no part: their values come with the request.
    return [
        _Part(part, [*starts[part].values()], [*tensors.values()])
        for part, tensors in ends.items()
        if tensors
    ]


def _trace(part: _Part, specs: dict[int, Any]) -> Any:
    """Returns a concrete function of a part, and adds the specs of its results to `specs`."""
    layers = keras.Function(part.starts, part.ends)
    function = tf.function(
        lambda *values: run_in_mode(layers, list(values), training=False), autograph=False
    ).get_concrete_function(*(specs[id(tensor)] for tensor in part.starts))
    for tensor, spec in zip(part.ends, function.structured_outputs, strict=True):
        # Arguments of a function need names of their own, or none.
        plain = tf.TensorSpec(spec.shape, spec.dtype) if type(spec) is tf.TensorSpec else spec
        specs[id(tensor)] = plain
    return function

"""Conversion of a network with learned branches to a plain network."""

from typing import Any

import keras

from keras_mtl._keras_internals import copy_inputs, node_of, position_of
from keras_mtl._types import Tensor
from keras_mtl.layers import (
    Branching,
    Experts,
    ParallelDense,
    PickBranch,
    SelectOrSkip,
    StackBranches,
)


def harden(network: keras.Model) -> keras.Model:
    """Converts a trained `ltb` or `adashare` network to the plain network that it has selected.

    Each child of a tree keeps the parent that it chose, and each task keeps the blocks that it
    selected. Layers that no task uses are left out. Choose it to serve a trained network, or to
    train the selected architecture further. Do not call it while the choices are still being
    learned: the plain network cannot change them. Predictions outside training are the same. The
    variables are copies, so further training does not change `network`.

    Args:
        network: A functional network with `keras_mtl.layers.Branching` or `SelectOrSkip`.

    Returns:
        A functional `keras.Model` with the same inputs and outputs. Branches that were made from
        units become Keras layers; layers of recipes are copied.

    Raises:
        ValueError: If the network has no such layer.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.binary("married")]
        >>> network = mtl.architectures.ltb(keras.Input((8,)), tasks, body=(16, 16))
        >>> tree = harden(network)
        >>> [layer.name for layer in tree.layers if layer.name.startswith("shared")]
        ['shared_nodes_0_0', 'shared_nodes_1_0']
    """
    if not any(isinstance(layer, Branching | SelectOrSkip) for layer in network.layers):
        raise ValueError(
            f"the network {network.name!r} has no learned branches (layers Branching or "
            "SelectOrSkip): it is a plain network already."
        )
    inputs = copy_inputs(network)
    copy = _Copy(network.input, inputs)
    outputs = {name: copy.tensor(output) for name, output in network.output.items()}
    return keras.Model(inputs, outputs, name=network.name)


class _Copy:
    """Rebuilds the graph of a network from its outputs to its inputs, along the choices.

    It starts at the outputs, so that layers which no task uses are never visited. Every tensor,
    branch and layer is copied once and looked up afterwards.

    Args:
        old: The inputs of the network.
        new: The inputs of the copy, in the same structure.
    """

    def __init__(self, old: Any, new: Any) -> None:
        pairs = zip(keras.tree.flatten(old), keras.tree.flatten(new), strict=True)
        self.tensors = {id(tensor): copy for tensor, copy in pairs}
        self.branches: dict[tuple[int, int], Tensor] = {}
        self.layers: dict[int, keras.layers.Layer] = {}

    def tensor(self, tensor: Tensor) -> Tensor:
        """Returns the copy of a tensor."""
        # The recursion ends at the inputs, which `__init__` has entered.
        if id(tensor) not in self.tensors:
            node = node_of(tensor)
            operation = node.operation
            if isinstance(operation, PickBranch):
                # From here to the next stack only one branch is copied.
                self.tensors[id(tensor)] = self.branch(node.input_tensors[0], operation.index)
            else:
                args, kwargs = keras.tree.map_structure(
                    lambda x: self.tensor(x) if isinstance(x, keras.KerasTensor) else x,
                    (node.arguments.args, node.arguments.kwargs),
                )
                output = self.call(operation, *args, **kwargs)
                # One call may make several tensors: take the one at the same position.
                self.tensors[id(tensor)] = keras.tree.flatten(output)[position_of(tensor)]
        return self.tensors[id(tensor)]

    def branch(self, tensor: Tensor, k: int) -> Tensor:
        """Copies branch `k` alone of a tensor `(batch, ..., num_branches, units)`."""
        key = (id(tensor), k)
        if key not in self.branches:
            node = node_of(tensor)
            self.branches[key] = self._branch(node.operation, node.input_tensors, tensor, k)
        return self.branches[key]

    def _branch(self, operation: Any, inputs: list[Tensor], tensor: Tensor, k: int) -> Tensor:
        match operation:
            case Branching():  # child k reads the parent that it has chosen
                return self.branch(inputs[0], int(operation.choices[k]))
            case StackBranches():
                return self.tensor(inputs[k])
            case SelectOrSkip():
                features = self.branch(inputs[0], k)
                if not operation.selected[k]:  # a skipped block is not copied
                    return features
                add = keras.layers.Add(name=f"{operation.name}_{k}")
                return add([features, self.branch(inputs[1], k)])
            case Experts():
                x = self.tensor(inputs[0])
                for i in range(len(operation.units)):
                    x = _call_slice(operation, i, k, x)
                return x
            case ParallelDense():
                return _call_slice(operation, 0, k, self.branch(inputs[0], k))
            case keras.layers.Dense():
                # It acts on the last axis only, so it treats all branches equally.
                return self.call(operation, self.branch(inputs[0], k))
        # An operation that mixes branches, or is not known here, is copied whole.
        return PickBranch(k, name=f"{operation.name}_{k}")(self.tensor(tensor))

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        """Calls the copy of a layer, which the first call makes, or a weightless operation."""
        if not isinstance(operation, keras.layers.Layer):
            return operation(*args, **kwargs)
        if id(operation) in self.layers:
            return self.layers[id(operation)](*args, **kwargs)
        copy = type(operation).from_config(operation.get_config())
        self.layers[id(operation)] = copy
        output = copy(*args, **kwargs)  # builds the copy, which has no variables before
        copy.set_weights(operation.get_weights())
        return output


def _call_slice(layer: Any, i: int, k: int, features: Tensor) -> Tensor:
    """Calls layer `i` of perceptron `k`, one of several that are computed together, as a Dense."""
    single = isinstance(layer, ParallelDense)
    # Kernels of all perceptrons have shape (inputs, perceptrons, units).
    kernel = (layer.kernel if single else layer.kernels[i])[:, k]  # (inputs, units)
    values = [keras.ops.convert_to_numpy(kernel)]
    if layer.use_bias:
        values.append(keras.ops.convert_to_numpy((layer.bias if single else layer.biases[i])[k]))
    last = single or len(layer.units) == 1
    dense = keras.layers.Dense(
        values[0].shape[-1],
        activation=layer.activation,
        use_bias=layer.use_bias,
        dtype=layer.dtype_policy,
        name=f"{layer.name}_{k}" if last else f"{layer.name}_{k}_{i}",
    )
    output = dense(features)
    dense.set_weights(values)
    return output

"""Conversion of a network with learned branches to a plain network."""

from collections.abc import Iterable
from typing import Any

import keras

from keras_mtl._keras_internals import operation_of
from keras_mtl._types import Tensor
from keras_mtl.export._cutting import WHOLE, Cut, Need, Step, remake_model
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
    return remake_model(network, _Hardened)


class _Hardened(Cut):
    """Makes those branches of stacked tensors that are picked, each as a tensor of its own.

    Only branches on the way that was chosen are needed, so the others are never made. An operation
    that mixes branches, or is not known here, is copied whole.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._branches: dict[tuple[int, int], Tensor] = {}
        super().__init__(*args, **kwargs)

    def step_of(self, node: Any) -> Step:
        """Returns how a call is made: whole, or branch by branch."""
        output = node.output_tensors[0]
        if isinstance(node.operation, PickBranch):
            # From here to the next stack only one branch is made.
            (stack,), k = node.input_tensors, node.operation.index
            return Step([(stack, _need([k]))], lambda: self.enter([output], self.branch(stack, k)))
        need = self.needs.get(id(output), WHOLE)
        branches = sorted(need.indices)
        reads = _reads(node, branches) if branches else None
        if reads is None:
            return super().step_of(node)
        if need.whole:  # another reader mixes the branches
            reads = [*reads, *((tensor, WHOLE) for tensor in node.input_tensors)]

        def make() -> None:
            if need.whole:
                self.call(node)
            for k in branches:
                self._branches[id(output), k] = self._make_branch(node, k)

        return Step(reads, make)

    def branch(self, tensor: Tensor, k: int) -> Tensor:
        """Returns branch `k` alone of a tensor `(batch, ..., num_branches, units)`."""
        key = (id(tensor), k)
        if key not in self._branches:
            name = f"{operation_of(tensor).name}_{k}"
            self._branches[key] = PickBranch(k, name=name)(self.new_tensors[id(tensor)])
        return self._branches[key]

    def _make_branch(self, node: Any, k: int) -> Tensor:
        """Makes branch `k` of the output of a call."""
        operation, inputs = node.operation, node.input_tensors
        match operation:
            case Branching():  # child k reads the parent that it has chosen
                return self.branch(inputs[0], int(operation.choices[k]))
            case StackBranches():
                return self.new_tensors[id(inputs[k])]
            case SelectOrSkip():
                features = self.branch(inputs[0], k)
                if not operation.selected[k]:  # a skipped block is not made
                    return features
                add = keras.layers.Add(name=f"{operation.name}_{k}")
                return add([features, self.branch(inputs[1], k)])
            case Experts():
                x = self.new_tensors[id(inputs[0])]
                for i in range(len(operation.units)):
                    x = _call_slice(operation, i, k, x)
                return x
            case ParallelDense():
                return _call_slice(operation, 0, k, self.branch(inputs[0], k))
        # A Dense acts on the last axis only, so it treats all branches equally.
        return self.copies.call(operation, (self.branch(inputs[0], k),), {})


def _reads(node: Any, branches: list[int]) -> list[tuple[Tensor, Need]] | None:
    """Returns what some branches of the output of a call need.

    `None` if the operation mixes branches, or is not known.
    """
    operation, inputs = node.operation, node.input_tensors
    match operation:
        case Branching():
            return [(inputs[0], _need(int(operation.choices[k]) for k in branches))]
        case StackBranches():
            return [(inputs[k], WHOLE) for k in branches]
        case SelectOrSkip():
            selected = [k for k in branches if operation.selected[k]]
            block = [(inputs[1], _need(selected))] if selected else []
            return [(inputs[0], _need(branches)), *block]
        case Experts():
            return [(inputs[0], WHOLE)]
        case ParallelDense() | keras.layers.Dense():
            return [(inputs[0], _need(branches))]
    return None


def _need(branches: Iterable[int]) -> Need:
    return Need(False, -2, frozenset(branches))


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

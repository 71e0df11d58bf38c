"""A functional model with some of its outputs, and without what only others need."""

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import keras

from keras_mtl._keras_internals import copy_input, has_plain_graph, ordered_nodes
from keras_mtl._types import Tensor
from keras_mtl.export._cutting._cut import Cut, Rule
from keras_mtl.export._cutting._layer_copies import LayerCopies
from keras_mtl.export._cutting._remake import WHOLE, Step
from keras_mtl.export._cutting._rules import RULES


def cut_model(network: keras.Model, outputs: Mapping[str, Tensor]) -> keras.Model:
    """Returns a copy of a functional model that has some of its outputs.

    Its inputs are those that the outputs need. Models inside of it are cut, too.

    Args:
        network: The model.
        outputs: Symbolic outputs of it, by name.
    """
    copies, calls = LayerCopies(), _count_calls(outputs.values())
    model = _ModelCut(network, outputs, copies, calls).make()
    copies.finish()
    return model


def remake_model(network: keras.Model, kind: type[Cut]) -> keras.Model:
    """Returns a copy of a functional model, of whose calls some are made in another way.

    Args:
        network: The model.
        kind: The class that says how each call is made.
    """
    copies, calls = LayerCopies(), _count_calls(keras.tree.flatten(network.output))
    model = _WholeModel(network, network.output, copies, calls, kind).make()
    copies.finish()
    return model


class _ModelCut:
    """Cuts a functional model, which may stand inside of another.

    Args:
        network: The model.
        outputs: A structure of some of its symbolic outputs.
        copies: Copies the layers.
        calls: How often each operation is called, by its identity.
        kind: The class that says how each call is made. By default calls are cut to what is needed.
    """

    def __init__(
        self,
        network: keras.Model,
        outputs: Any,
        copies: LayerCopies,
        calls: Mapping[int, int],
        kind: type[Cut] | None = None,
    ) -> None:
        self._network, self._outputs = network, outputs
        inner: Rule = functools.partial(_cut_inner, calls)
        rules = (inner, *RULES) if kind is None else (inner,)
        self._cut = (kind or Cut)(keras.tree.flatten(outputs), copies, calls, rules)

    def needs(self, tensor: Tensor) -> bool:
        """Returns whether an input of the model is needed."""
        return id(tensor) in self._cut.needs

    def make(self) -> keras.Model:
        """Returns the new model."""
        network = self._network
        needed = [tensor for tensor in network.inputs if self.needs(tensor)]
        self._cut.make({id(tensor): copy_input(tensor) for tensor in needed})
        kept = prune(network.input, {id(tensor) for tensor in needed})
        model = keras.Model(
            self._cut.renew(kept), self._cut.renew(self._outputs), name=network.name
        )
        self._cut.copies.add(network, model)
        return model


def _cut_inner(calls: Mapping[int, int], cut: Cut, node: Any) -> Step | None:
    """Cuts a model that stands inside of another, if it is called once; copies it otherwise."""
    model, args = node.operation, node.arguments.args
    if not has_plain_graph(model):
        return None
    is_one_call = calls[id(model)] == 1 and len(args) == 1 and _match(args[0], model.input)
    if not is_one_call:
        return _copy_inner(calls, cut, node)
    places = zip(node.output_tensors, keras.tree.flatten(model.output), strict=True)
    needed = {id(inner) for outer, inner in places if id(outer) in cut.needs}
    part = _ModelCut(model, prune(model.output, needed), cut.copies, calls)
    pairs = zip(keras.tree.flatten(args[0]), keras.tree.flatten(model.input), strict=True)
    kept = {id(outer): outer for outer, inner in pairs if part.needs(inner)}

    def make() -> None:
        part.make()
        cut.call(node, cut.renew(prune(args[0], set(kept))))

    return Step([(tensor, WHOLE) for tensor in kept.values()], make)


def _copy_inner(calls: Mapping[int, int], cut: Cut, node: Any) -> Step:
    """Copies a model that stands inside of another as a whole."""
    model = node.operation

    def make() -> None:
        if cut.copies.get(model) is None:
            _WholeModel(model, model.output, cut.copies, calls).make()
        cut.call(node)

    tensors = [*node.input_tensors, *node.output_tensors]
    return Step([(tensor, WHOLE) for tensor in tensors], make)


class _WholeModel(_ModelCut):
    """Copies a functional model with all of its inputs."""

    def needs(self, tensor: Tensor) -> bool:
        """Returns that each input is kept."""
        return True


def _match(structure: Any, other: Any) -> bool:
    """Returns whether two structures of symbolic tensors have their tensors in the same places."""
    try:
        keras.tree.assert_same_structure(structure, other)
    except ValueError:
        return False
    return all(isinstance(x, keras.KerasTensor) for x in keras.tree.flatten(structure))


def prune(structure: Any, kept: set[int]) -> Any:
    """Returns a structure of tensors without those that are not kept, by their identity.

    A list or a dict keeps its kind, even if one tensor is left in it, or none.
    """
    if isinstance(structure, Mapping):
        pruned = {key: prune(value, kept) for key, value in structure.items()}
        return {key: value for key, value in pruned.items() if value is not None}
    if isinstance(structure, list | tuple):
        values = [prune(value, kept) for value in structure]
        return type(structure)(value for value in values if value is not None)
    return structure if id(structure) in kept else None


def _count_calls(outputs: Iterable[Tensor]) -> Counter[int]:
    """Counts the calls of each operation in a graph, and in those of the models inside of it."""
    calls: Counter[int] = Counter()
    pending, models = [list(outputs)], set()
    while pending:
        nodes = ordered_nodes(pending.pop())
        calls.update(id(node.operation) for node in nodes)
        for node in nodes:
            model = node.operation
            if has_plain_graph(model) and id(model) not in models:
                models.add(id(model))
                pending.append(keras.tree.flatten(model.output))
    return calls

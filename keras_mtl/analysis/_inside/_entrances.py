"""Where numbers enter a network: the tensors that inputs are attributed at."""

import dataclasses
from typing import Any

import keras

from keras_mtl._keras_internals import node_of, nodes_above, walk
from keras_mtl._types import Tensor
from keras_mtl.analysis._inside._column_names import name_columns
from keras_mtl.analysis._inside._core import Core
from keras_mtl.data._tables._numeric_columns import NumericColumns


@dataclasses.dataclass(frozen=True)
class Entrance:
    """Holds a tensor of floats beyond which a network is differentiable.

    Attributes:
        tensor: The tensor: a float input, the output of an embedding, encoded columns, or whatever
            else an operation makes of inputs that are no floats.
        name: The name of the input, or of the layer where there are several inputs below it.
        columns: The names of the columns of attributions `[rows, columns]`; `None` where they have
            more axes, or stay together.
        sums: Whether attributions are summed over the last axis: ids became vectors.
        is_input: Whether it is an input of the network.
    """

    tensor: Tensor
    name: str
    columns: tuple[str, ...] | None
    sums: bool
    is_input: bool


def find_entrances(core: Core) -> list[Entrance]:
    """Finds all tensors at which numbers enter a network, the inputs first."""
    known = _columns_of_encoder(core)

    def goes_on(node: Any) -> bool:
        # No gradient passes what is no float, such as a mask that was made of ids.
        passes = keras.backend.is_float_dtype(node.output_tensors[0].dtype)
        return passes and not node.is_input and not _makes_numbers(node)

    ends = {}
    for tensor, node in walk(core.outputs.values(), enter=goes_on):
        if not goes_on(node) and keras.backend.is_float_dtype(tensor.dtype):
            ends[id(tensor)] = tensor
    order = {id(operation): i for i, operation in enumerate(core.network.operations)}
    tensors = sorted(ends.values(), key=lambda tensor: order[id(node_of(tensor).operation)])
    return [_describe(tensor, core, known) for tensor in tensors]


def _makes_numbers(node: Any) -> bool:
    """Returns whether a call makes floats of ids, texts or raw columns."""
    if isinstance(node.operation, keras.layers.Embedding | NumericColumns):
        return True
    is_float = [keras.backend.is_float_dtype(tensor.dtype) for tensor in node.input_tensors]
    makes_float = keras.backend.is_float_dtype(node.output_tensors[0].dtype)
    return makes_float and not any(is_float)


def _describe(tensor: Tensor, core: Core, known: dict[int, list[str]]) -> Entrance:
    node = node_of(tensor)
    layer = node.operation
    if node.is_input or isinstance(layer, NumericColumns):
        columns = name_columns(tensor, known)
        return Entrance(tensor, layer.name, _tuple(columns), sums=False, is_input=node.is_input)
    above = {id(node.output_tensors[0]): node for node in nodes_above(node.input_tensors)}
    inputs = [tensor for tensor in core.network.inputs if id(tensor) in above]
    name = node_of(inputs[0]).operation.name if len(inputs) == 1 else layer.name
    ids = node.input_tensors[0]
    sums = len(tensor.shape) > max(len(ids.shape), 1) or tuple(ids.shape[1:]) == (1,)
    columns = None if sums else name_columns(tensor, known)
    if sums and (ids.shape[1:] in ((), (1,)) or not _is_sequence(ids, inputs)):
        columns = name_columns(ids, known)
    return Entrance(tensor, name, _tuple(columns), sums=sums, is_input=False)


def _is_sequence(ids: Tensor, inputs: list[Tensor]) -> bool:
    """Returns whether ids are an input of integers by themselves, such as the tokens of a text."""
    return any(ids is tensor for tensor in inputs) and not keras.backend.is_float_dtype(ids.dtype)


def _tuple(columns: list[str] | None) -> tuple[str, ...] | None:
    return None if columns is None else tuple(columns)


def _columns_of_encoder(core: Core) -> dict[int, list[str]]:
    """Returns the columns of a network's input that a preprocessing model makes, by identity."""
    if len(core.encoders) < 2 or len(core.network.inputs) != 1:
        return {}
    encoded = keras.tree.flatten(core.encoders[-2].output)
    columns = name_columns(encoded[0], {}) if len(encoded) == 1 else None
    return {} if columns is None else {id(core.network.inputs[0]): columns}

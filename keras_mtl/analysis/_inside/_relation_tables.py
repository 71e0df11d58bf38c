"""The matrices that layers have learned, by the class of the layer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_mtl._keras_internals import node_of, nodes_above
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._inside._core import Core
from keras_mtl.analysis._inside._expert_names import name_experts
from keras_mtl.analysis._inside._positions import Positions
from keras_mtl.analysis._relation_table import RelationTable
from keras_mtl.layers import (
    NDDR,
    Branching,
    CrossStitch,
    LayerStitch,
    SelectOrSkip,
    SubNetworkRouting,
    TaskRelations,
)


def make_tables(core: Core) -> Iterator[RelationTable]:
    """Yields a table for each layer that has learned a relation, from the inputs to the outputs."""
    positions = Positions(core)
    users: dict[int, tuple[Any, list[str]]] = {}
    for task in core.outputs:
        for node in core.nodes_of(task):
            users.setdefault(id(node), (node, []))[1].append(task)
    nodes = [(node, tasks) for node, tasks in users.values() if type(node.operation) in _MAKERS]
    marks = {id(node) for node, _ in nodes}
    nodes.sort(key=lambda pair: _depth(pair[0], marks))
    policies = [node for node, _ in nodes if isinstance(node.operation, SelectOrSkip)]
    for node, tasks in nodes:
        if node not in policies:
            yield _MAKERS[type(node.operation)](node, positions, tasks)
    if policies:
        yield _policies(policies, positions)


def _depth(node: Any, marks: set[int]) -> int:
    return sum(id(above) in marks for above in nodes_above([node.output_tensors[0]]))


def _table(node: Any, meaning: str, rows: Any, columns: Any, values: Any) -> RelationTable:
    kind = type(node.operation).__name__
    array: FloatArray = np.asarray(values, np.float64)
    return RelationTable(node.operation.name, kind, meaning, tuple(rows), tuple(columns), array)


def _relations(node: Any, positions: Positions, tasks: Sequence[str]) -> RelationTable:
    values = node.operation.relations
    names = positions.names(node, len(values))
    meaning = "what the row's task adds of the column's features, before the layer's strength"
    return _table(node, meaning, names, names, values)


def _stitch(node: Any, positions: Positions, tasks: Sequence[str]) -> RelationTable:
    layer = node.operation
    values = np.asarray(layer.alphas)
    names = positions.names(node, len(values) // layer.num_subspaces)
    if layer.num_subspaces > 1:
        names = tuple(f"{name}/{i}" for name in names for i in range(layer.num_subspaces))
    meaning = "the weight of the column's features in those of the row"
    if values.ndim == 3:  # one number per channel
        values, meaning = values.mean(axis=-1), f"{meaning}, mean over channels"
    return _table(node, meaning, names, names, values)


def _nddr(node: Any, positions: Positions, tasks: Sequence[str]) -> RelationTable:
    kernel = np.asarray(node.operation.kernel, np.float64)
    count = len(node.arguments.args[0])
    units = len(kernel) // count
    # Blocks of W: from the channels of column j to those of row i; the identity has size 1.
    blocks = kernel.reshape(count, units, count, units)
    values = np.sqrt((blocks**2).sum(axis=(1, 3)) / units).T
    names = positions.names(node, count)
    meaning = "the size of the projection from the column's channels to those of the row"
    return _table(node, meaning, names, names, values)


def _depths(node: Any, positions: Positions, tasks: Sequence[str]) -> RelationTable:
    columns = [str(node_of(tensor).operation.name) for tensor in node.arguments.args[0]]
    if len({*columns}) < len(columns):  # several outputs of one layer
        columns = [f"{name}:{i}" for i, name in enumerate(columns)]
    values = np.asarray(node.operation.betas)[None]
    return _table(node, "the weight of each depth", ["+".join(tasks)], columns, values)


def _branches(node: Any, positions: Positions, tasks: Sequence[str]) -> RelationTable:
    theta = np.asarray(node.operation.theta)
    children, parents = theta.shape
    values = np.eye(parents)[node.operation.choices]
    names = positions.names(node, children)
    columns = [f"node {i}" for i in range(parents)]
    return _table(node, "1 for the node that the row reads", names, columns, values)


def _routes(node: Any, positions: Positions, tasks: Sequence[str]) -> RelationTable:
    values = np.asarray(node.operation.codings)
    columns = name_experts(node.arguments.args[0])
    meaning = "how far the connection is open, 0 to 1"
    return _table(node, meaning, positions.names(node, len(values)), columns, values)


def _policies(nodes: Sequence[Any], positions: Positions) -> RelationTable:
    """Returns the decisions of all blocks that a task runs or skips, in one table."""
    chosen = [np.asarray(node.operation.selected, np.float64) for node in nodes]
    names = positions.names(nodes[-1], len(chosen[-1]))
    columns = tuple(str(node.operation.name) for node in nodes)
    meaning = "1 for a block that the row's task runs, 0 for one that it skips"
    return RelationTable(
        "policies", "SelectOrSkip", meaning, names, columns, np.stack(chosen, axis=1)
    )


def _policy(node: Any, positions: Positions, tasks: Sequence[str]) -> RelationTable:
    return _policies([node], positions)


_MAKERS: Mapping[type, Callable[[Any, Positions, Sequence[str]], RelationTable]] = {
    TaskRelations: _relations,
    CrossStitch: _stitch,
    NDDR: _nddr,
    LayerStitch: _depths,
    Branching: _branches,
    SubNetworkRouting: _routes,
    SelectOrSkip: _policy,
}

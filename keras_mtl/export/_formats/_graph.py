"""Nodes of a frozen graph of TensorFlow."""

from collections.abc import Iterator, Mapping
from typing import Any


def nodes_by_name(graph: Any) -> dict[str, Any]:
    """Returns the nodes of a `GraphDef` by name."""
    return {node.name: node for node in graph.node}


def origin(nodes: Mapping[str, Any], start: str) -> Any:
    """Returns the node that makes a tensor, above all identities."""
    node = nodes[start.partition(":")[0]]
    while node.op == "Identity":
        node = nodes[node.input[0].partition(":")[0]]
    return node


def sources(nodes: Mapping[str, Any], start: str) -> Iterator[Any]:
    """Yields the node that makes a tensor, and all nodes above it.

    Args:
        nodes: The nodes of the graph, by name.
        start: The name of a tensor, as it stands among the inputs of a node.
    """
    waiting, seen = [start], set()
    while waiting:
        name = waiting.pop().removeprefix("^").partition(":")[0]
        if name not in seen and name in nodes:
            seen.add(name)
            yield nodes[name]
            waiting.extend(nodes[name].input)


def placeholders_above(nodes: Mapping[str, Any], start: str) -> list[str]:
    """Returns the names of the placeholders on which a tensor depends."""
    return [node.name for node in sources(nodes, start) if node.op == "Placeholder"]

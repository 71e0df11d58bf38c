"""What of an ONNX model no runtime knows."""

from collections.abc import Iterator
from typing import Any

from keras_mtl.export._formats._extras import import_extra


def unknown_operations(model: Any) -> dict[str, list[str]]:
    """Returns the operations of a model that are none of the ONNX standard.

    tf2onnx leaves what it cannot convert under the name that TensorFlow has for it.

    Returns:
        By operation, the outputs of the model that need it.
    """
    onnx = import_extra("onnx", "onnx")
    makers = {name: node for node in model.graph.node for name in node.output}
    unknown: dict[str, list[str]] = {}
    for output in model.graph.output:
        for node in _above(makers, output.name):
            for inner in _with_bodies(node):
                if not onnx.defs.has(inner.op_type, inner.domain):
                    names = unknown.setdefault(inner.op_type, [])
                    if output.name not in names:
                        names.append(output.name)
    return unknown


def _above(makers: dict[str, Any], start: str) -> Iterator[Any]:
    """Yields the nodes on which a tensor depends."""
    waiting, seen = [start], set()
    while waiting:
        name = waiting.pop()
        if name in makers and name not in seen:
            seen.add(name)
            node = makers[name]
            seen.update(node.output)
            yield node
            waiting.extend(name for inner in _with_bodies(node) for name in inner.input)


def _with_bodies(node: Any) -> Iterator[Any]:
    """Yields a node, and the nodes of the graphs that a loop or a condition runs."""
    yield node
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _with_bodies(inner)

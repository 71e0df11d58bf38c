"""ONNX models whose weights have 8 bits each."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_mtl.export._formats._extras import import_extra

_AXES = {"MatMul": -1, "Gemm": -1, "Conv": 0, "ConvTranspose": 1, "Gather": 0, "Einsum": -1}
"""The axis of the outputs, or of the rows of a table, by operation; -1 also for kernels that are
batched over experts or tasks."""
_SMALLEST = 256  # numbers; the scales of smaller arrays cost what 8 bits save


def quantize_weights(model: Any) -> Any:
    """Returns a model whose kernels and embeddings are stored as int8, with a scale per output.

    Weights are made float32 again while the model runs, and the rest is as ever. ONNX Runtime's
    own dynamic quantization rounds the features, too, with one scale for all rows of a request:
    there the answer to a row depends on the other rows, one infinite number spoils the answers of
    a whole batch (docs/keras_notes.md, pain 129), and predictions move several times as far.

    Args:
        model: A `ModelProto`, which stays as it is.
    """
    onnx = import_extra("onnx", "onnx")
    quantized = onnx.ModelProto()
    quantized.CopyFrom(model)
    graph = quantized.graph
    arrays = {array.name: array for array in graph.initializer}
    restored = []
    for name, axis in _kernels(graph, arrays):
        weights = onnx.numpy_helper.to_array(arrays[name])
        rounded, scale = _round(weights, axis)
        graph.initializer.remove(arrays[name])
        graph.initializer.append(onnx.numpy_helper.from_array(rounded, f"{name}_int8"))
        graph.initializer.append(onnx.numpy_helper.from_array(scale, f"{name}_scale"))
        restored.append(
            onnx.helper.make_node(
                "DequantizeLinear", [f"{name}_int8", f"{name}_scale"], [name], axis=axis
            )
        )
    nodes = [*restored, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return quantized


def _kernels(graph: Any, arrays: Any) -> Iterator[tuple[str, int]]:
    """Yields the names of kernels and embeddings, with the axis of their scales."""
    seen = set()
    for node in graph.node:
        for name in node.input if node.op_type in _AXES else ():
            if name in arrays and name not in seen:
                seen.add(name)
                dims = arrays[name].dims
                if arrays[name].data_type == 1 and len(dims) > 1 and np.prod(dims) >= _SMALLEST:
                    yield name, _AXES[node.op_type] % len(dims)


def _round(weights: Any, axis: int) -> tuple[Any, Any]:
    """Returns int8 numbers, and their float32 scale per entry of an axis."""
    rest = tuple(index for index in range(weights.ndim) if index != axis)
    scale = np.abs(weights).max(axis=rest, keepdims=True) / np.float32(127)
    scale = np.where(scale > 0, scale, np.float32(1)).astype("float32")
    rounded = np.clip(np.round(weights / scale), -127, 127).astype("int8")
    return rounded, scale.reshape(-1)

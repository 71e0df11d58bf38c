"""Operations and times of TensorFlow functions."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf


def float_operations(graph: Any) -> int | None:
    """Counts the floating-point operations that the outputs of a function's graph need.

    TensorFlow's profiler counts what stands in a graph, also what no output needs, which the
    runtime never computes (docs/keras_notes.md, pain 135).

    Args:
        graph: The graph of a concrete function, whose shapes are known.

    Returns:
        The number, or `None` if there is a loop or a call of another function among them.
    """
    pending, needed = [output.op for output in graph.outputs], {}
    while pending:
        operation = pending.pop()
        if operation.name not in needed:
            needed[operation.name] = operation
            pending += [tensor.op for tensor in operation.inputs] + operation.control_inputs
    if any(operation.type in _CALLS for operation in needed.values()):
        return None
    options = tf.compat.v1.profiler.ProfileOptionBuilder(
        tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    )
    tree = tf.compat.v1.profiler.profile(
        graph, options=options.with_empty_output().build(), cmd="scope"
    )
    return sum(int(node.float_ops) for node in _nodes(tree) if node.name in needed)


_CALLS = {
    *("While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase"),
    *("PartitionedCall", "StatefulPartitionedCall", "XlaLaunch"),
}


def _nodes(tree: Any) -> Iterator[Any]:
    pending = [tree]
    while pending:
        node = pending.pop()
        yield node
        pending += node.children


def time_in_turns(runs: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Returns the seconds of several functions, by label, which are called one after the other.

    Args:
        runs: The functions; each is called twice before, to be traced and warm.
        repeats: How many turns are timed.
    """
    seconds: dict[str, list[float]] = {label: [] for label in runs}
    for turn in range(repeats + 2):
        for label, run in runs.items():
            start = time.perf_counter()
            for output in tf.nest.flatten(run()):
                output.numpy()  # waits for the result
            if turn >= 2:
                seconds[label].append(time.perf_counter() - start)
    return seconds

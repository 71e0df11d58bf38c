"""Functions as graphs."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_mtl.training._quiet_tracing import quiet_tracing


def in_graph(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that runs as a graph, which is made anew for a smaller last batch."""
    graph = tf.function(function, autograph=False, reduce_retracing=True)

    @functools.wraps(function)
    def run(*arguments: Any) -> Any:
        with quiet_tracing():
            return graph(*arguments)

    return run

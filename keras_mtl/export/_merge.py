"""Conversion of a network with low-rank updates to a plain network.

Keras merges the updates of its own `enable_lora` when it saves a layer, but has no updates per task
(docs/keras_notes.md, pain 62; keras#23244).
"""

from typing import Any

import keras

from keras_mtl._keras_internals import operation_of
from keras_mtl.architectures._building import call_copy
from keras_mtl.export._cutting import WHOLE, Cut, Step, remake_model
from keras_mtl.layers import LowRankBody


def merge(network: keras.Model) -> keras.Model:
    """Merges the low-rank updates of a `lora` or `low_rank` network into plain layers.

    Each task gets a copy of the body, in which its updates are added to the kernels. A network of
    one task, `export.single_task(network, "task")`, thus becomes as
    small and as fast as the body alone: choose it to serve one task. With several tasks the
    result holds several copies of the body: keep the network as it is if memory is short.

    Args:
        network: A functional network with `keras_mtl.layers.LowRankBody`.

    Returns:
        A functional `keras.Model` with the same inputs, outputs and predictions. It has layers of
        this package only if the rest of `network` has some. Its variables are copies.

    Raises:
        ValueError: If the network has no such layer.

    Example:
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("income"), mtl.Task.binary("married")]
        >>> network = mtl.architectures.lora(keras.Input((8,)), tasks, body=(16,), rank=2)
        >>> income = mtl.export.single_task(network, "income")
        >>> plain = merge(income)
        >>> income.count_params(), plain.count_params()
        (209, 161)
    """
    if not any(isinstance(layer, LowRankBody) for layer in network.layers):
        raise ValueError(
            f"the network {network.name!r} has no low-rank updates (layers LowRankBody): there "
            "is nothing to merge."
        )

    return remake_model(network, _Merged)


class _Merged(Cut):
    """Makes a copy of the body for each call, with the updates of the call in its kernels."""

    def step_of(self, node: Any) -> Step:
        """Returns how a call is made; the factors of a body are merged, and not needed."""
        body = node.operation
        if not isinstance(body, LowRankBody):
            return super().step_of(node)
        inputs, *rest = node.arguments.args
        factors = rest[0] if rest else node.arguments.kwargs["factors"]
        reads = [(tensor, WHOLE) for tensor in keras.tree.flatten(inputs)]
        return Step(
            reads,
            lambda: self.enter(
                node.output_tensors, _call_merged(body, self.renew(inputs), factors)
            ),
        )


def _call_merged(shared: LowRankBody, inputs: Any, factors: Any) -> Any:
    """Calls a copy of the body with one task's updates in its kernels."""
    task_factors = operation_of(factors[0])
    output = call_copy(shared.layer, inputs, task_factors.name)
    updated = shared.updated(task_factors.call(None))
    copy = operation_of(output)
    copy.set_weights([updated.get(id(variable), variable) for variable in shared.layer.weights])
    return output

"""Conversion of a network with low-rank updates to a plain network.

Keras merges the updates of its own `enable_lora` when it saves a layer, but has no updates per task
(docs/keras_notes.md, pain 62; keras#23244).
"""

from typing import Any

import keras

from keras_mtl._keras_internals import copy_inputs, operation_of
from keras_mtl.architectures._building import call_copy
from keras_mtl.layers import LowRankBody, LowRankFactors


def merge(network: keras.Model) -> keras.Model:
    """Merges the low-rank updates of a `lora` or `low_rank` network into plain layers.

    Each task gets a copy of the body, in which its updates are added to the kernels. A network of
    one task, `keras.Model(network.input, {"task": network.output["task"]})`, thus becomes as
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
        >>> income = keras.Model(network.input, {"income": network.output["income"]})
        >>> plain = merge(income)
        >>> income.count_params(), plain.count_params()
        (209, 161)
    """
    if not any(isinstance(layer, LowRankBody) for layer in network.layers):
        raise ValueError(
            f"the network {network.name!r} has no low-rank updates (layers LowRankBody): there "
            "is nothing to merge."
        )

    def copy(operation: Any) -> Any:
        # `call` copies the body once per task: here one copy would serve all of them.
        if isinstance(operation, keras.layers.Layer) and not isinstance(operation, LowRankBody):
            return type(operation).from_config(operation.get_config())
        return operation

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(operation, LowRankBody):
            return _call_merged(network, operation, *args, **kwargs)
        return operation(*args, **kwargs)

    plain = keras.models.clone_model(network, copy_inputs(network), copy, call)
    # Factors are merged into kernels, and the copies of the body have their values already.
    merged = {layer.name for layer in network.layers if isinstance(layer, LowRankFactors)}
    for layer in plain.layers:
        if layer.weights and layer.name not in merged:
            layer.set_weights(network.get_layer(layer.name).get_weights())
    return plain


def _call_merged(network: keras.Model, shared: LowRankBody, inputs: Any, factors: Any) -> Any:
    """Calls a copy of the body with one task's updates in its kernels."""
    # In the clone, the tensors of factors come from a copy of the layer of the same name.
    task_factors = network.get_layer(operation_of(factors[0]).name)
    output = call_copy(shared.layer, inputs, task_factors.name)
    updated = shared.updated(task_factors.call(None))
    copy = operation_of(output)
    copy.set_weights([updated.get(id(variable), variable) for variable in shared.layer.weights])
    return output

"""Forward passes beside the one of the step: they leave no trace in any variable."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from keras_mtl._types import Tensor

State: TypeAlias = Sequence[tuple[Any, Tensor]]
"""Variables, each with the value that a forward pass is to see in its place."""


def state_before(model: keras.Model) -> State:
    """Returns what a forward pass changes: seeds, moving averages. Take it before the pass."""
    return [(v, tf.identity(v.value)) for v in model.non_trainable_variables]


def forward_with(model: keras.Model, x: Any, state: State) -> Any:
    """Returns the predictions in training mode, with other values for some variables.

    With the state before the step's own pass, dropout draws the same masks again. Assignments of
    this pass are forgotten.
    """
    with keras.StatelessScope(state_mapping=list(state)):
        return model(x, training=True)


def with_preference(model: keras.Model, x: Any, preference: Tensor) -> Any:
    """Returns the inputs with a preference `[K]`, the same for all examples, as "preference".

    Args:
        model: A functional network that has an input of that name.
        x: The other inputs; left as it is where it holds a preference already.
        preference: The preference `[K]`.
    """
    names = [tensor.name for tensor in model.inputs]
    if not isinstance(x, dict):
        flat = keras.tree.flatten(x)
        if len(flat) == len(names):
            return x
        x = dict(zip([name for name in names if name != "preference"], flat, strict=True))
    if "preference" in x:
        return x
    batch_size = tf.shape(keras.tree.flatten(x)[0])[0]
    rows = tf.ones((batch_size, 1)) * tf.cast(preference, tf.float32)[None, :]  # [batch, K]
    return {**x, "preference": rows}

"""Forward passes beside the one of the step, which change no variable."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from keras_mtl._types import Tensor

State: TypeAlias = Sequence[tuple[Any, Tensor]]
"""Variables, each with the value that a forward pass uses instead of the current one."""


def state_before(model: keras.Model) -> State:
    """Returns the variables that a forward pass changes (seeds, moving averages) as they are now.

    Call it before the pass. `tf.identity` keeps the value when the variable is assigned.
    """
    return [(v, tf.identity(v.value)) for v in model.non_trainable_variables]


def forward_with(model: keras.Model, x: Any, state: State) -> Any:
    """Returns the predictions in training mode, with other values for some variables.

    With the result of `state_before`, dropout draws the masks of the step's own pass again. The
    scope drops what this pass assigns, such as moving averages.
    """
    with keras.StatelessScope(state_mapping=list(state)):
        return model(x, training=True)


def with_preference(model: keras.Model, x: Any, preference: Tensor) -> Any:
    """Returns the inputs with a preference `[K]`, the same for all examples, as "preference".

    Args:
        model: A functional network that has an input of that name.
        x: The other inputs; returned as they are if they hold a preference already.
        preference: The preference `[K]`.
    """
    names = [tensor.name for tensor in model.inputs]
    if not isinstance(x, dict):
        # One tensor, or a list in the order of the network's inputs: given names here.
        flat = keras.tree.flatten(x)
        if len(flat) == len(names):
            return x
        x = dict(zip([name for name in names if name != "preference"], flat, strict=True))
    if "preference" in x:
        return x
    batch_size = tf.shape(keras.tree.flatten(x)[0])[0]
    rows = tf.ones((batch_size, 1)) * tf.cast(preference, tf.float32)[None, :]  # [batch, K]
    return {**x, "preference": rows}

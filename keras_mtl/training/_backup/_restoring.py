"""Values of variables, read from a model and given back to it, on any number of replicas."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.training._backup._state_file import variables_of


def values_of(model: keras.Model) -> list[np.ndarray]:
    """Returns the values of all variables of a model, its optimizer and its metrics.

    Each replica counts metrics for itself; here they are added up, so that all workers have to
    call this.
    """
    return [np.asarray(variable) for variables in variables_of(model) for variable in variables]


def restore(model: keras.Model, arrays: Sequence[np.ndarray]) -> None:
    """Assigns the values of `values_of` to the variables of a model."""
    kept, metrics = variables_of(model)
    strategy = model.distribute_strategy
    with strategy.scope():
        for variable, array in zip(kept, arrays[: len(kept)], strict=True):
            variable.assign(array)
        pairs = list(zip(metrics, arrays[len(kept) :], strict=True))
        if strategy.num_replicas_in_sync == 1:
            _assign(pairs, True)
        else:
            strategy.run(lambda: _assign(pairs, _is_first_replica()))


def _assign(pairs: Sequence[tuple[keras.Variable, np.ndarray]], first: Any) -> None:
    """Assigns sums over replicas to the first one, and zeros to all others."""
    for variable, array in pairs:
        value = tf.constant(array)
        variable.assign(value if first is True else tf.where(first, value, tf.zeros_like(value)))


def _is_first_replica() -> Any:
    return tf.equal(tf.distribute.get_replica_context().replica_id_in_sync_group, 0)

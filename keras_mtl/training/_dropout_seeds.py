"""Dropout masks that differ between replicas."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from keras_mtl._keras_internals import nested_layers
from keras_mtl._replicas import current_replicas

# Layers that draw numbers for each example. Numbers that are drawn once per batch must be equal on
# all replicas, so other layers are left as Keras has them.
_DRAWN_BY_EXAMPLE = (
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
)
_STRIDE = 2**32  # beyond the seeds that a user gives


@contextlib.contextmanager
def seeds_by_replica(model: keras.Model) -> Iterator[None]:
    """Lets dropout draw different numbers on each replica inside of the context.

    Keras keeps equal seeds on all replicas, so that examples at the same position of each
    replica's batch would lose the same units (docs/keras_notes.md, F8 and pain 42).
    After the context the seeds are equal again, since they are saved. Recurrent layers, and those
    of users, are left as Keras has them.

    Args:
        model: The model whose layers draw.
    """
    replicas = current_replicas()
    layers = nested_layers(model) if replicas.count > 1 else []
    states = [
        layer.seed_generator.state
        for layer in layers
        if isinstance(layer, _DRAWN_BY_EXAMPLE) and hasattr(layer, "seed_generator")
    ]
    if not states:
        yield
        return
    # A state is [seed, number of draws]: only the seed differs between replicas.
    offset = tf.cast(replicas.index, tf.int64) * tf.constant([_STRIDE, 0], tf.int64)
    for state in states:
        state.assign(state.value + offset)
    yield
    for state in states:
        state.assign(state.value - offset)

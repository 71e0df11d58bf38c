"""Dropout masks that differ between replicas."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._keras_internals import nested_layers
from keras_mtl._replicas import current_replicas
from keras_mtl.layers import ModalityDropout

# Layers that draw numbers for each example. Numbers that are drawn once per batch must be equal on
# all replicas, so other layers are left as Keras has them.
_DRAWN_BY_EXAMPLE = (
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    ModalityDropout,
)
_STRIDE = 2**32  # beyond the seeds that a user gives


@contextlib.contextmanager
def seeds_by_replica(model: keras.layers.Layer, every_layer: bool = False) -> Iterator[None]:
    """Lets dropout draw different numbers on each replica inside of the context.

    Keras keeps equal seeds on all replicas, so that examples at the same position of each
    replica's batch would lose the same units (docs/keras_notes.md, F8 and pain 42).
    After the context the seeds are equal again, since they are saved. Recurrent layers, and those
    of users, are left as Keras has them.

    Args:
        model: The model, or layer, whose layers draw.
        every_layer: Whether all layers draw for each example, those of users too.
    """
    replicas = current_replicas()
    states = _states(model, every_layer) if replicas.count > 1 else []
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


def check_seeds(layer: keras.layers.Layer, name: str) -> None:
    """Checks that a layer that draws keeps a seed on each replica.

    Args:
        layer: The layer.
        name: By which an error names it.

    Raises:
        ValueError: If there are several replicas, and it was made outside of their scope.
    """
    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync == 1:
        return
    for state in _states(layer, every_layer=True):
        if not strategy.extended.variable_created_in_scope(state.value):
            raise ValueError(
                f"{name}: the layer {layer.name!r} draws, and was made outside of the scope of the "
                f"{strategy.num_replicas_in_sync} replicas, which would share its seed. Make it "
                "inside of `with strategy.scope():`."
            )


def _states(model: keras.layers.Layer, every_layer: bool) -> list[Any]:
    """Returns the states of the seeds of layers inside a layer, itself among them."""
    return [
        layer.seed_generator.state
        for layer in nested_layers(model)
        if (every_layer or isinstance(layer, _DRAWN_BY_EXAMPLE))
        and isinstance(getattr(layer, "seed_generator", None), keras.random.SeedGenerator)
    ]

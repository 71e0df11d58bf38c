"""The optimizer's gradients, such that it does the same on any number of replicas as on one."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._keras_internals import is_decayed, nested_layers
from keras_mtl._replicas import num_replicas
from keras_mtl._types import Tensor
from keras_mtl.training._gradients import Gradient, LossScale

CLIPPING = ("clipnorm", "global_clipnorm", "clipvalue")


def inner_optimizers(optimizer: Any) -> list[Any]:
    """Returns the optimizers that take the steps: those inside of others, or the optimizer itself.

    `LossScaleOptimizer` holds one, and `MultiOptimizer` several, which it may know only after
    `build` (docs/keras_notes.md, pain 81).
    """
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        return inner_optimizers(inner)
    return list(optimizer.optimizers if hasattr(optimizer, "optimizers") else [optimizer])


def as_on_one_device(
    optimizer: Any, gradients: Sequence[Tensor], loss_scale: LossScale
) -> Sequence[Tensor]:
    """Returns this replica's gradients, changed so that the update is that of the global batch.

    Keras clips the gradients of each replica before it adds them up (docs/keras_notes.md, F8 and
    pain 43), and looks for an overflow on the first replica only (docs/keras_notes.md, pain 69).
    Here the sum over replicas is clipped, and each replica gets its share of the clipped sum,
    which is short enough for the optimizer's own clipping to leave it as it is. An overflow on any
    replica is made visible on all.

    Args:
        optimizer: Any Keras optimizer that `check_distribution` accepts.
        gradients: This replica's gradients; those of all replicas add up to the gradient.
        loss_scale: The loss scale of the optimizer.
    """
    replicas = loss_scale.replicas
    gradients = loss_scale.spread_overflow(gradients)
    clipping = [inner for inner in inner_optimizers(optimizer) if any(_limits(inner))]
    if not clipping:
        return gradients
    # Keras takes the length of a sparse gradient without adding up the entries of the same row
    # (docs/keras_notes.md, pain 68).
    gradients = [Gradient(gradient).dense() for gradient in gradients]
    if replicas.count == 1:
        return gradients
    # Limits are those of the unscaled gradient, and of all replicas together.
    total = replicas.sum([loss_scale.unscaled(gradient) for gradient in gradients])
    return [loss_scale.share * gradient for gradient in _clipped(total, *_limits(clipping[0]))]


def clips(optimizer: Any) -> bool:
    """Returns whether an optimizer, or one inside of it, clips gradients."""
    return any(any(_limits(inner)) for inner in inner_optimizers(optimizer))


def _limits(optimizer: Any) -> list[Any]:
    return [getattr(optimizer, name, None) for name in CLIPPING]


def _clipped(
    gradients: list[Tensor],
    clipnorm: float | None,
    global_clipnorm: float | None,
    clipvalue: float,
) -> list[Tensor]:
    """Clips as Keras does, which accepts only one of the three limits."""
    if clipnorm:
        return [tf.clip_by_norm(gradient, clipnorm) for gradient in gradients]
    if global_clipnorm:
        clipped: list[Tensor] = tf.clip_by_global_norm(gradients, global_clipnorm)[0]
        return clipped
    return [tf.clip_by_value(gradient, -clipvalue, clipvalue) for gradient in gradients]


def spare_from_decay(optimizer: Any, variables: Sequence[Any], learned: Sequence[Any]) -> None:
    """Excludes what a balancer learns from weight decay, beside what the user has excluded.

    A second exclusion replaces the first one in Keras (docs/keras_notes.md, pain 67).
    """
    for inner in inner_optimizers(optimizer):
        if learned and inner.weight_decay:
            # Variables of the user's exclusion, by whatever name or pattern they were excluded.
            spared = [v for v in variables if not is_decayed(inner, v.value)]
            inner.exclude_from_weight_decay(var_list=[*spared, *learned])


def synchronize_statistics(network: keras.Model) -> None:
    """Makes batch normalization take the statistics of the global batch, on several replicas.

    Without it each replica normalizes by its own (docs/keras_notes.md, pain 43).
    """
    if num_replicas() > 1:
        for layer in normalizations(network):
            layer.synchronized = True


def normalizations(layer: keras.layers.Layer) -> list[Any]:
    """Returns the layers of batch normalization inside a layer that use a batch's statistics.

    A frozen one uses its moving averages, in training too.
    """
    kind = keras.layers.BatchNormalization
    return [inner for inner in nested_layers(layer) if isinstance(inner, kind) and inner.trainable]

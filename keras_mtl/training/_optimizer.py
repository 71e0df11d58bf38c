"""What the optimizer is given, so that it does on any number of replicas what it does on one."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl._keras_internals import is_decayed, nested_layers
from keras_mtl._replicas import num_replicas, sum_over_replicas
from keras_mtl._types import Tensor
from keras_mtl.training._gradients._gramian import dense, times, values

CLIPPING = ("clipnorm", "global_clipnorm", "clipvalue")


def inner_optimizers(optimizer: Any) -> list[Any]:
    """The optimizers that take the steps: those inside of others, or the optimizer itself."""
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        return inner_optimizers(inner)
    several = optimizer.optimizers if hasattr(optimizer, "optimizers") else [optimizer]
    return list(several)


def as_on_one_device(optimizer: Any, gradients: Sequence[Tensor], scale: Tensor | None) -> Any:
    """This replica's gradients, changed so that the update is that of the global batch.

    Keras clips on each replica apart, before it adds up the gradients, and looks for an overflow
    on the first replica alone. Here the sum is clipped, and each replica gets its share of that,
    which the optimizer then finds short enough; an overflow anywhere is seen everywhere.

    Args:
        optimizer: Any Keras optimizer; `check_distribution` has let it pass.
        gradients: This replica's; those of all replicas add up to the gradient.
        scale: The factor of the optimizer's loss scaling; `None` without it.
    """
    if num_replicas() > 1 and scale is not None:
        gradients = _overflow_everywhere(gradients)
    clipping = [each for each in inner_optimizers(optimizer) if any(_limits(each))]
    if not clipping:
        return gradients
    # Keras takes the length of a sparse gradient without adding up entries of the same row.
    gradients = [dense(gradient) for gradient in gradients]
    if num_replicas() == 1:
        return gradients
    factor = tf.ones(()) if scale is None else scale
    total = sum_over_replicas([gradient / factor for gradient in gradients])
    share = factor / num_replicas()
    return [share * gradient for gradient in _clipped(total, *_limits(clipping[0]))]


def _limits(optimizer: Any) -> list[Any]:
    return [getattr(optimizer, name, None) for name in CLIPPING]


def _clipped(
    gradients: list[Tensor],
    clipnorm: float | None,
    global_clipnorm: float | None,
    clipvalue: float,
) -> list[Tensor]:
    """As Keras clips; it takes one of the three."""
    if clipnorm:
        return [tf.clip_by_norm(gradient, clipnorm) for gradient in gradients]
    if global_clipnorm:
        clipped: list[Tensor] = tf.clip_by_global_norm(gradients, global_clipnorm)[0]
        return clipped
    return [tf.clip_by_value(gradient, -clipvalue, clipvalue) for gradient in gradients]


def _overflow_everywhere(gradients: Sequence[Tensor]) -> list[Tensor]:
    """The gradients; not finite on any replica if they are not on one."""
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(values(g))) for g in gradients])
    overflows = sum_over_replicas(tf.cast(~finite, tf.float32))
    poison = tf.where(overflows > 0.0, float("nan"), 1.0)
    return [times(poison, gradient) for gradient in gradients]


def spare_from_decay(optimizer: Any, variables: Sequence[Any], learned: Sequence[Any]) -> None:
    """Excludes what a balancer learns from weight decay, beside what the user has excluded."""
    for each in inner_optimizers(optimizer):
        if learned and each.weight_decay:
            spared = [v for v in variables if not is_decayed(each, v.value)]
            each.exclude_from_weight_decay(var_list=[*spared, *learned])


def synchronize_statistics(network: keras.Model) -> None:
    """Makes batch normalization take the statistics of the global batch, on several replicas."""
    if num_replicas() > 1:
        for layer in normalizations(network):
            layer.synchronized = True


def normalizations(layer: keras.layers.Layer) -> list[Any]:
    """The layers of batch normalization inside a layer that use the statistics of a batch."""
    inside = nested_layers(layer)
    kind = keras.layers.BatchNormalization
    return [each for each in inside if isinstance(each, kind) and each.trainable]

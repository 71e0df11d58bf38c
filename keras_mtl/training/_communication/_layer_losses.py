"""What replicas send for the losses that layers add."""

import math

import keras
import tensorflow as tf

from keras_mtl._replicas import losses_counted_by_step, sums_of_loss


def sizes_of_layer_losses(network: keras.Model) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns the all-reduces for the losses of layers, as numbers of floats in their order.

    A forward pass of training is traced for it, and not run.

    Args:
        network: The network.

    Returns:
        Those before the losses of tasks: 1 for the number of rows, the sums of each layer that
        needs some of the global batch, and 1 for the value of all; nothing where no layer adds a
        loss. And those after them: the gradients of such sums, which every replica adds to.

    Example:
        >>> inputs = keras.Input((4,))
        >>> layer = keras.layers.Dense(3, activity_regularizer="l2")
        >>> sizes_of_layer_losses(keras.Model(inputs, layer(inputs)))
        ((1, 1), ())
    """
    sizes: list[tuple[int, ...]] = [(), ()]

    def forward(inputs: object) -> None:
        with losses_counted_by_step():
            network(inputs, training=True)
        regularized = [v for v in network.trainable_weights if v.regularizer is not None]
        added = network.losses[: len(network.losses) - len(regularized)]  # regularizers are last
        if added:
            of_sums = [sums[1] for sums in map(sums_of_loss, added) if sums is not None]
            counts = [sum(math.prod(array.shape) for array in sums) for sums in of_sums]
            sizes[:] = (1, *counts, 1), (*reversed(counts),)

    def specification(tensor: keras.KerasTensor) -> tf.TensorSpec:
        return tf.TensorSpec(tensor.shape, tensor.dtype)

    inputs = keras.tree.map_structure(specification, network.input)
    tf.function(forward).get_concrete_function(inputs)
    return sizes[0], sizes[1]

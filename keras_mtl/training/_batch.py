"""One batch, as Keras hands it to a step."""

from typing import Any

import keras
import tensorflow as tf

from keras_mtl._types import Tensor


class Batch:
    """Holds the inputs, the labels and the sample weights of one batch.

    Args:
        data: `x`, `(x, y)` or `(x, y, weights)`.
    """

    def __init__(self, data: Any) -> None:
        self.x, self.y, self.sample_weight = keras.utils.unpack_x_y_sample_weight(data)

    @property
    def size(self) -> Tensor:
        """The number of examples on this replica."""
        return tf.shape(keras.tree.flatten(self.x)[0])[0]

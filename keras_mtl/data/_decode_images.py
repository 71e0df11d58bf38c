"""A layer from the bytes of image files to pixels."""

from typing import Any

import keras
import tensorflow as tf

from keras_mtl.data._elements._numbers import read_whole


@keras.saving.register_keras_serializable(package="keras_mtl")
class DecodeImages(keras.layers.Layer):
    """Turns the bytes of image files into pixels of one size.

    Args:
        height: Height of the resized images, in pixels.
        width: Width of the resized images, in pixels.
        channels: 1 for gray, 3 for red, green and blue. Defaults to `3`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Strings `(batch,)`: JPEG, PNG, GIF or BMP files.

    Returns:
        float32 `(batch, height, width, channels)`, 0 to 255, resized bilinearly.

    Example:
        >>> png = tf.io.encode_png(tf.fill((2, 2, 1), tf.constant(7, tf.uint8)))
        >>> DecodeImages(1, 1, channels=1)(tf.stack([png])).numpy().tolist()
        [[[[7.0]]]]
    """

    def __init__(self, height: int, width: int, *, channels: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.height = read_whole(height, f"{self.name}: height is")
        self.width = read_whole(width, f"{self.name}: width is")
        self.channels = read_whole(channels, f"{self.name}: channels is")

    def call(self, inputs: Any) -> Any:
        """Decodes the images, one after the other."""

        def decode(contents: tf.Tensor) -> tf.Tensor:
            pixels = tf.io.decode_image(contents, self.channels, expand_animations=False)
            return tf.image.resize(pixels, (self.height, self.width))

        shape = (self.height, self.width, self.channels)
        return tf.map_fn(decode, inputs, fn_output_signature=tf.TensorSpec(shape, tf.float32))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape with one image for each string."""
        return (input_shape[0], self.height, self.width, self.channels)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        """Returns a float32 spec, whatever the dtype policy."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = {"height": self.height, "width": self.width, "channels": self.channels}
        return {**super().get_config(), **config}

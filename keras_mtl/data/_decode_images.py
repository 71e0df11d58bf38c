"""Images: bytes to pixels inside the served graph."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_mtl")
class DecodeImages(keras.layers.Layer):
    """Turns the bytes of image files into pixels of one size.

    Args:
        height: Of the images, in pixels.
        width: Of the images, in pixels.
        channels: 1 for gray, 3 for red, green and blue. Defaults to `3`.
        **kwargs: Of `keras.layers.Layer`.

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
        self.height, self.width, self.channels = height, width, channels

    def call(self, inputs: Any) -> Any:
        """Decodes one image after the other."""

        def decode(contents: tf.Tensor) -> tf.Tensor:
            pixels = tf.io.decode_image(contents, self.channels, expand_animations=False)
            return tf.image.resize(pixels, (self.height, self.width))

        shape = (self.height, self.width, self.channels)
        return tf.map_fn(decode, inputs, fn_output_signature=tf.TensorSpec(shape, tf.float32))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """One image for each string."""
        return (input_shape[0], self.height, self.width, self.channels)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        """Pixels are float32, whatever the strings."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        own = {"height": self.height, "width": self.width, "channels": self.channels}
        return {**super().get_config(), **own}


def image_decoder(height: int, width: int, *, channels: int = 3) -> keras.Model:
    """Makes a model from the bytes of image files to pixels, for serving.

    Train a network on pixels, and put `with_preprocessing(image_decoder(...), network)` into
    the SavedModel: it takes the files as they are.

    Args:
        height: Of the images that the network takes, in pixels.
        width: Of them, in pixels.
        channels: 1 for gray, 3 for red, green and blue. Defaults to `3`.

    Returns:
        A `keras.Model` from strings `(batch,)` to float32 `(batch, height, width, channels)`,
        0 to 255.

    Example:
        >>> image_decoder(32, 32).output.shape
        (None, 32, 32, 3)
    """
    files = keras.Input((), dtype="string", name="image_bytes")
    decoded = DecodeImages(height, width, channels=channels, name="decode")(files)
    return keras.Model(files, decoded, name="image_decoder")

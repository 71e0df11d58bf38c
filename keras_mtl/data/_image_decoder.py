"""A model from the bytes of image files to pixels, for the served graph."""

import keras

from keras_mtl.data._decode_images import DecodeImages


def image_decoder(height: int, width: int, *, channels: int = 3) -> keras.Model:
    """Builds a model from the bytes of image files to pixels, for serving.

    Train a network on pixels, and put `with_preprocessing(image_decoder(...), network)` into
    the SavedModel: it takes the files as they are.

    Args:
        height: Height of the images that the network takes, in pixels.
        width: Width of these images, in pixels.
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

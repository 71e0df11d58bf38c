"""Features from the columns that `tabular_encoder` encodes."""

import keras
from keras import ops

from keras_mtl._types import Tensor


def embed_columns(encoder: keras.Model, codes: Tensor | None = None, *, units: int = 8) -> Tensor:
    """Turns the output of a `tabular_encoder` into features: an embedding for each string.

    Args:
        encoder: The result of `tabular_encoder`.
        codes: Symbolic output of the encoder, `(batch, columns)`. Defaults to a new
            `keras.Input`, for a network that is trained on encoded columns; `encoder.output`
            makes the network one that takes raw columns.
        units: Size of an embedding. Defaults to `8`.

    Returns:
        Symbolic features `(batch, numbers + units * texts)`: the `inputs` of an architecture.

    Example:
        >>> import tensorflow as tf
        >>> from keras_mtl.data import tabular_encoder
        >>> columns = {"age": [20.0, 40.0], "city": ["Rome", "Oslo"]}
        >>> train = tf.data.Dataset.from_tensor_slices(columns).batch(2)
        >>> embed_columns(tabular_encoder(train), units=4).shape
        (None, 5)
    """
    if codes is None:
        codes = keras.Input(encoder.output.shape[1:], name="columns")
    lookups = [layer for layer in encoder.layers if isinstance(layer, keras.layers.StringLookup)]
    if not lookups:
        return codes
    numbers = codes.shape[-1] - len(lookups)  # the encoder puts numbers before strings
    size = sum(lookup.vocabulary_size() for lookup in lookups)
    embed = keras.layers.Embedding(size, units, name="shared_embedding")
    embedded = embed(ops.cast(codes[:, numbers:], "int32"))
    embedded = keras.layers.Flatten(name="shared_embeddings")(embedded)
    if not numbers:
        return embedded
    return keras.layers.Concatenate(name="shared_columns")([codes[:, :numbers], embedded])

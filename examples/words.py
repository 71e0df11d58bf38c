"""Words as numbers: by frequency, and by the letters at their ends, which new words have too."""

import keras
import tensorflow as tf

from keras_mtl import data

LETTERS = 4000  # numbers for the letters at one end
_ENDS = {"starts": r"^(.{1,3}).*$", "ends": r"^.*?(.{1,3})$"}


def word_encoder(texts, *, length, max_tokens):
    """A function from texts `(batch,)` to a dict of numbers `(batch, length)`; 0 is padding."""
    encoder = data.text_encoder(texts, length=length, max_tokens=max_tokens)

    def encode(text):
        letters = tf.strings.split(tf.strings.lower(text, encoding="utf-8"))
        numbers = {"words": encoder(text)}
        for name, pattern in _ENDS.items():
            ends = tf.strings.regex_replace(letters.flat_values, pattern, r"\1")
            hashed = letters.with_flat_values(tf.strings.to_hash_bucket_fast(ends, LETTERS - 1))
            numbers[name] = (hashed + 1).to_tensor(shape=(None, length))
        return numbers

    return encode


def trim(x, y, w):
    """Cuts a batch behind its longest sentence: most are far shorter than the longest of all."""
    longest = tf.reduce_max(tf.math.count_nonzero(x["words"], axis=1))
    return tf.nest.map_structure(
        lambda each: each[:, :longest] if each.shape.rank > 1 else each, (x, y, w)
    )


def word_features(*, max_tokens, units=100, letters=30, dropout=0.3):
    """Embeddings of such numbers, side by side: the features that a network begins with."""
    parts = []
    for name, size in {"words": max_tokens, "starts": LETTERS, "ends": LETTERS}.items():
        numbers = keras.Input((None,), dtype="int64", name=name)
        width = units if name == "words" else letters
        embed = keras.layers.Embedding(size, width, mask_zero=True, name=f"shared_{name}")
        # Whole words are left out, so that the network learns to do without them.
        drop = keras.layers.Dropout(dropout, noise_shape=(None, None, 1), name=f"shared_no_{name}")
        parts.append(drop(embed(numbers)))
    return keras.layers.Concatenate(name="shared_features")(parts)


def bidirectional(units, *, dropout=0.3):
    """A part of a network that reads sentences both ways."""

    def part(features):
        lstm = keras.layers.LSTM(units, return_sequences=True)
        return keras.layers.Dropout(dropout)(keras.layers.Bidirectional(lstm)(features))

    return part

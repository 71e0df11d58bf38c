"""Words as numbers: by frequency, and by the letters at their ends, which new words have too."""

import keras
import tensorflow as tf

from keras_mtl import data

LETTERS = 4000  # numbers for the letters at one end
_LENGTHS = [6, 7, 8, 9, 10, 11, 12, 14, 17]  # words, between which sentences are put together
_ENDS = {"starts": r"^(.{1,3}).*$", "ends": r"^.*?(.{1,3})$"}


def word_encoder(texts, *, length, max_tokens, letters=0):
    """Returns a function from texts `(batch,)` to a dict of `(batch, length)`; 0 is padding.

    With `letters`, the numbers of that many letters of each word are in it as well.
    """
    encoder = data.text_encoder(texts, length=length, max_tokens=max_tokens)

    def encode(text):
        split = tf.strings.split(tf.strings.lower(text, encoding="utf-8"))
        numbers = {"words": encoder(text)}
        for name, pattern in _ENDS.items():
            ends = tf.strings.regex_replace(split.flat_values, pattern, r"\1")
            hashed = split.with_flat_values(tf.strings.to_hash_bucket_fast(ends, LETTERS - 1))
            numbers[name] = (hashed + 1).to_tensor(shape=(None, length))
        if letters:
            codes = tf.strings.unicode_decode("<" + split.flat_values + ">", "UTF-8")
            spelled = split.with_flat_values(codes % 255 + 1)
            numbers["letters"] = spelled.to_tensor(shape=(None, length, letters))
        return numbers

    return encode


def trim(x, y, w):
    """Cuts a batch after its longest sentence: most are far shorter than the longest of all."""
    longest = tf.reduce_max(tf.math.count_nonzero(x["words"], axis=1))
    return tf.nest.map_structure(
        lambda values: values[:, :longest] if values.shape.rank > 1 else values, (x, y, w)
    )


def similar_lengths(batches, batch_size):
    """Returns training data in memory, in a new order each epoch, batched by similar lengths."""

    def count(x, *_):
        return tf.math.count_nonzero(x["words"], dtype=tf.int32)

    rows = batches.unbatch().cache().shuffle(100_000)
    sizes = [batch_size] * (len(_LENGTHS) + 1)
    rows = rows.bucket_by_sequence_length(count, _LENGTHS, sizes)
    return data.known_cardinality(rows.map(trim)).prefetch(4)


def word_features(*, max_tokens, units=100, letters=30, dropout=0.3, spelling=0):
    """Concatenates embeddings of such numbers: the features with which a network begins.

    With `spelling`, the number of letters, a convolution reads the letters of each word as well.
    """
    parts = []
    for name, size in {"words": max_tokens, "starts": LETTERS, "ends": LETTERS}.items():
        numbers = keras.Input((None,), dtype="int64", name=name)
        width = units if name == "words" else letters
        embed = keras.layers.Embedding(size, width, mask_zero=True, name=f"shared_{name}")
        # Whole words are left out, so that the network learns to do without them.
        drop = keras.layers.Dropout(dropout, noise_shape=(None, None, 1), name=f"shared_no_{name}")
        parts.append(drop(embed(numbers)))
    features = keras.layers.Concatenate(name="shared_features")(parts)
    if not spelling:
        return features
    numbers = keras.Input((None, spelling), dtype="int32", name="letters")
    spelled = keras.layers.Embedding(256, 32, name="shared_letters")(numbers)
    read = keras.layers.Conv2D(64, (1, 3), padding="same", activation="relu", name="shared_read")
    strongest = keras.ops.max(read(spelled), axis=2)  # of the places in a word
    spelled = keras.layers.Dense(features.shape[-1], name="shared_spelled")(strongest)
    return AddToWords(name="shared_both")([features, spelled])


def bidirectional(units, *, dropout=0.3):
    """Returns a part of a network that reads sentences in both directions."""

    def part(features):
        lstm = keras.layers.LSTM(units, return_sequences=True)
        return keras.layers.Dropout(dropout)(keras.layers.Bidirectional(lstm)(features))

    return part


@keras.saving.register_keras_serializable(package="examples")
class WordConv(keras.layers.Conv1D):
    """Convolves words; padding counts as zeros, and the mask is passed on."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is not None:
            inputs *= keras.ops.cast(mask[..., None], inputs.dtype)
        return super().call(inputs)


@keras.saving.register_keras_serializable(package="examples")
class AddToWords(keras.layers.Add):
    """Adds features without a mask to features of words, whose mask is kept."""

    def compute_mask(self, inputs, mask=None):
        return None if mask is None else mask[0]


def gated_convolution(units, *, dropout=0.3):
    """Returns a part of a network that reads each word beside its neighbors."""

    def part(features):
        normed = keras.layers.LayerNormalization()(features)
        values = WordConv(units, 3, padding="same")(normed)
        gates = WordConv(units, 3, padding="same", activation="sigmoid")(normed)
        gated = keras.layers.Multiply()([values, gates])
        return keras.layers.Add()([features, keras.layers.Dropout(dropout)(gated)])

    return part

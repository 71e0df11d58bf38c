"""A model from texts to numbers of words, for the pipeline and the served graph."""

import keras
import tensorflow as tf

from keras_mtl.data._elements._numbers import read_whole


def text_encoder(
    dataset: tf.data.Dataset,
    *,
    length: int,
    max_tokens: int = 20_000,
    standardize: str | None = "lower",
    key: str | None = None,
) -> keras.Model:
    """Builds a model that turns texts into numbers of words, from the words of training data.

    A word is the text between white space; 0 is padding, 1 a word that the training data lack,
    and the others follow by frequency. The model learns nothing in training and holds its
    vocabulary itself, in a `.keras` file as in a SavedModel. String lookups cost more than a step
    of a small network, so encode in the pipeline, and put encoder and network together for
    serving:

        encoder = data.text_encoder(train, length=128)
        encoded = train.map(lambda text, labels: (encoder(text), labels)).cache()
        words = keras.Input((128,), dtype="int64")
        network = architectures.hard_sharing(keras.layers.Embedding(20_000, 64)(words), tasks, ...)
        ...
        served = data.with_preprocessing(encoder, network)

    Args:
        dataset: Training data, read once: batches of texts `(batch,)`, or of `(text, ...)`.
        length: Words per text: longer texts are cut, shorter ones padded.
        max_tokens: Size of the vocabulary, with padding and unknown words.
        standardize: As in `keras.layers.TextVectorization`. Defaults to `"lower"`, which keeps
            one number for each word; `"lower_and_strip_punctuation"` drops words that are
            punctuation, so that labels of words would be shifted. `None` keeps the case.
        key: The input that holds the text, where inputs are a dict.

    Returns:
        A `keras.Model` from texts `(batch,)` to int64 `(batch, length)`.

    Raises:
        TypeError: If the dataset does not yield batches of strings.
        ValueError: If `length` or `max_tokens` is no whole number.

    Example:
        >>> train = tf.data.Dataset.from_tensor_slices(["play some music", "play it"]).batch(2)
        >>> encoder = text_encoder(train, length=4)
        >>> encoder(tf.constant(["Play some jazz"])).numpy().tolist()
        [[2, 3, 1, 0]]
    """
    length = read_whole(length, "length is")
    max_tokens = read_whole(max_tokens, "max_tokens is", low=3)
    texts = dataset.map(lambda first, *_: first if key is None else first[key])
    spec = texts.element_spec
    if not isinstance(spec, tf.TensorSpec) or spec.dtype != tf.string or spec.shape.rank != 1:
        raise TypeError(
            f"expected batches of texts, strings of shape (batch,); received {spec}. Batch the "
            "dataset, join words to sentences (data.align_tokens does), or give the key."
        )
    settings = {
        "max_tokens": max_tokens,
        "standardize": standardize,
        "split": "whitespace",
        "output_sequence_length": length,
        "name": "words",
    }
    lookup = keras.layers.TextVectorization(**settings)
    lookup.adapt(texts)
    vocabulary = lookup.get_vocabulary(include_special_tokens=False)
    if vocabulary:
        # An adapted layer keeps a table that could be changed, which `export.audit` refuses; a
        # layer that was built with its words keeps a fixed one, with the same numbers.
        lookup = keras.layers.TextVectorization(vocabulary=vocabulary, **settings)
    text = keras.Input((), dtype="string", name=key or "text")
    return keras.Model(text, lookup(text), name="text_encoder")

"""Networks for topic and sentiment, and what they are held against."""

import keras
import numpy as np
import tensorflow as tf
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

import keras_mtl as mtl
from keras_mtl import Task, architectures

from .texts import TOPICS

LENGTH, WORDS = 200, 20_000
TASKS = [Task.multiclass("topic", len(TOPICS)), Task.binary("positive")]


def make_encoder(texts):
    """Returns a model from texts to numbers of words and of pairs of words."""
    settings = {"max_tokens": WORDS, "ngrams": 2, "output_sequence_length": LENGTH}
    adapted = keras.layers.TextVectorization(**settings)
    adapted.adapt(texts)
    # Built with its words, the layer holds a fixed table, as a server wants it.
    words = adapted.get_vocabulary(include_special_tokens=False)
    lookup = keras.layers.TextVectorization(vocabulary=words, name="lookup", **settings)
    text = keras.Input((), dtype="string", name="text")
    return keras.Model(text, lookup(text))


def body(terms):
    """Computes the mean of the embeddings of all terms."""
    embed = keras.layers.Embedding(WORDS, 32, name="shared_terms")
    there = keras.ops.expand_dims(keras.ops.cast(terms != 0, "float32"), -1)
    count = keras.ops.maximum(keras.ops.sum(there, axis=1), 1.0)
    mean = keras.ops.sum(embed(terms) * there, axis=1) / count
    return keras.layers.Dropout(0.3, name="shared_dropout")(mean)


def encode(encoder, texts):
    """Returns the numbers of all texts, `(texts, LENGTH)`."""
    return np.concatenate(
        [encoder(tf.constant(texts.text[k : k + 1000])) for k in range(0, len(texts), 1000)]
    )


def train(tasks, x, texts, epochs, balancer=None):
    """Trains one network for some of the tasks, on encoded texts."""
    terms = keras.Input((LENGTH,), dtype="int64", name="terms")
    network = architectures.hard_sharing(terms, tasks, shared=body, tower=(16,))
    labels = {"topic": texts.topic, "positive": texts.positive}
    rows = tf.data.Dataset.from_tensor_slices((x, {task.name: labels[task.name] for task in tasks}))
    batches = rows.shuffle(len(x)).batch(64)
    model = mtl.BalancedModel(network, tasks, balancer) if balancer else network
    model.compile(keras.optimizers.Adam(3e-3), **({} if balancer else mtl.compile_args(tasks)))
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0)
    return network


def predict(network, numbers):
    """Returns the probabilities by task for encoded texts."""
    parts = [network(numbers[k : k + 1000], training=False) for k in range(0, len(numbers), 1000)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def accuracies(predicted, texts):
    """Returns the share of right answers of topic and of sentiment, where they are predicted."""
    right = {}
    if "topic" in predicted:
        right["topic"] = float(np.mean(predicted["topic"].argmax(-1) == texts.topic))
    if "positive" in predicted:
        right["positive"] = float(np.mean((predicted["positive"][:, 0] > 0.5) == texts.positive))
    return right


def linear(train_texts, test_texts):
    """Returns the accuracies of logistic regressions on TF-IDF of words and pairs of words."""
    counts = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    x = counts.fit_transform(train_texts.text)
    x_test = counts.transform(test_texts.text)
    result = {}
    for name in ("topic", "positive"):
        model = LogisticRegression(C=10, max_iter=1000).fit(x, getattr(train_texts, name))
        result[name] = float(model.score(x_test, getattr(test_texts, name)))
    return result


def constant(train_texts, test_texts):
    """Returns the accuracies of the most frequent class."""
    return {
        name: float(np.mean(labels == np.bincount(getattr(train_texts, name)).argmax()))
        for name, labels in (("topic", test_texts.topic), ("positive", test_texts.positive))
    }

"""Film reviews with a sentiment and news with a topic: two data sets, one task's labels in each."""

import csv
import gzip
import pathlib

import keras
import tensorflow as tf

from helpers import comparison, scores, small_data
from keras_mtl import Task, data

LENGTH, WORDS = 160, 20_000
TASKS = [Task.binary("sentiment", metrics=()), Task.multiclass("topic", 4, metrics=())]


def read(folder, part):
    """Yields batches of texts and labels by task; reviews are cut to their last words."""
    with gzip.open(pathlib.Path(folder, "imdb.tsv.gz"), "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    reviews = [(" ".join(row[4].split()[-LENGTH:]), int(row[2])) for row in rows if row[0] == part]
    with gzip.open(pathlib.Path(folder, "agnews_test.csv.gz"), "rt", encoding="utf-8") as file:
        news = [(f"{title} {text}", int(label) - 1) for label, title, text in csv.reader(file)]
    first = len(news) * 8 // 10
    pairs = {"sentiment": reviews, "topic": news[:first] if part == "train" else news[first:]}
    for name, rows in pairs.items():
        texts, labels = map(list, zip(*rows, strict=True))
        yield name, tf.data.Dataset.from_tensor_slices((texts, {name: labels})).batch(512)


def load(options, make_encoder=None):
    """Returns by task the single examples of training, encoded, and the arrays of the test."""
    with comparison.files(options, small_data.write_texts) as place:
        raw = {part: dict(read(place["manual_dir"], part)) for part in ("train", "test")}
    reviews, news = (batches.map(lambda text, y: text) for batches in raw["train"].values())
    encoder = (make_encoder or word_numbers)(reviews.concatenate(news))

    def encoded(part):
        for name, batches in raw[part].items():
            yield name, batches.map(lambda text, y: (encoder(text), y))

    test = {name: comparison.arrays(batches) for name, batches in encoded("test")}
    train = {
        name: data.known_cardinality(batches.unbatch().cache()).shuffle(30_000)
        for name, batches in encoded("train")
    }
    return train, test


def word_numbers(texts):
    """Returns a model from texts to numbers of words, whose signs of punctuation are left out."""
    kind = {"length": LENGTH, "max_tokens": WORDS, "standardize": "lower_and_strip_punctuation"}
    return data.text_encoder(texts, **kind)


def body(words):
    """Applies embeddings, a bidirectional LSTM, and the maximum of each unit over time."""
    embed = keras.layers.Embedding(WORDS, 64, name="shared_words")
    features = keras.layers.Dropout(0.4, name="shared_dropout")(embed(words))
    lstm = keras.layers.LSTM(64, return_sequences=True, name="shared_lstm")
    features = keras.layers.Bidirectional(lstm, name="shared_both")(features)
    features = keras.layers.GlobalMaxPooling1D(name="shared_pool")(features)
    return keras.layers.Dropout(0.4, name="shared_out")(features)


def accuracies(model, test, tasks):
    """Returns the accuracy of each task on the texts of its set."""
    figures = {}
    for task in tasks:
        x, y = test[task.name]
        predicted = model.predict(x, batch_size=512, verbose=0)[task.name]
        figures[f"{task.name} accuracy"] = scores.accuracy(y[task.name], predicted)
    return figures

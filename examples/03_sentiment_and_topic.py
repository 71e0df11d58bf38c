"""Sentiment of film reviews and topic of news: two data sets, one bidirectional LSTM.

    python examples/03_sentiment_and_topic.py                             # made-up texts
    python examples/03_sentiment_and_topic.py --data-dir FOLDER --seeds 3

FOLDER holds imdb.tsv.gz (split, id, label, rating, text) and agnews_test.csv.gz (class, title,
text; the first 80 % are for training). With a network,
`data.from_tfds({"sentiment": "imdb_reviews", "topic": "ag_news_subset"})` gives both sets whole.
The mixture draws from both by the square root of their sizes. Nothing is pre-trained.
"""

import csv
import gzip
import pathlib

import keras
import tensorflow as tf
from helpers import comparison, scores, small_data

import keras_mtl as mtl
from keras_mtl import architectures, data

LENGTH, WORDS = 160, 20_000
TASKS = [mtl.Task.binary("sentiment", metrics=()), mtl.Task.multiclass("topic", 4, metrics=())]


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


def body(words):
    """Applies embeddings, a bidirectional LSTM, and the maximum of each unit over time."""
    embed = keras.layers.Embedding(WORDS, 64, name="shared_words")
    features = keras.layers.Dropout(0.4, name="shared_dropout")(embed(words))
    lstm = keras.layers.LSTM(64, return_sequences=True, name="shared_lstm")
    features = keras.layers.Bidirectional(lstm, name="shared_both")(features)
    features = keras.layers.GlobalMaxPooling1D(name="shared_pool")(features)
    return keras.layers.Dropout(0.4, name="shared_out")(features)


def main(options):
    with comparison.files(options, small_data.write_texts) as place:
        raw = {part: dict(read(place["manual_dir"], part)) for part in ("train", "test")}
    reviews, news = (batches.map(lambda text, y: text) for batches in raw["train"].values())
    kind = {"length": LENGTH, "max_tokens": WORDS, "standardize": "lower_and_strip_punctuation"}
    encoder = data.text_encoder(reviews.concatenate(news), **kind)

    def encoded(part):
        for name, batches in raw[part].items():
            yield name, batches.map(lambda text, y: (encoder(text), y))

    test = {name: comparison.arrays(batches) for name, batches in encoded("test")}
    train = {
        name: data.known_cardinality(batches.unbatch().cache()).shuffle(30_000)
        for name, batches in encoded("train")
    }

    def run(chosen, balancer=None):
        mixed = data.mixture(
            {task.name: train[task.name] for task in chosen},
            chosen,
            sampling=data.Temperature(2.0),
            until="first",
            batch_size=options.batch_size,
        )
        words = keras.Input((LENGTH,), dtype="int64", name="words")
        network = architectures.hard_sharing(words, chosen, shared=body, tower=(32,))
        model = comparison.fit(network, chosen, mixed, options, balancer)
        figures = {}
        for task in chosen:
            x, y = test[task.name]
            predicted = model.predict(x, batch_size=512, verbose=0)[task.name]
            figures[f"{task.name} accuracy"] = scores.accuracy(y[task.name], predicted)
        return figures

    variants = {
        "one for each task": lambda: run(TASKS[:1]) | run(TASKS[1:]),
        "hard sharing": lambda: run(TASKS),
        "hard sharing, PCGrad": lambda: run(TASKS, mtl.balancers.PCGrad()),
    }
    return comparison.table(variants, options)


if __name__ == "__main__":
    main(comparison.parser(__doc__, epochs=4, learning_rate=2e-3).parse_args())

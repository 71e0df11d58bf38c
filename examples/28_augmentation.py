"""Changed copies of few labeled rows: words that are dropped, rows that are mixed, cells swapped.

    python examples/28_augmentation.py        # a minute on two cores

Made-up reviews have a topic, of which three words tell, and a mood, of which one word tells alone.
Handwritten digits stand for a table of 64 columns. Both have 100 labeled rows. Words that come and
go help the topic and not the mood; on these digits no change helps by more than a point or so.
"""

import argparse

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

import keras_mtl as mtl
from keras_mtl import Task, data

REVIEW = [Task.multiclass("topic", 4), Task.binary("mood")]
DIGIT = [Task.multiclass("digit", 10), Task.binary("odd")]
ROWS = 100
TEXTS = {
    "as they are": lambda rows: rows,
    "a tenth of words dropped": lambda rows: data.augment_texts(rows, REVIEW, drop=0.1),
    "a third of words dropped": lambda rows: data.augment_texts(rows, REVIEW, drop=0.33),
    "a third of words swapped": lambda rows: data.augment_texts(rows, REVIEW, drop=0, swap=0.33),
}
TABLES = {
    "as they are": lambda rows: rows,
    "rows mixed": lambda rows: data.mix_rows(rows, DIGIT, alpha=0.4),
    "a tenth of cells swapped": lambda rows: data.swap_cells(rows, rate=0.1),
    "half of cells swapped": lambda rows: data.swap_cells(rows, rate=0.5),
}


def make_reviews(seed):
    """Returns reviews of 12 words, and their labels."""
    rng = np.random.default_rng(seed)
    topic, mood = rng.integers(0, 4, 3000), rng.integers(0, 2, 3000)
    words = rng.integers(200, 500, (3000, 12))  # words that say nothing
    words[:, :3] = 100 + 25 * topic[:, None] + rng.integers(0, 25, (3000, 3))
    words[:, 3] = 10 + 10 * mood + rng.integers(0, 10, 3000)
    words = rng.permuted(words, axis=1).astype("int32")
    return words, {"topic": topic, "mood": mood.astype("float32")}


def make_digits(seed):
    """Returns images as rows of a table, and their labels."""
    x, digit = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    x, digit = x[order].astype("float32") / 16, digit[order]
    return x, {"digit": digit, "odd": (digit % 2).astype("float32")}


def read(inputs):
    """Reads the words of a text: their vectors, three neighbors, and the largest of each."""
    features = keras.layers.Embedding(500, 16)(inputs)
    features = keras.layers.Conv1D(32, 3, padding="same", activation="relu")(features)
    return keras.layers.GlobalMaxPooling1D()(features)


def run(rows, tasks, change, network, epochs):
    """Trains on changed rows, other ones in each epoch; returns accuracies on the others."""
    x, labels = rows
    train = tf.data.Dataset.from_tensor_slices(
        (x[:ROWS], {task: y[:ROWS] for task, y in labels.items()})
    )
    train = change(train.shuffle(ROWS, seed=0).batch(25)).repeat()
    model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
    model.compile(keras.optimizers.Adam(3e-3), steps_per_execution=20)
    model.fit(train, steps_per_epoch=4 * epochs, verbose=0)
    answers = network.predict(x[ROWS:], batch_size=500, verbose=0)
    chosen = [answers[t.name] for t in tasks]
    chosen = [a.argmax(axis=1) if a.shape[1] > 1 else a[:, 0] > 0.5 for a in chosen]
    return [float(np.mean(a == labels[t.name][ROWS:])) for t, a in zip(tasks, chosen, strict=True)]


def main(epochs=60, seed=0):
    """Prints the accuracies of both tasks with each way to change rows."""
    texts = {"inputs": keras.Input((12,), dtype="int32"), "shared": read}
    for rows, tasks, ways, options in (
        (make_reviews(seed), REVIEW, TEXTS, texts),
        (make_digits(seed), DIGIT, TABLES, {"inputs": keras.Input((64,))}),
    ):
        print(f"{'accuracy of':25}", *(f"{task.name:>6}" for task in tasks))
        for way, change in ways.items():
            keras.utils.set_random_seed(seed)
            network = mtl.architectures.hard_sharing(tasks=tasks, tower=(), **options)
            scores = run(rows, tasks, change, network, epochs)
            print(f"{way:25}", *(f"{score:6.3f}" for score in scores))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    main(options.epochs, options.seed)

"""Fifty labels and a thousand rows without: pseudo-labels, and predictions that withstand noise.

    python examples/25_unlabeled_rows.py             # two minutes on two cores

Digits of 8 x 8 pixels. One network learns from the labels alone; one also takes its own confident
predictions as labels; one keeps its predictions the same where noise is added to the pixels. Which
change helps is a question of the data: a shift of the image did not (benchmarks/regimes_unlabeled).
"""

import argparse

import keras
import numpy as np
import sklearn.datasets
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task, data, unlabeled

TASKS = [Task.multiclass("digit", 10), Task.binary("odd")]
LABELED = 50


def load():
    """Returns images and labels of the training, and those of the measurement."""
    images, digits = sklearn.datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(digits))
    images, digits = (images[order] / 16).astype("float32"), digits[order].astype("float64")
    known = np.where(np.arange(len(digits)) < LABELED, digits, np.nan)
    train = images[:1050], {"digit": known[:1050], "odd": known[:1050] % 2}
    return train, (images[1050:], digits[1050:])


def batches(images, labels):
    """Returns batches of all labeled rows and 100 others."""
    rows = tf.data.Dataset.from_tensor_slices((images, labels))
    known = rows.take(LABELED).batch(LABELED).repeat()
    rest = rows.skip(LABELED).shuffle(1000, seed=0).batch(100, drop_remainder=True)
    joined = tf.data.Dataset.zip((known, rest)).map(
        lambda a, b: tf.nest.map_structure(lambda p, q: tf.concat([p, q], 0), a, b)
    )
    return data.mask_missing(joined, TASKS)


def main(epochs=60):
    """Trains a network in each way, and prints its accuracy."""
    (images, labels), (test_images, test_digits) = load()
    dataset = batches(images, labels)
    ways = {
        "labels alone": None,
        "pseudo-labels": unlabeled.PseudoLabels(),
        "consistency": unlabeled.Consistency(keras.layers.GaussianNoise(0.1), name="steady"),
    }
    print("way             digit    odd")
    for way, hook in ways.items():
        keras.utils.set_random_seed(0)
        network = mtl.architectures.hard_sharing(keras.Input((64,)), TASKS, shared=(96,))
        model = mtl.BalancedModel(network, TASKS, mtl.balancers.Equal(), prepare=hook)
        model.compile(keras.optimizers.Adam(2e-3), steps_per_execution=10)
        model.fit(dataset, epochs=epochs, verbose=0)
        answers = network.predict(test_images, batch_size=1000, verbose=0)
        digit = (answers["digit"].argmax(axis=1) == test_digits).mean()
        odd = ((answers["odd"][:, 0] > 0.5) == test_digits % 2).mean()
        print(f"{way:<14}{digit:7.3f}{odd:7.3f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    options = parser.parse_args()
    main(options.epochs)

"""Coarse labels train fine classes: 50 digits with their class, 1,000 with a group of classes.

Run it from a checkout: python examples/15_coarse_labels.py [--epochs 60]
"""

import argparse

import keras
import numpy as np
import sklearn.datasets
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task

GROUPS = [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]
FINE = Task.multiclass("digit", 10)
COARSE = Task.marginal("group", of="digit", groups=GROUPS)


def make_rows():
    """Returns the training rows, of which 50 have their digit, and 797 rows for the test."""
    digits = sklearn.datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    x, digit = (digits.data[order] / 16).astype("float32"), digits.target[order]
    group = np.array([next(g for g, classes in enumerate(GROUPS) if k in classes) for k in digit])
    known = np.where(np.arange(1000) < 50, digit[:1000], -1)  # -1 is a missing class
    train = tf.data.Dataset.from_tensor_slices((x[:1000], {"digit": known, "group": group[:1000]}))
    return train.shuffle(1000, seed=0).batch(50), (x[1000:], digit[1000:])


def main(epochs=60):
    """Trains with and without the coarse labels; returns the accuracy of the digits."""
    train, (x, digit) = make_rows()
    results = {}
    for name, tasks in (("digits alone", [FINE]), ("with groups", [FINE, COARSE])):
        keras.utils.set_random_seed(0)
        network = mtl.architectures.hard_sharing(keras.Input((64,)), tasks, shared=(64,), tower=())
        model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
        model.compile(keras.optimizers.Adam(2e-3))
        names = [task.name for task in tasks]
        rows = train.map(lambda x, y, names=names: (x, {name: y[name] for name in names}))
        model.fit(mtl.data.mask_missing(rows, tasks), epochs=epochs, verbose=0)
        answers = network.predict(x, verbose=0)["digit"].argmax(-1)
        results[name] = float(np.mean(answers == digit))
        print(f"{name}: {results[name]:.3f} of the digits are right")
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=60)
    main(**vars(parser.parse_args()))

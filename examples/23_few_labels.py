"""Few labels, many rows without: predictions that stay the same close to each row.

    python examples/23_few_labels.py       # half a minute on two cores

Of 1,050 small images of digits 50 have labels of two tasks: the digit, and whether it has a loop.
Virtual adversarial training asks of all 1,050 that a small step does not change the predictions.
"""

import argparse

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_mtl as mtl
from keras_mtl import Task
from keras_mtl.training import VirtualAdversarial

TASKS = [Task.multiclass("digit", 10), Task.binary("loop")]
LABELED, TRAINED = 50, 1050


def make_rows(seed):
    """Returns images, and the labels of both tasks."""
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    label = digits.target[order]
    x = (digits.data[order] / 16.0).astype("float32")
    return x, {"digit": label, "loop": np.isin(label, (0, 6, 8, 9)).astype("float32")}


def main(epochs=60, seed=0):
    """Trains without and with moved rows; returns the accuracies of both tasks."""
    x, labels = make_rows(seed)
    # In each batch of 150 rows stand all that have labels, and 100 of the rest.
    unlabeled = (
        np.random.default_rng(seed).permutation(np.arange(LABELED, TRAINED)).reshape(10, 100)
    )
    rows = np.concatenate([np.r_[:LABELED, part] for part in unlabeled])
    weight = (rows < LABELED).astype("float32")
    results = {}
    for name, hook in {"labels alone": None, "VAT": VirtualAdversarial(0.5)}.items():
        keras.utils.set_random_seed(seed)
        network = mtl.architectures.hard_sharing(
            keras.Input((64,)), TASKS, shared=(96,), tower=(16,)
        )
        model = mtl.BalancedModel(network, TASKS, mtl.balancers.Equal(), prepare=hook)
        model.compile(keras.optimizers.Adam(2e-3))
        model.fit(
            x[rows],
            {task: values[rows] for task, values in labels.items()},
            sample_weight=dict.fromkeys(labels, weight),
            batch_size=150,
            epochs=epochs,
            shuffle=False,
            verbose=0,
        )
        predicted = network.predict(x[TRAINED:], verbose=0)
        digits = predicted["digit"].argmax(axis=1) == labels["digit"][TRAINED:]
        loops = (predicted["loop"][:, 0] > 0.5) == labels["loop"][TRAINED:]
        results[name] = float(np.mean(digits)), float(np.mean(loops))
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name, (digit, loop) in main(options.epochs, options.seed).items():
        print(f"{name:13} digits right {digit:.3f}, loops right {loop:.3f}")

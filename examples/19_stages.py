"""A cascade in stages: one task first, then the one that reads it, then both slowly.

    python examples/19_stages.py       # half a minute on two cores

2,000 rows have one of four classes; 100 of them have a number that depends on the class. Trained
together from the first step on, the few numbers disturb the classes before those are learned.
"""

import argparse

import keras
import numpy as np

import keras_mtl as mtl
from keras_mtl import Task
from keras_mtl.callbacks import Stage, Stages

TASKS = [Task.multiclass("kind", 4), Task.regression("price")]


def make_settings(epochs):
    """Returns the stages of each way to train, of so many epochs in all."""
    half, third = epochs // 2, epochs // 3
    kinds, prices = (["kind"], "shared_*|kind_*"), (["price"], "price_*")
    return {
        "together": [Stage(epochs=epochs)],
        "frozen": [
            Stage(*kinds, epochs=half, name="kinds"),
            Stage(*prices, epochs=epochs - half, name="prices, from kinds that rest"),
        ],
        "staged": [
            Stage(*kinds, epochs=third, name="kinds"),
            Stage(*prices, epochs=third, name="prices"),
            Stage(learning_rate=3e-4, epochs=epochs - 2 * third, name="both, slowly"),
        ],
    }


def make_rows(seed):
    """Returns inputs, and the labels of both tasks."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(4000, 20)).astype("float32")
    kind = (x @ rng.normal(size=(20, 4)) + rng.gumbel(size=(4000, 4))).argmax(axis=1)
    price = np.array([-1.5, -0.5, 0.5, 1.5])[kind] + 0.3 * x[:, 0] + rng.normal(0, 0.5, 4000)
    return x, {"kind": kind, "price": price.astype("float32")}


def main(epochs=40, seed=0):
    """Trains in each way; returns the accuracy of kinds and the error of prices."""
    x, labels = make_rows(seed)
    weights = {"kind": np.ones(2000), "price": 1.0 * (np.arange(2000) < 100)}
    results = {}
    for name, stages in make_settings(epochs).items():
        keras.utils.set_random_seed(seed)
        network = mtl.architectures.cascade(keras.Input((20,)), TASKS, shared=(32,))
        model = mtl.BalancedModel(network, TASKS, mtl.balancers.Equal())
        model.compile(keras.optimizers.Adam(3e-3))
        model.fit(
            x[:2000],
            {task: values[:2000] for task, values in labels.items()},
            sample_weight=weights,
            batch_size=100,
            epochs=epochs,
            callbacks=[Stages(stages)],
            verbose=0,
        )
        predicted = network.predict(x[2000:], verbose=0)
        accuracy = np.mean(predicted["kind"].argmax(axis=1) == labels["kind"][2000:])
        error = np.mean((predicted["price"][:, 0] - labels["price"][2000:]) ** 2)
        results[name] = float(accuracy), float(error / np.var(labels["price"][2000:]))
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name, (accuracy, error) in main(options.epochs, options.seed).items():
        print(
            f"{name:10} kinds right {accuracy:.3f}, error of prices {error:.3f} of their variance"
        )

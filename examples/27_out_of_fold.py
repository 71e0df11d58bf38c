"""A second stage that reads predictions for rows which the first stage has not seen.

    python examples/27_out_of_fold.py        # a minute on two cores

Prices depend on the kind of a row, and a network predicts kinds first. It knows its own 400 rows
by heart, so prices that learn from its predictions for them trust these too much. Predictions of
networks that have not seen the row (`transfer.out_of_fold`) are as uncertain as those in use.
"""

import argparse

import keras
import numpy as np

import keras_mtl as mtl
from keras_mtl import Task

KIND, PRICE = Task.multiclass("kind", 4), Task.regression("price")
SHAPES = {"x": keras.Input((20,), name="x"), "kind": keras.Input((4,), name="kind")}
ROWS = 400


def make_rows(noise, seed):
    """Returns inputs, and the labels of both tasks; with noise, inputs tell less of the kind."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS + 4000, 20)).astype("float32")
    kind = (x @ rng.normal(size=(20, 4)) + noise * rng.gumbel(size=(len(x), 4))).argmax(axis=1)
    price = np.array([-1.5, 0.5, -0.5, 1.5])[kind] + 0.3 * x[:, 0] + rng.normal(0, 0.5, len(x))
    return x, {"kind": kind, "price": price.astype("float32")}


def fit(network, task, x, labels, epochs):
    """Trains a network of one task."""
    model = mtl.BalancedModel(network, [task], mtl.balancers.Equal())
    model.compile(keras.optimizers.Adam(3e-3), steps_per_execution=4)
    model.fit(x, {task.name: labels}, batch_size=100, epochs=epochs, verbose=0)
    return network


def train_prices(inputs, x, prices, epochs):
    """Trains a linear model of prices."""
    network = mtl.architectures.single_task(inputs, [PRICE], tower=(), name="prices")
    return fit(network, PRICE, x, prices, epochs)


def main(epochs=60, noise=3.0, seed=0):
    """Trains prices in three ways; returns their errors, in parts of the variance."""
    keras.utils.set_random_seed(seed)
    x, labels = make_rows(noise, seed)
    train, test = x[:ROWS], x[ROWS:]
    kinds, prices = labels["kind"][:ROWS], labels["price"][:ROWS]

    def train_kinds(x, y, sample_weight):
        network = mtl.architectures.single_task(
            keras.Input((20,)), [KIND], tower=(64,), name="kinds"
        )
        return fit(network, KIND, x, y["kind"], epochs)

    first = train_kinds(train, {"kind": kinds}, None)
    fed = {
        "seen": first.predict(train, verbose=0),
        "out of fold": mtl.transfer.out_of_fold(train_kinds, train, {"kind": kinds}, tasks=[KIND]),
    }
    predicted = {}
    for way, predictions in fed.items():
        second = train_prices(SHAPES, {"x": train, **predictions}, prices, 4 * epochs)
        # One network is served, whose first stage has learned from all rows.
        inputs = keras.Input((20,), name="x")
        answers = first(inputs)
        served = keras.Model(inputs, {**answers, **second({"x": inputs, **answers})})
        predicted[way] = served.predict(test, verbose=0)["price"]
    alone = train_prices(keras.Input((20,)), train, prices, 4 * epochs)
    predicted["without kinds"] = alone.predict(test, verbose=0)["price"]
    truth = labels["price"][ROWS:]
    return {
        way: float(np.mean((values[:, 0] - truth) ** 2) / np.var(truth))
        for way, values in predicted.items()
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for noise in (3.0, 0.5):
        print(f"kinds with noise {noise}")
        for way, error in main(options.epochs, noise, options.seed).items():
            print(f"  {way:14} error of prices {error:.3f} of their variance")

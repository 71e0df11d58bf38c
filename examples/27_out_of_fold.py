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
ROWS = 400


def make_rows(seed):
    """Returns inputs, and the labels of both tasks."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS + 4000, 20)).astype("float32")
    kind = (x @ rng.normal(size=(20, 4)) + 3 * rng.gumbel(size=(len(x), 4))).argmax(axis=1)
    price = np.array([-1.5, -0.5, 0.5, 1.5])[kind] + 0.3 * x[:, 0] + rng.normal(0, 0.5, len(x))
    return x, kind, price.astype("float32")


def fit(network, tasks, x, y, epochs):
    """Trains a network on rows."""
    model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
    model.compile(keras.optimizers.Adam(3e-3), steps_per_execution=4)
    model.fit(x, y, batch_size=100, epochs=epochs, verbose=0)
    return network


def main(epochs=40, seed=0):
    """Trains both stages in three ways; returns the errors of prices in parts of their variance."""
    keras.utils.set_random_seed(seed)
    x, kind, price = make_rows(seed)
    shapes = {"x": keras.Input((20,), name="x"), "kind": keras.Input((4,), name="kind")}

    def train_kinds(x, y, sample_weight):
        network = mtl.architectures.hard_sharing(keras.Input((20,)), [KIND], name="kinds")
        return fit(network, [KIND], x, y, epochs)

    labels = {"kind": kind[:ROWS]}
    kinds = train_kinds(x[:ROWS], labels, None)
    fed = {
        "seen": kinds.predict(x[:ROWS], verbose=0),
        "out of fold": mtl.transfer.out_of_fold(train_kinds, x[:ROWS], labels, tasks=[KIND]),
    }
    errors = {}
    for way, predictions in fed.items():
        network = mtl.architectures.hard_sharing(shapes, [PRICE], shared=(32,), name="prices")
        fit(network, [PRICE], {"x": x[:ROWS], **predictions}, {"price": price[:ROWS]}, epochs)
        # What is served is one network, whose first stage has learned from all rows.
        inputs = keras.Input((20,), name="x")
        answers = kinds(inputs)
        served = keras.Model(inputs, {**answers, **network({"x": inputs, **answers})})
        errors[way] = served.predict(x[ROWS:], verbose=0)["price"]
    tasks = [KIND, PRICE]
    network = mtl.architectures.cascade(keras.Input((20,)), tasks)
    fit(network, tasks, x[:ROWS], {**labels, "price": price[:ROWS]}, epochs)
    errors["end to end"] = network.predict(x[ROWS:], verbose=0)["price"]
    alone = mtl.architectures.hard_sharing(keras.Input((20,)), [PRICE], shared=(32,))
    fit(alone, [PRICE], x[:ROWS], {"price": price[:ROWS]}, epochs)
    errors["without kinds"] = alone.predict(x[ROWS:], verbose=0)["price"]
    variance = np.var(price[ROWS:])
    return {
        way: float(np.mean((values[:, 0] - price[ROWS:]) ** 2) / variance)
        for way, values in errors.items()
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for way, error in main(options.epochs, options.seed).items():
        print(f"{way:14} error of prices {error:.3f} of their variance")

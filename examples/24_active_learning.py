"""Which label to buy next: three tasks, two prices, and a budget, beside random labels.

    python examples/24_active_learning.py             # two minutes on two cores

Digits of 8 x 8 pixels, of which a person could be asked for the digit (which costs 2), or whether
it is odd, or a zero (1 each). Every round trains a network, asks for labels of 60, and has them
answered. Rows for the measurement stay out of the pool. A figure shows accuracy by what was spent.
"""

import argparse

import keras
import numpy as np
import sklearn.datasets
from matplotlib.figure import Figure

import keras_mtl as mtl
from keras_mtl import Task, active

TASKS = [Task.multiclass("digit", 10), Task.binary("odd"), Task.binary("zero")]
COSTS = {"digit": 2.0, "odd": 1.0, "zero": 1.0}


def load():
    """Returns images and labels: 1,200 rows for the pool, and the rest to measure."""
    images, digits = sklearn.datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(digits))
    images, digits = (images[order] / 16).astype("float32"), digits[order]
    labels = {"digit": digits, "odd": digits % 2, "zero": digits == 0}
    train = {name: values[:1200] for name, values in labels.items()}
    test = {name: values[1200:] for name, values in labels.items()}
    return images[:1200], train, images[1200:], test


def make_network():
    """Returns a new network."""
    inputs = keras.Input((64,))
    return mtl.architectures.hard_sharing(inputs, TASKS, shared=(64,), tower=())


def train(pool, steps):
    """Trains a new network on the labels that are there."""
    keras.utils.set_random_seed(0)
    network = make_network()
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.Equal())
    model.compile(keras.optimizers.Adam(4e-3), steps_per_execution=50)
    model.fit(pool.dataset(64).repeat(), steps_per_epoch=steps, verbose=0)
    return network


def measure(network, images, labels):
    """Returns the mean accuracy of the tasks."""
    answers = network.predict(images, batch_size=1000, verbose=0)
    hits = [answers["digit"].argmax(axis=1) == labels["digit"]]
    hits += [(answers[name][:, 0] > 0.5) == labels[name] for name in ("odd", "zero")]
    return np.mean(hits)


def run(rule, worth, rounds, steps):
    """Buys labels in rounds; prints, and returns, what they cost and what they give."""
    images, answers, test_images, test_labels = load()
    pool = active.Pool(images, dict.fromkeys(answers), TASKS, costs=COSTS)
    network, curve = None, []
    for index in range(rounds):
        picks = pool.ask(network, 60.0, rule if index else "random", worth=worth if index else None)
        # A person would label these rows. Here the answers are known.
        pool.answer(picks, {name: answers[name][rows] for name, rows in picks.rows().items()})
        network = train(pool, steps)
        accuracy = measure(network, test_images, test_labels)
        known = ", ".join(f"{count} {name}" for name, count in pool.num_known.items())
        print(f"{rule:<8}{pool.spent:6.0f}{accuracy:10.3f}   {known}", flush=True)
        curve.append((pool.spent, accuracy))
    return curve


def main(rounds=6, steps=250, figure="bought_labels.png"):
    """Compares two ways to buy labels, in print and as a figure."""
    print("rule     spent  accuracy   labels")
    axes = Figure(figsize=(6, 3.5), layout="constrained").subplots()
    for rule, worth in (("random", None), ("margin", COSTS)):
        axes.plot(*zip(*run(rule, worth, rounds, steps), strict=True), "o-", label=rule)
    axes.set(xlabel="spent on labels", ylabel="mean accuracy of the tasks")
    axes.legend(frameon=False)
    axes.figure.savefig(figure, dpi=120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--figure", default="bought_labels.png")
    main(**vars(parser.parse_args()))

"""A rule between tasks: nobody buys what they have not clicked.

    python examples/21_funnel_rules.py         # a minute on two cores

Made-up visits with two outcomes. Every visit says whether there was a click; of one in ten it is
known whether something was bought. The rule `buy implies click` trains on all visits, and holds
exactly in the served network. A figure shows both probabilities of new visits.
"""

import argparse
import tempfile

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

import keras_mtl as mtl
from keras_mtl import Task, architectures, balancers, data, export, rules

TASKS = [Task.binary("click"), Task.binary("buy")]


def make_visits(rows, seed):
    """Makes visits: 8 numbers, whether there was a click, and whether something was bought."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 8)).astype("float32")
    click = x[:, 0] + x[:, 1] + rng.logistic(size=rows) > 0
    buy = click & (x[:, 1] - x[:, 2] + rng.logistic(size=rows) > 0)
    return x, {"click": click.astype("float32"), "buy": buy.astype("float32")}


def train(strength, epochs=20, rows=2000, seed=0):
    """Trains a network with a rule of some strength; with 0, the rule is only counted."""
    keras.utils.set_random_seed(seed)
    x, labels = make_visits(rows, seed)
    labels["buy"][rows // 10 :] = np.nan
    visits = tf.data.Dataset.from_tensor_slices((x, labels)).shuffle(rows, seed=seed).batch(50)
    network = architectures.hard_sharing(keras.Input((8,), name="x"), TASKS, shared=(32,))
    funnel = rules.implies("buy", "click", strength, name="funnel")
    model = mtl.BalancedModel(network, TASKS, balancers.Equal(), penalties=[funnel])
    model.compile(keras.optimizers.Adam(2e-3))
    model.fit(data.mask_missing(visits, TASKS), epochs=epochs, verbose=0, shuffle=False)
    return model


def measure(network, axes, rows=5000):
    """Returns accuracies and the share of contradictions on new visits, of which it draws some."""
    x, labels = make_visits(rows, seed=1)
    answers = network.predict(x, batch_size=1000, verbose=0)
    accuracies = [((answers[name][:, 0] > 0.5) == labels[name]).mean() for name in labels]
    broken = (answers["buy"] > answers["click"] + 1e-6)[:, 0]
    for chosen, color in ((broken, "#d55e00"), (~broken, "#0072b2")):
        click, buy = (answers[name][:1000][chosen[:1000], 0] for name in ("click", "buy"))
        axes.plot(click, buy, ".", color=color, markersize=3)
    axes.axline((0, 0), slope=1, color="0.5", linewidth=1)
    axes.set(xlabel="probability of a click", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    return [*accuracies, broken.mean()]


def main(folder, epochs=20, figure="funnel.png"):
    """Prints a row without the rule, with it, and with it in what is served too."""
    plain, taught = train(0.0, epochs), train(0.3, epochs)
    served = export.with_rules(taught, taught.penalties)
    export.saved_model(served, TASKS, folder)
    print("network                   click    buy  contradictions")
    names = ["no rule", "rule in training", "rule in training, served"]
    panels = Figure(figsize=(9, 3.4), layout="constrained").subplots(1, 3, sharey=True)
    networks = [plain.network, taught.network, served]
    for name, network, axes in zip(names, networks, panels, strict=True):
        click, buy, broken = measure(network, axes)
        print(f"{name:<25}{click:6.3f} {buy:6.3f} {broken:15.3f}")
        axes.set_title(f"{name}: {broken:.0%} above the line", loc="left", fontsize=9)
    panels[0].set_ylabel("probability of a purchase")
    panels[0].figure.savefig(figure, dpi=120)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
        parser.add_argument("--epochs", type=int, default=20)
        parser.add_argument("--export", default=f"{temporary}/funnel/1")
        parser.add_argument("--figure", default="funnel.png")
        options = parser.parse_args()
        main(options.export, options.epochs, options.figure)

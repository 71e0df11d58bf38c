"""More income, no more risk: an output that never rises along a column.

    python examples/29_monotonic.py        # a minute on two cores

Made-up customers, of whom few are rich. The risk falls with income; with age it falls first and
rises later. The rule for income is true, and helps a little where rows are few; with 2,000 rows it
changes nothing. The rule that risk never rises with age is wrong, and there doubles the error.
A figure shows the mean risk by income and by age.
"""

import argparse

import keras
import numpy as np
from matplotlib.figure import Figure

import keras_mtl as mtl
from keras_mtl import Task

TASKS = [Task.binary("default"), Task.regression("amount")]
RULES = {  # the column and its sign, and the strength
    "no rule": None,
    "never rises with income": ({0: -1}, 1.0),
    "the same, ten times stronger": ({0: -1}, 10.0),
    "never rises with age, wrongly": ({1: -1}, 10.0),
}


def make_rows(count, rng, spread=False):
    """Returns rows of income, age and six columns that say nothing; the risk, and both labels."""
    x = rng.normal(size=(count, 8)).astype("float32")
    x[:, 0] = rng.uniform(-2, 2, count) if spread else -1 + rng.exponential(0.8, count)
    risk = 1 / (1 + np.exp(1.5 * x[:, 0] - x[:, 1] ** 2 + 1))
    amount = 0.5 * x[:, 0] + rng.normal(0, 0.5, count)
    labels = {"default": rng.random(count) < risk, "amount": amount}
    return x, risk, {task: values.astype("float32") for task, values in labels.items()}


def share_of_wrong_slopes(network, x):
    """Returns the share of rows whose risk rises with income."""
    richer = x.copy()
    richer[:, 0] += 0.1
    before, after = (network.predict(rows, verbose=0)["default"] for rows in (x, richer))
    return float(np.mean(after > before + 1e-6))


def draw(axes, column, test, risks):
    """Draws the mean of several risks in 20 bins of a column: income is column 0, age 1."""
    parts = np.array_split(np.argsort(test[:, column]), 20)
    middles = [test[part, column].mean() for part in parts]
    styles = ({"color": "0.7", "linewidth": 4}, {}, {"ls": "--"}, {"ls": ":"}, {"ls": "-."})
    for (name, risk), style in zip(risks.items(), styles, strict=True):
        axes.plot(middles, [risk[part].mean() for part in parts], label=name, **style)
    axes.set(xlabel=("income", "age")[column], ylabel="risk")


def main(epochs=60, rows=120, seed=0, axes=None, column=0):
    """Trains by each rule; returns the error of the risk, and the share of wrong slopes."""
    rng = np.random.default_rng(seed)
    x, _, labels = make_rows(rows, rng)
    test, risk, _ = make_rows(4000, rng, spread=True)  # as many rich as poor
    results, risks = {}, {"true": risk}
    for name, setting in RULES.items():
        keras.utils.set_random_seed(seed)
        network = mtl.architectures.hard_sharing(
            keras.Input((8,)), TASKS, shared=(32,), tower=(16,)
        )
        rule = None
        if setting:
            rule = mtl.rules.monotonic("default", setting[0], step=0.1, strength=setting[1])
        model = mtl.BalancedModel(network, TASKS, mtl.balancers.Equal(), prepare=rule)
        model.compile(keras.optimizers.Adam(3e-3), steps_per_execution=4)
        model.fit(x, labels, batch_size=30, epochs=epochs, verbose=0)
        risks[name] = network.predict(test, verbose=0)["default"][:, 0]
        error = float(np.mean(np.abs(risks[name] - risk)))
        results[name] = error, share_of_wrong_slopes(network, test)
    if axes:
        draw(axes, column, test, risks)
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--figure", default="risks.png")
    options = parser.parse_args()
    figure = Figure(figsize=(8, 4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for column, rows in enumerate((120, 2000)):
        print(f"{rows} customers")
        epochs = options.epochs * 120 // rows
        for name, (error, wrong) in main(
            max(epochs, 10), rows, options.seed, panels[column], column
        ).items():
            print(f"  {name:30} error of the risk {error:.3f}, rises with income {wrong:6.1%}")
        panels[column].set_title(f"{rows} customers", loc="left")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(options.figure, dpi=120)

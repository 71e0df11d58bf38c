"""Kinds of tasks: coarse labels beside fine ones, ordered classes, quantiles.

- *Coarse labels*: scikit-learn's digits of 8 x 8 pixels, 50 rows with their class and 1,000 with
  one of three groups of classes only; one layer of 64 ReLUs; measured on 797 other rows.
- *Ordered classes*: the fifths of scikit-learn's diabetes progression (442 rows, 300 to train).
- *Quantiles*: the same progression, its quantiles .1, .5 and .9, beside a regression whose interval
  is that of its residuals on the training rows.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import sklearn.datasets
import sklearn.metrics
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task

TITLE = "Kinds of tasks (means and sd over seeds)"
HEADER = ("data", "task", "first figure", "second figure")
GROUPS = [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]

Arrays = dict[str, Any]


def train(
    tasks: list[Task],
    x: Any,
    y: Arrays,
    w: Arrays,
    seed: int,
    *,
    batch: int,
    steps: int,
    units: int,
) -> Any:
    """Returns a network of the tasks after training, by plain Keras."""
    keras.utils.set_random_seed(seed)
    network = mtl.architectures.hard_sharing(
        keras.Input(x.shape[1:]), tasks, shared=(units,), tower=()
    )
    network.compile(keras.optimizers.Adam(2e-3), steps_per_execution=20, **mtl.compile_args(tasks))
    y, w = ({task.name: values[task.name] for task in tasks} for values in (y, w))
    rows = tf.data.Dataset.from_tensor_slices((x, y, w)).cache().shuffle(len(x), seed=seed)
    rows = rows.batch(batch).repeat().take(steps)  # one epoch, for epochs cost time
    network.fit(rows, verbose=0, shuffle=False)
    return network


def coarse_labels(seed: int) -> dict[tuple[str, ...], tuple[float, ...]]:
    """Returns fine and coarse accuracy by task."""
    digits = sklearn.datasets.load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    x = (digits.data[order] / 16.0).astype("float32")
    fine = digits.target[order]
    coarse = np.array([next(g for g, c in enumerate(GROUPS) if k in c) for k in fine])
    labels, test = {"fine": fine[:1000], "coarse": coarse[:1000]}, slice(1000, None)
    weights = {"fine": (np.arange(1000) < 50) * 1.0, "coarse": np.ones(1000)}
    one = Task.multiclass("fine", 10)
    two = {
        "fine labels alone": [one],
        "two heads": [one, Task.multiclass("coarse", 3)],
        "coarse from fine": [one, Task.marginal("coarse", of="fine", groups=GROUPS)],
    }
    results = {}
    for name, tasks in two.items():
        network = train(tasks, x[:1000], labels, weights, seed, batch=1000, steps=600, units=64)
        answers = network.predict(x[test], verbose=0)
        chosen = answers["fine"].argmax(-1)
        groups = np.array([coarse[fine == k][0] for k in range(10)])[chosen]
        if "coarse" in answers:
            groups = answers["coarse"].argmax(-1)
        results["digits", name] = (np.mean(chosen == fine[test]), np.mean(groups == coarse[test]))
    return results


@functools.cache
def _diabetes(seed: int) -> tuple[Any, Any]:
    x, y = sklearn.datasets.load_diabetes(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    x = x[order] / x[order][:300].std(0)
    return x.astype("float32"), y[order].astype("float32")


def ordered_classes(seed: int) -> dict[tuple[str, ...], tuple[float, ...]]:
    """Returns the mean distance of classes and kappa by task."""
    x, y = _diabetes(seed)
    classes = np.searchsorted(np.quantile(y[:300], [0.2, 0.4, 0.6, 0.8]), y)
    ones = {"zoo": np.ones(300)}
    tasks = {
        "multiclass": Task.multiclass("zoo", 5),
        "ordinal, CORAL": Task.ordinal("zoo", 5),
        "ordinal, CORN": Task.ordinal("zoo", 5, method="corn"),
        "regression of the class": Task.regression("zoo"),
    }
    results = {}
    for name, task in tasks.items():
        labels = {"zoo": classes[:300].astype("float32")}
        network = train([task], x[:300], labels, ones, seed, batch=50, steps=360, units=32)
        answer = network.predict(x[300:], verbose=0)["zoo"]
        chosen = (np.cumsum(answer, -1)[:, :-1] < 0.5).sum(-1)
        if answer.shape[-1] == 1:
            chosen = np.clip(np.round(answer[:, 0]), 0, 4).astype(int)
        results["diabetes", name] = (
            np.mean(np.abs(chosen - classes[300:])),
            sklearn.metrics.cohen_kappa_score(classes[300:], chosen, weights="quadratic"),
        )
    return results


def quantiles(seed: int) -> dict[tuple[str, ...], tuple[float, ...]]:
    """Returns the share of labels in the interval of .8, and the pinball loss, by task."""
    x, y = _diabetes(seed)
    labels, ones = {"zoo": y[:300]}, {"zoo": np.ones(300)}
    results, levels = {}, (0.1, 0.5, 0.9)
    for name, make in (("quantiles", Task.quantiles), ("regression", Task.regression)):
        task = make("zoo", scale="standard").fit_scale(y[:300])
        network = train([task], x[:300], labels, ones, seed, batch=50, steps=360, units=32)
        answer = network.predict(x, verbose=0)["zoo"]
        if name == "regression":
            answer = answer + np.quantile(y[:300] - answer[:300, 0], levels)
        answer, truth = answer[300:], y[300:]
        inside = np.mean((answer[:, 0] <= truth) & (truth <= answer[:, 2]))
        losses = [
            sklearn.metrics.mean_pinball_loss(truth, answer[:, i], alpha=level)
            for i, level in enumerate(levels)
        ]
        results["diabetes", name] = (inside, float(np.mean(losses)))
    return results


def rows(seeds: Sequence[int]) -> list[tuple[str, ...]]:
    """Returns the lines of the table."""
    parts: list[tuple[Callable[[int], Any], str, str]] = [
        (coarse_labels, "fine accuracy", "coarse accuracy"),
        (ordered_classes, "mean distance", "kappa"),
        (quantiles, "share inside of .8", "pinball"),
    ]
    lines = []
    for measure, first, second in parts:
        runs = [measure(seed) for seed in seeds]
        for key in runs[0]:
            figures = np.array([run[key] for run in runs])
            mean, deviation = figures.mean(axis=0), figures.std(axis=0)
            cells = [f"{m:.3f} ({d:.3f})" for m, d in zip(mean, deviation, strict=True)]
            lines.append((*key, f"{first} {cells[0]}", f"{second} {cells[1]}"))
    return lines


if __name__ == "__main__":
    for line in rows(range(6)):
        print("  ".join(line))

"""Two levels of classes with few labels of the fine one: what a rule between them adds.

The fine task is the digit of an image of 8 x 8 pixels (scikit-learn's), with 50 labels. The coarse
task is the group of the digit, one of three, with 1,000 labels of other rows. Both are measured on
the rows that remain, with the share of rows in which the two answers contradict each other. The
body is one layer of 96 ReLUs.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import sklearn.datasets
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task, rules

TITLE = "Rules: digits in three groups (accuracy in %; mean and sd over seeds)"
HEADER = ("contender", "digit", "group", "contradictions")
GROUPS = np.array([0, 1, 2, 2, 1, 2, 0, 1, 0, 1])
"""The group of each digit: round, straight, open."""

FINE = Task.multiclass("fine", 10)
COARSE = Task.multiclass("coarse", 3)
MEMBERS = [[f"fine.{digit}" for digit in np.flatnonzero(group == GROUPS)] for group in range(3)]


@functools.cache
def _digits(seed: int) -> tuple[np.ndarray, np.ndarray]:
    digits = sklearn.datasets.load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    return (digits.data[order] / 16.0).astype("float32"), digits.target[order]


def _training_rows(seed: int) -> tf.data.Dataset:
    """Returns 50 rows with the digit and 1,000 with its group, in shuffled batches."""
    x, digit = _digits(seed)
    x, digit = x[:1050], digit[:1050].astype("float64")
    labels = {"fine": digit.copy(), "coarse": GROUPS[digit.astype(int)].astype("float64")}
    labels["fine"][50:] = np.nan
    labels["coarse"][:50] = np.nan
    dataset = tf.data.Dataset.from_tensor_slices((x, labels))
    return mtl.data.mask_missing(
        dataset.shuffle(1050, seed=seed).batch(64, drop_remainder=True), [FINE, COARSE]
    )


def _features() -> tuple[Any, Any]:
    inputs = keras.Input((64,), name="x")
    return inputs, keras.layers.Dense(96, "relu", name="shared_0")(inputs)


def two_heads() -> keras.Model:
    """Builds a head for each level."""
    inputs, features = _features()
    return keras.Model(inputs, {task.name: task.output(features) for task in (FINE, COARSE)})


def coarse_from_fine() -> keras.Model:
    """Builds a head for the digit; the group is the sum of the probabilities of its digits."""
    inputs, features = _features()
    fine = FINE.output(features)
    members = (GROUPS[:, None] == np.arange(3)).astype("float32")
    coarse = keras.layers.Identity(name="coarse")(keras.ops.matmul(fine, members))
    return keras.Model(inputs, {"fine": fine, "coarse": coarse})


def _trained(
    network: keras.Model, seed: int, penalties: Sequence[Any] = (), use_coarse: bool = True
) -> keras.Model:
    rows, tasks = _training_rows(seed), [FINE, COARSE]
    if not use_coarse:
        tasks = [FINE, Task.multiclass("coarse", 3, weight=0.0)]
    model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal(), penalties=penalties)
    model.compile(keras.optimizers.Adam(2e-3))
    model.fit(rows, epochs=60, verbose=0, shuffle=False)
    return network


def _tree(strength: float) -> rules.Rule:
    parents = {f"fine.{digit}": f"coarse.{group}" for digit, group in enumerate(GROUPS)}
    return rules.hierarchy(parents, strength, name="tree")


def _sums(strength: float) -> list[rules.Rule]:
    return [
        rules.sums(f"coarse.{group}", members, strength, name=f"sum_{group}")
        for group, members in enumerate(MEMBERS)
    ]


CONTENDERS: dict[str, Callable[[int], keras.Model]] = {
    "digit alone": lambda seed: _trained(coarse_from_fine(), seed, use_coarse=False),
    "two heads": lambda seed: _trained(two_heads(), seed),
    "two heads, rules.hierarchy(1)": lambda seed: _trained(two_heads(), seed, [_tree(1.0)]),
    "two heads, rules.sums(5)": lambda seed: _trained(two_heads(), seed, _sums(5.0)),
    "group from digit": lambda seed: _trained(coarse_from_fine(), seed),
}


def measure(network: keras.Model, seed: int) -> tuple[float, float, float]:
    """Returns both accuracies and the share of contradictions, in percent."""
    x, digit = _digits(seed)
    answers = network.predict(x[1050:], batch_size=1000, verbose=0)
    fine, coarse = (answers[name].argmax(-1) for name in ("fine", "coarse"))
    wanted = digit[1050:]
    checks = [fine == wanted, coarse == GROUPS[wanted], coarse != GROUPS[fine]]
    return tuple(100 * float(check.mean()) for check in checks)


def rows(seeds: Sequence[int]) -> list[tuple[str, ...]]:
    """Returns the table's rows, each of a way to train."""
    table = []
    for name, contender in CONTENDERS.items():
        scores = []
        for seed in seeds:
            keras.utils.set_random_seed(seed)
            scores.append(measure(contender(seed), seed))
        means, sds = np.mean(scores, axis=0), np.std(scores, axis=0)
        cells = [f"{mean:.1f} ± {sd:.1f}" for mean, sd in zip(means, sds, strict=True)]
        table.append((name, *cells))
    return table


if __name__ == "__main__":
    print(TITLE)
    for cells in [HEADER, *rows(range(5))]:
        print(f"{cells[0]:<34}" + "".join(f"{cell:<16}" for cell in cells[1:]))

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
import regimes_trials
import sklearn.datasets
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task, rules

TITLE = "Rules: digits in three groups, 50 labels of the digit and 1,000 of the group"
HEADER = ("training", "digit", "group", "contradictions")
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


def _tree(strength: float) -> rules.Rule:
    parents = {f"fine.{digit}": f"coarse.{group}" for digit, group in enumerate(GROUPS)}
    return rules.hierarchy(parents, strength, name="tree")


def _sums(strength: float) -> list[rules.Rule]:
    return [
        rules.sums(f"coarse.{group}", members, strength, name=f"sum_{group}")
        for group, members in enumerate(MEMBERS)
    ]


# How the network is built, the rules in training, and whether groups are learned.
CONTENDERS: dict[str, tuple[Callable[[], keras.Model], Sequence[rules.Rule], bool]] = {
    "digit alone": (coarse_from_fine, (), False),
    "two heads": (two_heads, (), True),
    "two heads, rules.hierarchy(1)": (two_heads, [_tree(1.0)], True),
    "two heads, rules.sums(5)": (two_heads, _sums(5.0), True),
    "group from digit": (coarse_from_fine, (), True),
}


class Trial:
    """Trains one contender, again and again with the graph of the first time."""

    def __init__(self, name: str) -> None:
        self.build, penalties, use_coarse = CONTENDERS[name]
        tasks = [FINE, COARSE if use_coarse else Task.multiclass("coarse", 3, weight=0.0)]
        self.model = mtl.BalancedModel(
            self.build(), tasks, mtl.balancers.Equal(), penalties=penalties
        )
        self.model.compile(keras.optimizers.Adam(2e-3), steps_per_execution=16)

    def run(self, seed: int) -> keras.Model:
        """Trains from new weights; returns the network."""
        keras.utils.set_random_seed(seed)
        regimes_trials.start_anew(self.model, self.build().get_weights())
        # One epoch of all of them: the beginning and the end of an epoch cost more than its steps.
        self.model.fit(_training_rows(seed).repeat(60), verbose=0, shuffle=False)
        return self.model.network


def measure(network: keras.Model, seed: int) -> tuple[float, float, float]:
    """Returns both accuracies and the share of contradictions."""
    x, digit = _digits(seed)
    answers = network(x[1050:])
    fine, coarse = (np.asarray(answers[name]).argmax(-1) for name in ("fine", "coarse"))
    wanted = digit[1050:]
    checks = [fine == wanted, coarse == GROUPS[wanted], coarse != GROUPS[fine]]
    return tuple(float(check.mean()) for check in checks)


def rows(seeds: Sequence[int]) -> list[tuple[str, ...]]:
    """Returns the table's rows, each of a way to train."""
    scores: dict[str, list[tuple[float, float, float]]] = {}
    for name in CONTENDERS:
        trial = Trial(name)
        for seed in seeds:
            scores.setdefault(name, []).append(measure(trial.run(seed), seed))
    return [(name, *regimes_trials.cells(values)) for name, values in scores.items()]


TABLES = {"rules": regimes_trials.Regime(TITLE, HEADER, rows)}

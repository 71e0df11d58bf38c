"""Digits with 50 labels: what rows that are moved by an adversary add, and noise of that length.

Each setting is trained on 50 rows with labels and 1,000 without, which only virtual adversarial
training reads. The attack on held-back rows is one step of length .5 along the gradient of the
loss of the trained network itself.
"""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import regimes_trials
import tensorflow as tf
from sklearn.datasets import load_digits

import keras_mtl as mtl
from keras_mtl.training import Adversarial, BatchHook, VirtualAdversarial

TITLE = "Digits, 50 labels: accuracy on held-back rows, and under an attack of length .5"
HEADER = ("setting", "clean", "under attack")
LENGTH, LABELED, UNLABELED, STEPS, BATCH = 0.5, 50, 1000, 600, 50
TASK = mtl.Task.multiclass("digit", 10)


@keras.saving.register_keras_serializable(package="benchmarks")
class Noise(BatchHook):
    """Appends rows that are moved in a random direction: the control of every claim."""

    def prepare(
        self, forward: Any, inputs: Any, labels: Any, sample_weights: Any, seed: Any
    ) -> Any:
        """Returns twice as many rows."""
        step = tf.math.l2_normalize(self.draw_normal(inputs, seed), axis=1)
        twice = [
            {name: tf.concat([value, value], 0) for name, value in arrays.items()}
            for arrays in (labels, sample_weights)
        ]
        return (tf.concat([inputs, inputs + LENGTH * step], 0), *twice)


# The hook, and how many rows without labels a batch has.
SETTINGS: dict[str, tuple[Callable[[], BatchHook | None], int]] = {
    "plain": (lambda: None, 0),
    "noise of the same length": (Noise, 0),
    "FGM": (lambda: Adversarial(LENGTH), 0),
    "PGD, 3 steps": (lambda: Adversarial(LENGTH, steps=3), 0),
    "VAT, labeled rows only": (lambda: VirtualAdversarial(LENGTH), 0),
    "VAT, with rows without labels": (lambda: VirtualAdversarial(LENGTH), 100),
}


def data(seed: int) -> tuple[Any, Any]:
    """Draws images and labels in a random order."""
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    return (digits.data[order] / 16.0).astype("float32"), digits.target[order]


def build(hook: BatchHook | None) -> mtl.BalancedModel:
    """Builds a network with the hook in its steps."""
    network = mtl.architectures.hard_sharing(keras.Input((64,)), [TASK], shared=(96,))
    model = mtl.BalancedModel(network, [TASK], mtl.balancers.Equal(), prepare=hook)
    model.compile(keras.optimizers.Adam(2e-3), steps_per_execution=50)
    return model


def run(model: mtl.BalancedModel, unlabeled: int, seed: int) -> tuple[float, float]:
    """Trains once, from new weights; returns both accuracies."""
    x, y = data(seed)
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    regimes_trials.start_anew(model, build(None).network.get_weights())
    network = model.network
    rows = np.stack(
        [
            np.concatenate(
                [
                    rng.permutation(LABELED)[:BATCH],
                    LABELED + rng.permutation(UNLABELED)[:unlabeled],
                ]
            )
            for _ in range(STEPS)
        ]
    ).ravel()
    weight = (rows < LABELED).astype("float32")
    model.fit(
        x[rows],
        {"digit": y[rows]},
        sample_weight={"digit": weight},
        batch_size=BATCH + unlabeled,
        shuffle=False,
        verbose=0,
    )
    x, y = tf.constant(x[LABELED + UNLABELED :]), y[LABELED + UNLABELED :]
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = network(x)["digit"]
        loss = keras.losses.sparse_categorical_crossentropy(y, outputs)
    attacked = x + LENGTH * tf.math.l2_normalize(tape.gradient(loss, x), axis=1)
    clean, attacked = (
        float(np.mean(np.argmax(p, axis=1) == y)) for p in (outputs, network(attacked)["digit"])
    )
    return clean, attacked


def rows(seeds: Iterable[int]) -> list[tuple[str, ...]]:
    """Returns the rows of the table: means and standard deviations over the seeds."""
    table: list[tuple[str, ...]] = []
    seeds = list(seeds)
    for setting, (make, unlabeled) in SETTINGS.items():
        model = build(make())
        measures = [run(model, unlabeled, seed) for seed in seeds]
        table.append((setting, *regimes_trials.cells(measures)))
    return table


TABLES = {"nearby": regimes_trials.Regime(TITLE, HEADER, rows)}

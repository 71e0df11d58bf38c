"""What resting does in a mixture: digits upright, and in every eighth batch turned.

Prints the accuracy of both tasks on held-back rows, with `BalancedModel(absent=...)`.
"""

import keras
import numpy as np
import regimes_trials
from sklearn.datasets import load_digits

import keras_mtl as mtl

TITLE = "Mixture of two sets, the second in every eighth batch: accuracy of both tasks"
HEADER = ("optimizer", "absent", "upright", "turned")
OPTIMIZERS = {
    "Adam": lambda: keras.optimizers.Adam(2e-3),
    "AdamW": lambda: keras.optimizers.AdamW(2e-3, weight_decay=0.05),
}


def data(seed):
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    images = (digits.images[order] / 16.0).astype("float32")
    turned = np.rot90(images, axes=(1, 2))
    labels = digits.target[order]
    return images.reshape(-1, 64), turned.reshape(-1, 64), labels


def build(optimizer, absent):
    """Builds a network of both tasks."""
    tasks = [mtl.Task.multiclass("upright", 10), mtl.Task.multiclass("turned", 10)]
    network = mtl.architectures.hard_sharing(keras.Input((64,)), tasks, shared=(64,), tower=(32,))
    model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal(), absent=absent)
    model.compile(OPTIMIZERS[optimizer](), steps_per_execution=50)
    return model


def train(model, seed, steps=800, batch=32):
    """Trains from new weights; returns the accuracy of both tasks."""
    upright, turned, labels = data(seed)
    keras.utils.set_random_seed(seed)
    regimes_trials.start_anew(model, build("Adam", "rest").network.get_weights())
    rng = np.random.default_rng(seed)
    xs, rows_of, present = [], [], []
    for step in range(steps):
        is_turned = step % 8 == 7
        rows = rng.integers(0, 150, batch) if is_turned else rng.integers(0, 700, batch)
        xs.append((turned if is_turned else upright)[rows])
        rows_of.append(labels[rows])
        present.append(np.full(batch, float(is_turned), "float32"))
    y, here = np.concatenate(rows_of), np.concatenate(present)
    model.fit(
        np.concatenate(xs),
        {"upright": y, "turned": y},
        sample_weight={"upright": 1 - here, "turned": here},
        batch_size=batch,
        shuffle=False,
        verbose=0,
    )
    scores = []
    for task, x in (("upright", upright), ("turned", turned)):
        predicted = np.asarray(model.network(x[900:])[task]).argmax(axis=1)
        scores.append(float(np.mean(predicted == labels[900:])))
    return scores


def rows(seeds):
    """Returns one row per optimizer and option: means and standard deviations over seeds."""
    table = []
    for optimizer in OPTIMIZERS:
        for absent in ("rest", "drift"):
            model = build(optimizer, absent)
            scores = [train(model, seed) for seed in seeds]
            table.append((optimizer, absent, *regimes_trials.cells(scores)))
    return table


TABLES = {"stages": regimes_trials.Regime(TITLE, HEADER, rows, keys=2)}

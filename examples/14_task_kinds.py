"""Kinds of tasks in one network: stars, minutes, money, relapse.

The rows are made up: a customer's features, and what he does. Labels are missing here and there.
Run it from a checkout: python examples/14_task_kinds.py [--epochs 30]
"""

import argparse

import keras
import numpy as np
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task

BINS = [1.0, 2.0, 4.0, 8.0]


def make_rows(count, seed):
    """Returns features and labels; a fifth of the labels is missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 8)).astype("float32")
    taste, haste, wealth = x[:, 0], x[:, 1], x[:, 2]
    noise = rng.normal(size=(4, count))
    event, end = np.exp(1 - taste + 0.5 * noise[3]), rng.uniform(1, 8, count)
    labels = {
        "stars": np.clip(np.round(2 + 1.2 * taste + 0.5 * noise[0]), 0, 4),
        "minutes": np.exp(2 - 0.5 * haste + 0.4 * noise[1]),
        "spent": np.where(wealth + noise[2] > 0, np.exp(1 + wealth + 0.5 * noise[1]), 0.0),
        "relapse": np.stack([np.minimum(event, end), event <= end], axis=-1),
    }
    for values in labels.values():
        values[rng.random(count) < 0.2] = np.nan
    return x, {name: values.astype("float32") for name, values in labels.items()}


def main(epochs=30, rows=2000):
    """Trains all kinds at once and prints what is served for three rows."""
    keras.utils.set_random_seed(0)
    tasks = [
        Task.ordinal("stars", 5, metrics=["rank_mae", "kappa"]),
        Task.quantiles("minutes", [0.1, 0.5, 0.9], scale="log"),
        Task.zero_inflated("spent", metrics=["mae", "spearman"]),
        Task.survival("relapse", BINS),
    ]
    train, test = (
        mtl.data.mask_missing(
            tf.data.Dataset.from_tensor_slices(make_rows(count, seed)).batch(64), tasks
        )
        for count, seed in ((rows, 0), (rows // 2, 1))
    )
    mtl.data.describe(train, tasks)
    tasks = mtl.data.fit_scales(train, tasks)
    network = mtl.architectures.hard_sharing(keras.Input((8,)), tasks, shared=(32,), tower=(16,))
    model = mtl.BalancedModel(network, tasks, mtl.balancers.Uncertainty())
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(train, epochs=epochs, verbose=0)
    scores = model.evaluate(test, verbose=0, return_dict=True)
    for task in tasks:
        print(
            task.name, {name: round(scores[f"{task.name}_{name}"], 3) for name in task.metric_names}
        )
    x, _ = make_rows(3, 2)
    for name, values in network.predict(x, verbose=0).items():
        print(name, np.round(np.float64(values), 2).tolist())
    return scores


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    main(**vars(parser.parse_args()))

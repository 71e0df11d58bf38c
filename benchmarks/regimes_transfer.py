"""A second task for a trained network: what it learns, and what the first one forgets.

Task `upright` is the digit of an image of 8 x 8 pixels (scikit-learn's, 700 rows), task `rotated`
the digit of an image that is turned by a quarter (300 other rows). The trunk is one layer of 64
ReLUs. The network learns `upright` first; then `rotated` is added by `transfer.add_task`, and the
two are measured on the 797 rows that remain, upright and turned.
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
from keras_mtl import Task, transfer

TITLE = "Transfer: digits upright, then turned (accuracy; mean and sd over seeds)"
HEADER = ("training on the second task", "upright", "rotated")
UPRIGHT = Task.multiclass("upright", 10, metrics=["accuracy"])
ROTATED = Task.multiclass("rotated", 10, metrics=["accuracy"])
TASKS = [UPRIGHT, ROTATED]

Arrays = dict[str, Any]


@functools.cache
def _digits(seed: int) -> tuple[Arrays, Arrays, Arrays]:
    """Returns 700 upright rows, 300 turned ones, and 797 rows for the test."""
    digits = sklearn.datasets.load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    images = (digits.images[order] / 16.0).astype("float32")
    labels = digits.target[order]
    turned = np.rot90(images, axes=(1, 2))
    pick = {"first": slice(700), "second": slice(700, 1000), "test": slice(1000, None)}
    parts = [
        {"x": source[pick[part]].reshape(-1, 64), "y": labels[pick[part]]}
        for source, part in ((images, "first"), (turned, "second"), (images, "test"))
    ]
    parts[2]["turned"] = turned[pick["test"]].reshape(-1, 64)
    return parts[0], parts[1], parts[2]


def rows_of(task: Task, rows: Arrays) -> tf.data.Dataset:
    """Returns rows with the labels of one of the two tasks."""
    labels = {name.name: np.full(len(rows["y"]), np.nan) for name in TASKS}
    labels[task.name] = rows["y"].astype("float64")
    return tf.data.Dataset.from_tensor_slices((rows["x"], labels))


def batches(*datasets: tf.data.Dataset, seed: int) -> tf.data.Dataset:
    """Returns shuffled batches of some datasets, with missing labels masked."""
    joined = functools.reduce(lambda one, other: one.concatenate(other), datasets)
    shuffled = joined.shuffle(2000, seed=seed).batch(50)
    return mtl.data.mask_missing(shuffled, TASKS)


def train(
    network: keras.Model,
    dataset: tf.data.Dataset,
    optimizer: Any = None,
    tasks: Sequence[Task] = (UPRIGHT, ROTATED),
    **options: Any,
) -> None:
    """Trains a network of both tasks for 150 epochs."""
    epochs = options.pop("epochs", 150)
    model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal(), **options)
    model.compile(keras.optimizers.Adam(2e-3) if optimizer is None else optimizer)
    # One epoch of all of them: the beginning and the end of an epoch cost more than its six steps.
    model.fit(dataset.repeat(epochs), verbose=0, shuffle=False)


def trained_on_the_first(seed: int) -> keras.Model:
    """Returns a network that has learned the upright digits alone."""
    keras.utils.set_random_seed(seed)
    first, _, _ = _digits(seed)
    network = mtl.architectures.hard_sharing(
        keras.Input((64,), name="x"), [UPRIGHT], shared=(64,), tower=()
    )
    network.compile(keras.optimizers.Adam(2e-3), loss="sparse_categorical_crossentropy")
    network.fit(first["x"], {"upright": first["y"]}, batch_size=50, epochs=40, verbose=0)
    return network


def measure(network: keras.Model, seed: int) -> tuple[float, float]:
    """Returns the accuracies of both tasks on the test rows."""
    test = _digits(seed)[2]
    answers = [network.predict(test[key], verbose=0, batch_size=1000) for key in ("x", "turned")]
    scores = [
        float((answer[name].argmax(-1) == test["y"]).mean())
        for name, answer in zip(("upright", "rotated"), answers, strict=True)
        if name in answer
    ]
    return (scores[0], scores[1] if len(scores) > 1 else float("nan"))


def frozen(network: keras.Model, seed: int) -> keras.Model:
    """Trains a new head on the frozen network."""
    larger = transfer.add_task(network, ROTATED, at="shared_body_0", freeze="*")
    train(larger, batches(rows_of(ROTATED, _digits(seed)[1]), seed=seed))
    return larger


def naive(network: keras.Model, seed: int, optimizer: Any = None) -> keras.Model:
    """Trains everything on the rows of the new task."""
    larger = transfer.add_task(network, ROTATED, at="shared_body_0")
    optimizer = optimizer and optimizer(larger)
    train(larger, batches(rows_of(ROTATED, _digits(seed)[1]), seed=seed), optimizer)
    return larger


def slow_trunk(network: keras.Model, seed: int) -> keras.Model:
    """Trains everything on the rows of the new task, the trunk with a smaller rate."""
    return naive(
        network, seed, lambda larger: transfer.discriminative(keras.optimizers.Adam(2e-3), larger)
    )


def remembering(network: keras.Model, seed: int, rule: str, strength: float) -> keras.Model:
    """Trains everything on the rows of the new task, near what was learned."""
    first, second, _ = _digits(seed)
    old = tf.data.Dataset.from_tensor_slices((first["x"], {"upright": first["y"]})).batch(100)
    penalty = transfer.remember(network, old, [UPRIGHT], rule, strength=strength)
    larger = transfer.add_task(network, ROTATED, at="shared_body_0")
    train(larger, batches(rows_of(ROTATED, second), seed=seed), penalties=[penalty])
    return larger


def without_forgetting(network: keras.Model, seed: int) -> keras.Model:
    """Trains everything on the rows of the new task, which the old network labels too."""
    larger = transfer.add_task(network, ROTATED, at="shared_body_0")
    labeled = batches(rows_of(ROTATED, _digits(seed)[1]), seed=seed)
    taught = transfer.with_teachers(labeled, {"upright": network}, TASKS)
    train(larger, taught, tasks=[transfer.taught(UPRIGHT, temperature=2.0), ROTATED])
    return larger


def rehearsal(network: keras.Model, seed: int, share: float = 0.05) -> keras.Model:
    """Trains everything on the rows of the new task, and on a part of the old ones."""
    first, second, _ = _digits(seed)
    kept = {key: values[: round(share * len(values))] for key, values in first.items()}
    larger = transfer.add_task(network, ROTATED, at="shared_body_0")
    train(larger, batches(rows_of(ROTATED, second), rows_of(UPRIGHT, kept), seed=seed))
    return larger


def joint(network: keras.Model, seed: int) -> keras.Model:
    """Trains everything on all rows of both tasks."""
    return rehearsal(network, seed, 1.0)


CONTENDERS: dict[str, Callable[[keras.Model, int], keras.Model]] = {
    "none (before it)": lambda network, seed: network,
    "head on the frozen trunk": frozen,
    "everything": naive,
    "everything, discriminative(factor=2.6)": slow_trunk,
    "everything, with_teachers(T=2)": without_forgetting,
    "everything, remember('ewc', 100)": lambda n, seed: remembering(n, seed, "ewc", 100.0),
    "everything, remember('ewc', 1000)": lambda n, seed: remembering(n, seed, "ewc", 1000.0),
    "everything, remember('l2_sp', 0.1)": lambda n, seed: remembering(n, seed, "l2_sp", 0.1),
    "everything, with 5 % of the old rows": rehearsal,
    "everything, with all old rows": joint,
}


def rows(seeds: Sequence[int]) -> list[tuple[str, ...]]:
    """Returns the table's rows, each of a way to train."""
    scores: dict[str, list[tuple[float, float]]] = {}
    for seed in seeds:
        first = trained_on_the_first(seed)
        for name, contender in CONTENDERS.items():
            start = keras.models.clone_model(first)
            start.set_weights(first.get_weights())
            scores.setdefault(name, []).append(measure(contender(start, seed), seed))
    return [(name, *regimes_trials.cells(values)) for name, values in scores.items()]


TABLES = {"transfer": regimes_trials.Regime(TITLE, HEADER, rows)}

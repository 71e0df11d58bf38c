"""A fair contest on real data: equal size and trials, choices by validation rows, and seeds."""

import dataclasses
import functools
import sys
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task, architectures, data

from .networks import risk

BATCH = 1024
RATES, DECAY = (1e-3, 3e-3), 1e-2  # learning rates that all try, and the decay of variables
SINGLE, BASE = "one for each task", "hard sharing"


@dataclasses.dataclass(frozen=True)
class Rows:
    """Holds inputs, labels by task (NaN where one is not known), and the user of each row."""

    inputs: dict | np.ndarray
    labels: dict
    users: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Problem:
    """Holds three parts of rows, the tasks that are judged, and how a network reads the inputs.

    Args:
        name: The title of the tables.
        train: Rows to learn from.
        validation: Rows for all choices.
        test: Rows for the tables alone.
        tasks: Binary tasks, whose labels in the test part are judged.
        features: Makes the features of a new network.
        stem: Makes the inputs of a new network, and what `architectures.stem` embeds them by.
        budget: The largest number of parameters of a network.
        table: `(rows, kind)` -> a matrix, for `"linear"` or `"trees"`.
        chain: The names of click, conversion given a click, and both. Empty: no task implies
            another, and networks that multiply probabilities are left out.
        order: The order in which AITM hands features on; by default click and both.
        extra: A further task, for a row of hard sharing that learns it too.
    """

    name: str
    train: Rows
    validation: Rows
    test: Rows
    tasks: list
    features: Callable
    stem: Callable
    budget: int
    table: Callable
    chain: tuple = ()
    order: tuple = ()
    extra: Task | None = None


def _stem(problem, w):
    inputs, embedding = problem.stem()
    return architectures.stem(
        inputs, problem.tasks, embedding=embedding, expert=(w,), tower=(w // 2,)
    )


def contenders(problem):
    """Returns by name the networks to train: each a function of the width, and its tasks."""
    tasks, features = problem.tasks, problem.features

    def builder(build, tasks, arguments):
        return (lambda w: build(features(), tasks, **arguments(w))), tasks

    def sharing(w):
        return {"shared": (2 * w, w), "tower": (w // 2,)}

    def expert(w):
        return {"expert": (w,), "tower": (w // 2,)}

    ple = {"num_levels": 1, "num_shared_experts": 1, "num_task_experts": 1}
    result = {
        SINGLE: [
            builder(architectures.single_task, [t], lambda w: {"tower": (2 * w, w, w // 2)})
            for t in tasks
        ],
        BASE: [builder(architectures.hard_sharing, tasks, sharing)],
        "MMoE": [builder(architectures.mmoe, tasks, lambda w: {"num_experts": 3} | expert(w))],
        "PLE": [builder(architectures.ple, tasks, lambda w: ple | expert(w))],
        "STEM": [(lambda w: _stem(problem, w), tasks)],
    }
    if problem.order:
        steps, calibrator = [next(t for t in tasks if t.name == n) for n in problem.order], 0.0
    else:
        click, conversion, purchase = (Task.binary(name, metrics=()) for name in problem.chain)
        steps, calibrator = [click, purchase], 0.6
    result["AITM"] = [
        builder(architectures.aitm, steps, lambda w: sharing(w) | {"calibrator": calibrator})
    ]
    if problem.chain:
        chain = [click, dataclasses.replace(conversion, weight=0), purchase]
        result["ESMM"] = [builder(architectures.esmm, chain, sharing)]
        for name, kind in (("ESCM2, IPS", "ips"), ("ESCM2, DR", "dr")):
            result[name] = [builder(architectures.escm2, [*chain, risk(kind)], sharing)]
    if problem.extra:
        both = [*tasks, problem.extra]
        result[f"{BASE}, and {problem.extra.name}"] = [
            builder(architectures.hard_sharing, both, sharing)
        ]
    return result


def fitted_width(build, budget):
    """Finds the largest width, a multiple of 4, whose network stays within the budget.

    Raises:
        ValueError: If the smallest network has more parameters.
    """
    low, high = 1, 128
    if build(4).count_params() > budget:
        raise ValueError(f"no network of the kind has at most {budget} parameters.")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if build(4 * middle).count_params() <= budget else (low, middle)
    return 4 * low


def predict(network, inputs, batch=4096):
    """Returns predictions by task, without the last axis."""
    batches = tf.data.Dataset.from_tensor_slices(inputs).batch(batch)
    parts = [network(x, training=False) for x in batches]
    return {name: np.concatenate([p[name] for p in parts])[:, 0] for name in parts[0]}


def complete(guess, chain):
    """Adds the one of conversion and purchase that a network of the chain does not predict."""
    if not chain or chain[0] not in guess:
        return guess
    click, conversion, purchase = chain
    if conversion in guess and purchase not in guess:
        return guess | {purchase: guess[click] * guess[conversion]}
    if purchase in guess and conversion not in guess:
        rate = np.minimum(guess[purchase] / np.maximum(guess[click], 1e-6), 1)
        return guess | {conversion: rate}
    return guess


def log_loss(labels, guess):
    """Computes the log loss over the rows whose label is known."""
    known = ~np.isnan(labels)
    p = np.clip(guess[known].astype(float), 1e-6, 1 - 1e-6)
    return float(-np.mean(np.where(labels[known] == 1, np.log(p), np.log1p(-p))))


class Best(keras.callbacks.Callback):
    """Keeps the variables of the epoch with the lowest mean log loss of the validation rows."""

    def __init__(self, problem):
        super().__init__()
        self.problem, self.loss, self.epoch, self.kept = problem, np.inf, 0, None

    def on_epoch_end(self, epoch, logs=None):
        rows = self.problem.validation
        guess = complete(predict(self.model, rows.inputs), self.problem.chain)
        names = [task.name for task in self.problem.tasks if task.name in guess]
        loss = np.mean([log_loss(rows.labels[name], guess[name]) for name in names])
        if loss < self.loss:
            self.loss, self.epoch, self.kept = loss, epoch + 1, self.model.get_weights()

    def on_train_end(self, logs=None):
        self.model.set_weights(self.kept)


def _batches(problem, tasks):
    """Returns training batches in a new order each epoch, gathered batch by batch."""
    rows, labels = problem.train, problem.train.labels
    if any(task.name == "risk" for task in tasks):
        click, _, purchase = problem.chain
        labels = labels | {"risk": labels[click] + labels[purchase]}
    values = keras.tree.map_structure(
        tf.constant, (rows.inputs, {task.name: labels[task.name] for task in tasks})
    )
    count = len(next(iter(labels.values())))
    places = tf.data.Dataset.range(count).shuffle(count).batch(BATCH)
    batches = places.map(lambda i: keras.tree.map_structure(lambda v: tf.gather(v, i), values))
    return data.mask_missing(batches, tasks).prefetch(2)


class Trainer:
    """Trains networks of one kind, which differ in the learning rate and the seed.

    There is one network, whose variables begin anew for each training, so that its step is traced
    once: on few rows, tracing takes longer than training.
    """

    def __init__(self, problem, build, tasks, epochs):
        keras.backend.clear_session()
        self.problem, self.build, self.tasks, self.epochs = problem, build, tasks, epochs
        self.network, self.optimizer = build(), keras.optimizers.AdamW(weight_decay=DECAY)
        self.network.compile(self.optimizer, steps_per_execution=16, **mtl.compile_args(tasks))

    def fit(self, rate, seed):
        """Trains with plain Keras; returns the best epoch, whose variables the network then has."""
        keras.utils.set_random_seed(seed)
        # The states of random layers are among these variables too.
        for variable, start in zip(self.network.variables, self.build().variables, strict=True):
            variable.assign(start)
        for variable in self.optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
        self.optimizer.learning_rate = rate
        best, batches = Best(self.problem), _batches(self.problem, self.tasks)
        self.network.fit(batches, epochs=self.epochs, callbacks=[best], verbose=0, shuffle=False)
        return best


def run(problem, name, seeds, epochs):
    """Returns the test predictions by task `[S, n]` of a contender.

    Seed 0 trains with every rate; validation rows choose the one that the other seeds train with.
    """
    runs = [{} for _ in range(seeds)]
    for build, tasks in contenders(problem)[name]:
        width = fitted_width(build, problem.budget)
        trainer = Trainer(problem, functools.partial(build, width), tasks, epochs)

        def fit(rate, seed, trainer=trainer):
            return trainer.fit(rate, seed), predict(trainer.network, problem.test.inputs)

        fits = {rate: fit(rate, 0) for rate in RATES}
        chosen = min(RATES, key=lambda rate: fits[rate][0].loss)
        fits = [fits[chosen], *(fit(chosen, seed) for seed in range(1, seeds))]
        for seed, (_, guess) in enumerate(fits):
            runs[seed] |= guess
        text = f"{name}, {'+'.join(task.name for task in tasks)}: rate {chosen}"
        losses = " ".join(f"{best.loss:.4f} (epoch {best.epoch})" for best, _ in fits)
        count = trainer.network.count_params()
        print(f"{text}, {count:,} parameters, {losses}", file=sys.stderr, flush=True)
    runs = [complete(guess, problem.chain) for guess in runs]
    return {task.name: np.stack([guess[task.name] for guess in runs]) for task in problem.tasks}

"""Teachers on the rows that they were trained on themselves: four questions about a digit.

150 labeled images of 8 x 8 pixels and no others; accuracy, mean of the four tasks, on the rest. The
teacher is a network of 64 ReLUs for each task; the student has one such layer for
all. `share` is the part of the label beside that of the teacher's answer.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import regimes_trials
import tensorflow as tf
from sklearn.datasets import load_digits

import keras_mtl as mtl
from keras_mtl import Task, transfer

TITLE = "Four yes-or-no tasks of digits, 150 rows: mean accuracy without and with teachers"
HEADER = ("training", "accuracy")
ROWS, BATCH_SIZE, STEPS = 150, 50, 400
QUESTIONS = {"odd": [1, 3, 5, 7, 9], "prime": [2, 3, 5, 7], "round": [0, 6, 8, 9], "low": range(5)}
TASKS = [Task.binary(name) for name in QUESTIONS]
TAUGHT = [transfer.taught(task) for task in TASKS]


class Trial:
    """Trains one kind of network, again and again with the graph of the first time."""

    def __init__(self, is_shared: bool, tasks: Sequence[Task]) -> None:
        self.is_shared, self.tasks = is_shared, tasks
        self.network = self.make()
        self.network.compile(
            keras.optimizers.Adam(2e-3), steps_per_execution=40, **mtl.compile_args(tasks)
        )

    def make(self) -> keras.Model:
        """Builds the network anew."""
        inputs = keras.Input((64,))
        if self.is_shared:
            return mtl.architectures.hard_sharing(inputs, self.tasks, shared=(64,), tower=())
        return mtl.architectures.single_task(inputs, self.tasks, tower=(64,))

    def run(self, rows: tf.data.Dataset) -> keras.Model:
        """Trains from new weights; returns a copy of the network."""
        regimes_trials.start_anew(self.network, self.make().get_weights())
        self.network.fit(rows, verbose=0, shuffle=False)
        trained = self.make()
        trained.set_weights(self.network.get_weights())
        return trained


def batches(x: Any, labels: dict[str, Any], seed: int) -> tf.data.Dataset:
    """Returns all batches of a training."""
    rows = tf.data.Dataset.from_tensor_slices((x, labels)).shuffle(len(x), seed=seed)
    rows = rows.batch(BATCH_SIZE, drop_remainder=True).repeat().take(STEPS)
    return mtl.data.mask_missing(rows, TASKS)


class Contest:
    """All contenders, which share graphs."""

    def __init__(self) -> None:
        self.alone, self.shared = Trial(False, TASKS), Trial(True, TASKS)
        self.student = Trial(True, TAUGHT)

    def run(self, seed: int) -> dict[str, keras.Model]:
        """Returns the trained networks by contender."""
        x, labels = data(seed)
        x, labels = x[:ROWS], {name: y[:ROWS] for name, y in labels.items()}
        rows = batches(x, labels, seed)
        keras.utils.set_random_seed(seed)
        teacher = self.alone.run(rows)
        teachers = {task.name: teacher for task in TASKS}
        half = transfer.with_teachers(rows, teachers, TASKS, share=0.5)
        annealed = transfer.with_teachers(rows, teachers, TASKS, annealing=STEPS)
        unseen = transfer.out_of_fold(
            lambda x, y, _: self.alone.run(batches(x, y, seed)), x, labels, tasks=TASKS
        )
        mixed = {name: (y + unseen[name][:, 0]) / 2 for name, y in labels.items()}
        soft = tf.data.Dataset.from_tensor_slices((x, mixed)).shuffle(ROWS, seed=seed)
        return {
            "a network for each task": teacher,
            "hard sharing": self.shared.run(rows),
            "with_teachers(share=.5)": self.student.run(half),
            "with_teachers(annealing)": self.student.run(annealed),
            "teachers out of fold, half": self.student.run(
                soft.batch(BATCH_SIZE).repeat().take(STEPS)
            ),
        }


def data(seed: int) -> tuple[Any, dict[str, Any]]:
    """Returns images and labels of all tasks in the order of the seed."""
    images, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(digits))
    labels = {
        name: np.isin(digits[order], list(those)).astype("float32")
        for name, those in QUESTIONS.items()
    }
    return images[order].astype("float32") / 16, labels


def measure(network: keras.Model, seed: int) -> list[float]:
    """Returns the mean accuracy of the tasks on the rest."""
    x, labels = data(seed)
    answers = network(x[ROWS:])
    hits = [
        np.mean((np.asarray(answers[name])[:, 0] > 0.5) == y[ROWS:]) for name, y in labels.items()
    ]
    return [float(np.mean(hits))]


def rows(seeds: Sequence[int]) -> list[tuple[str, ...]]:
    """Returns the rows of the table: a way to train, and its accuracy over the seeds."""
    contest = Contest()
    scores: dict[str, list[list[float]]] = {}
    for seed in seeds:
        for name, network in contest.run(seed).items():
            scores.setdefault(name, []).append(measure(network, seed))
    return [(name, *regimes_trials.cells(values)) for name, values in scores.items()]


TABLES = {"teachers": regimes_trials.Regime(TITLE, HEADER, rows, seeds=4)}

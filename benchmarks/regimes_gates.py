"""An auxiliary task that helps and one that is noise, under rules that may keep it out.

Digits with 60 labels of the main task (which of ten) on 660 images of 8 x 8 pixels; the auxiliary
task (even or odd, or a random bit) is labeled on all of them. Accuracy of the main task on the
rest, mean and standard deviation over the seeds, and the share of steps with an open gate.
"""

from collections.abc import Callable, Iterable

import keras
import numpy as np
import regimes_trials
from sklearn.datasets import load_digits

import keras_mtl as mtl

TITLE = "Digits, 60 labels: accuracy of the main task, and the share of steps with an open gate"
HEADER = ("rule", "even or odd", "a random bit", "open", "open, random bit")
LABELED, ROWS, EPOCHS, BATCH_SIZE = 60, 660, 40, 66
TASKS = [mtl.Task.multiclass("digit", 10), mtl.Task.binary("auxiliary")]

RULES: dict[str, Callable[[], mtl.balancers.Balancer]] = {
    "alone": lambda: mtl.balancers.Fixed({"digit": 1.0, "auxiliary": 0.0}),
    "sum": mtl.balancers.Equal,
    "gate": lambda: mtl.balancers.GradientGate(main="digit", ema=0.0),
    "gate, average": lambda: mtl.balancers.GradientGate(main="digit"),
    "gate, weighted": lambda: mtl.balancers.GradientGate(main="digit", weighted=True, ema=0.0),
    "PCGrad": mtl.balancers.PCGrad,
    "AdaTask": mtl.balancers.AdaTask,
}


class OpenSteps(keras.callbacks.Callback):
    """Counts the steps in which the auxiliary task has a weight above 0."""

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Begins a new count."""
        self.open: list[bool] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Looks at the weights of the step."""
        self.open.append(self.model.task_weights["auxiliary"] > 0)


def _network() -> keras.Model:
    return mtl.architectures.hard_sharing(keras.Input((64,)), TASKS, shared=(64,), tower=())


def _optimizer(rule: str) -> keras.optimizers.Optimizer:
    """Returns Adam; for AdaTask, which takes Adam's steps itself, SGD for the shared layers."""
    if rule != "AdaTask":
        return keras.optimizers.Adam(2e-3)
    shared = {"shared_.*": keras.optimizers.SGD(2e-3)}
    optimizer_map = keras.optimizers.OptimizerMap(keras.optimizers.Adam(2e-3), shared)
    return keras.optimizers.MultiOptimizer(optimizer_map)


class Trial:
    """Trains a network under one rule, again and again with the graph of the first time."""

    def __init__(self, rule: str) -> None:
        is_gate = rule.startswith("gate")
        self.model = mtl.BalancedModel(_network(), TASKS, RULES[rule]())
        self.model.compile(
            _optimizer(rule), steps_per_execution=1 if is_gate else ROWS // BATCH_SIZE
        )
        self.counter = OpenSteps() if is_gate else None
        self.balancer_start = self.model.balancer.get_weights()

    def _reset(self, seed: int) -> None:
        keras.utils.set_random_seed(seed)
        regimes_trials.start_anew(self.model, _network().get_weights())
        self.model.balancer.set_weights(self.balancer_start)

    def run(self, helpful: bool, seed: int) -> tuple[float, float]:
        """Returns the accuracy of the main task, and the share of steps with an open gate."""
        images, digits = load_digits(return_X_y=True)
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(digits))
        images, digits = images[order].astype("float32") / 16, digits[order]
        auxiliary = digits % 2 if helpful else rng.integers(2, size=len(digits))
        self._reset(seed)
        self.model.fit(
            images[:ROWS],
            {"digit": digits[:ROWS], "auxiliary": auxiliary[:ROWS]},
            sample_weight={
                "digit": (np.arange(ROWS) < LABELED).astype("float32"),
                "auxiliary": np.ones(ROWS, "float32"),
            },
            batch_size=BATCH_SIZE,
            epochs=EPOCHS,
            verbose=0,
            callbacks=[self.counter] if self.counter else [],
        )
        predicted = np.asarray(self.model.network(images[ROWS:])["digit"]).argmax(axis=1)
        is_open = self.counter.open if self.counter else [np.nan]
        return float(np.mean(predicted == digits[ROWS:])), float(np.mean(is_open))


def rows(seeds: Iterable[int]) -> list[tuple[str, ...]]:
    """Returns the rows of the table: a rule, and its accuracy beside help and beside noise."""
    table: list[tuple[str, ...]] = []
    seeds = list(seeds)
    for rule in RULES:
        trial = Trial(rule)
        helped, noisy = ([trial.run(helps, seed) for seed in seeds] for helps in (True, False))
        figures = np.array([helped, noisy]).transpose(1, 2, 0)  # by seed: scores, then shares
        table.append((rule, *regimes_trials.cells(figures.reshape(len(seeds), 4))))
    return table


TABLES = {"gates": regimes_trials.Regime(TITLE, HEADER, rows)}

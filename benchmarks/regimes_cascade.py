"""A cascade in stages: four classes of 2,000 rows, and a number that follows from them, of 100.

The number depends on the class and is noisy: from 100 rows alone hardly anything is learned of it.
Its error is a part of the variance of the labels, on 2,000 other rows. The noise was chosen so that
frozen stages have the error of the anchor, whose rows are not known; the other lines follow.
"""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import regimes_trials

import keras_mtl as mtl
from keras_mtl import Task
from keras_mtl.callbacks import Stage, Stages

TITLE = "A noisy number that follows from a class: accuracy of classes, error of numbers"
HEADER = ("training", "accuracy of classes", "error of numbers")
ROWS, LABELED, COLUMNS, EPOCHS, BATCH_SIZE = 2000, 100, 20, 30, 100
NOISE = 0.6
KIND, PRICE = Task.multiclass("kind", 4), Task.regression("price")
BOTH = [KIND, PRICE]

KINDS, PRICES = (["kind"], "shared_*|kind_*"), (["price"], "price_*")
FROZEN = [Stage(*KINDS, epochs=15, name="kinds"), Stage(*PRICES, epochs=15, name="prices")]
STAGED = [
    Stage(*KINDS, epochs=10, name="kinds"),
    Stage(*PRICES, epochs=10, name="prices"),
    Stage(learning_rate=3e-4, epochs=10, name="both, slowly"),
]

# The network, and the stages.
SETTINGS: dict[str, tuple[str, list[Stage]]] = {
    "the number alone": ("alone", []),
    "hard sharing": ("hard sharing", []),
    "cascade, end to end": ("cascade", []),
    "cascade, stopped gradients": ("stopped", []),
    "cascade, frozen stages": ("cascade", FROZEN),
    "cascade, staged": ("cascade", STAGED),
}


def draw(seed: int) -> tuple[Any, dict[str, Any]]:
    """Draws inputs, and the labels of both tasks."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2 * ROWS, COLUMNS)).astype("float32")
    chances = x @ rng.normal(size=(COLUMNS, 4)) + 1.2 * rng.gumbel(size=(2 * ROWS, 4))
    kind = chances.argmax(axis=1)
    price = np.array([-1.5, 0.5, -0.5, 1.5])[kind] + rng.normal(0, NOISE, 2 * ROWS)
    return x, {"kind": kind, "price": price.astype("float32")}


def build(network: str) -> keras.Model:
    """Builds one of the networks, with new weights."""
    inputs = keras.Input((COLUMNS,))
    if network == "alone":
        return mtl.architectures.hard_sharing(inputs, [PRICE], shared=(32,))
    if network == "hard sharing":
        return mtl.architectures.hard_sharing(inputs, BOTH, shared=(32,))
    return mtl.architectures.cascade(inputs, BOTH, shared=(32,), stop_gradient=network == "stopped")


class Trial:
    """Trains one of the networks, again and again with the graph of the first time."""

    def __init__(self, network: str) -> None:
        self.name = network
        self.tasks = [PRICE] if network == "alone" else BOTH
        self.model = mtl.BalancedModel(build(network), self.tasks, mtl.balancers.Equal())
        self.model.compile(keras.optimizers.Adam(3e-3), steps_per_execution=ROWS // BATCH_SIZE)

    def run(self, stages: list[Stage], seed: int) -> tuple[float, float]:
        """Returns the accuracy of classes, and the error of numbers."""
        keras.utils.set_random_seed(seed)
        regimes_trials.start_anew(self.model, build(self.name).get_weights())
        x, labels = draw(seed)
        weights = {"kind": np.ones(ROWS), "price": 1.0 * (np.arange(ROWS) < LABELED)}
        names = [task.name for task in self.tasks]
        self.model.fit(
            x[:ROWS],
            {name: labels[name][:ROWS] for name in names},
            sample_weight={name: weights[name] for name in names},
            batch_size=BATCH_SIZE,
            epochs=EPOCHS,
            callbacks=[Stages(stages)] if stages else [],
            verbose=0,
        )
        answers = {name: np.asarray(y) for name, y in self.model.network(x[ROWS:]).items()}
        price, right = labels["price"][ROWS:], np.nan
        if "kind" in answers:
            right = float(np.mean(answers["kind"].argmax(axis=1) == labels["kind"][ROWS:]))
        return right, float(np.mean((answers["price"][:, 0] - price) ** 2) / np.var(price))


def rows(seeds: Iterable[int]) -> list[tuple[str, ...]]:
    """Returns the rows of the table: a way to train, and its figures over the seeds."""
    table: list[tuple[str, ...]] = []
    trials: dict[str, Trial] = {}
    seeds = list(seeds)
    for setting, (network, stages) in SETTINGS.items():
        if network not in trials:
            trials[network] = Trial(network)
        scores = [trials[network].run(stages, seed) for seed in seeds]
        table.append((setting, *regimes_trials.cells(scores)))
    return table


TABLES = {"cascade": regimes_trials.Regime(TITLE, HEADER, rows)}

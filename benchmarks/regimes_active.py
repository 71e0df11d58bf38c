"""Which labels are bought: of one task beside random rows, and of three tasks.

First a logistic regression of scikit-learn on digits (8 x 8 pixels, C = 10), which begins with 20
random labels and buys 20 at a time. Then one network with three tasks (which digit, odd or even,
zero or not), which begins with 60 random labels of any task and buys 60 at a time; a label of the
digit costs 2, those of the others 1. The network, one layer of 64 ReLUs with dropout of .2, is
trained anew after each purchase.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import regimes_trials
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import keras_mtl as mtl
from keras_mtl import active

COUNTS = (40, 60, 80, 100, 160)
BUDGETS = (120, 180, 240, 300, 360)
STEPS = 250
TASKS = [
    mtl.Task.multiclass("digit", 10),
    mtl.Task.binary("odd"),
    mtl.Task.binary("zero"),
]
COSTS = {"digit": 2.0, "odd": 1.0, "zero": 1.0}
CONTENDERS: dict[str, tuple[str, Any]] = {
    "random": ("random", None),
    "margin": ("margin", None),
    "margin, equal numbers": ("margin", COSTS),
    "margin, one budget": ("margin", "as scored"),
    "BADGE": ("badge", None),
    "BADGE, one budget": ("badge", "as scored"),
}


@functools.cache
def digits(seed: int) -> tuple[Any, Any, Any, Any]:
    """Returns images and labels of the pool, and of 597 rows for the test."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    images, labels = (images[order] / 16.0).astype("float32"), labels[order]
    return images[:1200], labels[:1200], images[1200:], labels[1200:]


def chances_of(model: LogisticRegression, rows: Any) -> Any:
    """Returns the probabilities of all ten classes, also where the model has seen fewer."""
    chances = np.zeros((len(rows), 10))
    chances[:, model.classes_] = model.predict_proba(rows)
    return chances


def gradients_of(chances: Any, rows: Any) -> active.GradientEmbedding:
    """Returns the gradients of a logistic regression, whose features are the pixels."""
    return active.GradientEmbedding(chances - np.eye(10)[chances.argmax(1)], rows.astype("float64"))


RULES: dict[str, Callable[[Any, Any], Any]] = {
    "random": lambda chances, rows: np.ones(len(rows)),
    "margin": lambda chances, rows: active.margin(chances),
    "least confidence": lambda chances, rows: active.least_confidence(chances),
    "entropy": lambda chances, rows: active.entropy(chances),
    "BADGE": gradients_of,
}


def one_task(rule: str, seed: int) -> list[float]:
    """Returns accuracies of a logistic regression after each of `COUNTS` labels."""
    rows, labels, test, answers = digits(seed)
    pool = active.Pool(rows, {"digit": None}, TASKS[:1])
    picks = pool.ask(None, 20, "random", seed=seed)
    scores = []
    while True:
        pool.answer(picks, {"digit": labels[picks.rows()["digit"]]})
        bought = ~np.isnan(pool.labels["digit"])
        model = LogisticRegression(C=10.0, max_iter=300).fit(rows[bought], labels[bought])
        if bought.sum() in COUNTS:
            scores.append(float(model.score(test, answers)))
        if bought.sum() == COUNTS[-1]:
            return scores
        picks = pool.pick({"digit": RULES[rule](chances_of(model, rows), rows)}, 20, seed=seed)


class Loop:
    """Buys labels of three tasks in rounds, with the graph of the first training."""

    def __init__(self) -> None:
        self.network = self._make()
        self.network.compile(
            keras.optimizers.Adam(4e-3), steps_per_execution=STEPS, **mtl.compile_args(TASKS)
        )

    def _make(self) -> keras.Model:
        def shared(features: Any) -> Any:
            return keras.layers.Dropout(0.2)(keras.layers.Dense(64, activation="relu")(features))

        return mtl.architectures.hard_sharing(keras.Input((64,)), TASKS, shared=shared, tower=())

    def _train(self, pool: active.Pool, seed: int) -> None:
        keras.utils.set_random_seed(seed)
        regimes_trials.start_anew(self.network, self._make().get_weights())
        dataset = pool.dataset(64, seed=seed).repeat()
        self.network.fit(dataset, steps_per_epoch=STEPS, epochs=1, verbose=0, shuffle=False)

    def run(self, rule: str, worth: Any, seed: int) -> list[float]:
        """Returns the mean accuracy of the tasks after each of `BUDGETS`."""
        rows, labels, test, answers = digits(seed)
        truth = {"digit": labels, "odd": labels % 2, "zero": labels == 0}
        right = {"digit": answers, "odd": answers % 2, "zero": answers == 0}
        pool = active.Pool(rows, dict.fromkeys(truth), TASKS, costs=COSTS)
        picks = pool.ask(None, 60, "random", seed=seed)
        scores = []
        while True:
            pool.answer(picks, {name: truth[name][at] for name, at in picks.rows().items()})
            self._train(pool, seed)
            total = round(pool.spent / 60) * 60
            if total in BUDGETS:
                predictions = {n: np.asarray(p) for n, p in self.network(test).items()}
                hits = [predictions["digit"].argmax(1) == right["digit"]]
                hits += [(predictions[n][:, 0] > 0.5) == right[n] for n in ("odd", "zero")]
                scores.append(float(np.mean(hits)))
            if total >= BUDGETS[-1]:
                return scores
            picks = pool.ask(self.network, 60, rule, worth=worth, seed=seed)


def rows_of_one(seeds: Sequence[int]) -> list[tuple[str, ...]]:
    """Returns the rows of the table of one task: a rule, and its accuracy after so many labels."""
    return [
        (rule, *regimes_trials.cells([one_task(rule, seed) for seed in seeds])) for rule in RULES
    ]


def rows_of_three(seeds: Sequence[int]) -> list[tuple[str, ...]]:
    """Returns the rows of the table of three tasks: a rule, and its accuracy after so much."""
    loop = Loop()
    return [
        (name, *regimes_trials.cells([loop.run(rule, worth, seed) for seed in seeds]))
        for name, (rule, worth) in CONTENDERS.items()
    ]


TABLES = {
    "active_one": regimes_trials.Regime(
        "Digits, one task: accuracy after so many labels",
        ("rule", *map(str, COUNTS)),
        rows_of_one,
        seeds=8,
    ),
    "active_three": regimes_trials.Regime(
        "Digits, three tasks: mean accuracy after so much was spent",
        ("rule", *map(str, BUDGETS)),
        rows_of_three,
        seeds=3,
    ),
}

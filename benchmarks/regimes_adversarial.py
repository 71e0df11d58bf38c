"""What an adversary removes from shared features, judged by its loss and by a fresh probe.

Two data sets of one binary task: the first of 20 columns tells the set, 14 tell the label in both
sets, and 5 tell it with a sign of their own in each. The adversary is a task that tells the sets
apart from the shared features, through a reversed gradient. The fresh probe is a logistic
regression, trained on the shared features of one half of the held-out rows and judged on the
other half.
"""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import regimes_trials
from sklearn.linear_model import LogisticRegression

import keras_mtl as mtl

TITLE = "Two data sets: accuracy of the tasks, loss of the adversary, and what a fresh probe finds"
HEADER = ("setting", "accuracy", "adversary's loss (chance .693)", "fresh probe (chance .5)")
ROWS, HELD_OUT, COLUMNS, EPOCHS, BATCH_SIZE = 600, 2000, 20, 60, 100
TASKS = [mtl.Task.binary("films"), mtl.Task.binary("books"), mtl.Task.multiclass("domain", 2)]

# The strength of the adversary (0: it only watches), and the balancer.
SETTINGS: dict[str, tuple[float, Callable[[], mtl.balancers.Balancer]]] = {
    "strength 0": (0.0, mtl.balancers.Equal),
    "strength 0.05": (0.05, mtl.balancers.Equal),
    "strength 1": (1.0, mtl.balancers.Equal),
    "strength 5": (5.0, mtl.balancers.Equal),
    "strength 1, PCGrad": (1.0, mtl.balancers.PCGrad),
    "strength 1, MGDA": (1.0, mtl.balancers.MGDA),
    "strength 1, Uncertainty": (1.0, mtl.balancers.Uncertainty),
}


def draw(rows: int, seed: int) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Draws rows of both sets: columns, labels, and weights that leave out the other set's task."""
    rng, teacher = np.random.default_rng(seed), np.random.default_rng(100).normal(size=COLUMNS)
    domain = rng.integers(2, size=rows)
    x = rng.normal(size=(rows, COLUMNS))
    x[:, 0] = 2 * domain - 1 + 0.3 * x[:, 0]
    score = x[:, 6:] @ teacher[6:] + (2 * domain - 1) * (x[:, 1:6] @ teacher[1:6])
    label = (score > 0).astype("float32")
    labels = {"films": label, "books": label, "domain": domain}
    weights = {"films": 1.0 - domain, "books": 1.0 * domain, "domain": np.ones(rows)}
    return x.astype("float32"), labels, weights


class Trial:
    """Trains a network in one setting, again and again with the graph of the first time."""

    def __init__(self, strength: float, balancer: mtl.balancers.Balancer) -> None:
        self.strength = strength
        self.model = mtl.BalancedModel(self._network(), TASKS, balancer)
        self.model.compile(keras.optimizers.Adam(2e-3), steps_per_execution=ROWS // BATCH_SIZE)
        self.balancer_start = balancer.get_weights()

    def _network(self) -> keras.Model:
        return mtl.architectures.shared_private(
            keras.Input((COLUMNS,)),
            TASKS,
            shared=(32,),
            private=(16,),
            tower=(16,),
            adversary="domain",
            strength=self.strength,
        )

    def run(self, seed: int) -> tuple[float, float, float]:
        """Returns the tasks' accuracy, the adversary's loss, and the accuracy of the probe."""
        keras.utils.set_random_seed(seed)
        regimes_trials.start_anew(self.model, self._network().get_weights())
        self.model.balancer.set_weights(self.balancer_start)
        x, labels, weights = draw(ROWS, seed)
        self.model.fit(
            x, labels, sample_weight=weights, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=0
        )
        x, labels, weights = draw(HELD_OUT, 1000 + seed)
        network = self.model.network
        outputs = {name: np.asarray(value) for name, value in network(x).items()}
        scores = [
            np.mean(((outputs[task][:, 0] > 0.5) == labels[task])[weights[task] > 0])
            for task in ("films", "books")
        ]
        of_domain = outputs["domain"][np.arange(HELD_OUT), labels["domain"]]
        body = keras.Model(network.input, network.get_layer("domain_reversal").input)
        features, half = np.asarray(body(x)), HELD_OUT // 2
        probe = LogisticRegression(max_iter=2000).fit(features[:half], labels["domain"][:half])
        accuracy_of_probe = probe.score(features[half:], labels["domain"][half:])
        return float(np.mean(scores)), float(-np.log(of_domain).mean()), float(accuracy_of_probe)


def rows(seeds: Iterable[int]) -> list[tuple[str, ...]]:
    """Returns the rows of the table: a setting, and its three measures over the seeds."""
    table: list[tuple[str, ...]] = []
    seeds = list(seeds)
    for setting, (strength, make) in SETTINGS.items():
        trial = Trial(strength, make())
        table.append((setting, *regimes_trials.cells([trial.run(seed) for seed in seeds])))
    return table


TABLES = {"adversarial": regimes_trials.Regime(TITLE, HEADER, rows, seeds=3)}

"""The settings that the trials of a study try."""

import dataclasses
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np

from keras_mtl.tuning._space import Space

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0

Rates = tuple[float, float]
"""The lowest and the highest learning rate that is tried."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Holds what a trial tries.

    Args:
        learning_rate: The learning rate; `None` if the network comes with an optimizer.
        weights: The weights of the tasks; `None` if they keep theirs.
        hyper_parameters: By name, the values of the hyper-parameters that `build(tasks, hp)` asks
            for.
    """

    learning_rate: float | None = None
    weights: Mapping[str, float] | None = None
    hyper_parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def text(self) -> str:
        """The settings in one line."""
        parts = [] if self.learning_rate is None else [f"learning rate {self.learning_rate:.3g}"]
        if self.weights is not None:
            weights = ", ".join(f"{name} {weight:.3g}" for name, weight in self.weights.items())
            parts.append(f"weights {weights}")
        parts += [f"{name} {_short(value)}" for name, value in self.hyper_parameters.items()]
        return "; ".join(parts) or "as built"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def rate_of_trial(rates: Rates, trial: int) -> float:
    """Returns the learning rate of a trial, the same for all contenders.

    The first is the geometric mean of the bounds; the others spread evenly over the logarithmic
    scale, however many there are (multiples of the golden ratio, modulo 1).
    """
    low, high = rates
    return float(low * (high / low) ** ((0.5 + trial * _GOLDEN) % 1.0))


def weights_of_trial(names: Sequence[str], ratio: float, trial: int, seed: int) -> dict[str, float]:
    """Returns the weights of a trial: equal in the first, drawn from the symmetric space later."""
    space = Space(tuple(sorted(names)), ratio)
    hp = keras_tuner.HyperParameters()
    space.declare(hp)
    if trial:
        draws = _draws(seed, trial, "task weights")
        hp.values = {name: draws.uniform(-1.0, 1.0) for name in hp.values}
    weights = space.weights(hp.values)
    return {name: weights[name] for name in names}


def hyper_parameters_of_trial(
    build: Callable[[keras_tuner.HyperParameters], Any], trial: int, seed: int
) -> dict[str, Any]:
    """Returns the hyper-parameters of a trial: the defaults in the first, random ones later.

    Args:
        build: Builds a network, and asks for hyper-parameters on the way. It is called until it
            asks for no more: a choice may lead to others.
        trial: The number of the trial.
        seed: The seed of the draws.
    """
    hp = keras_tuner.HyperParameters()
    build(hp)
    drawn: set[str] = set()
    while trial and (new := [entry for entry in hp.space if entry.name not in drawn]):
        for entry in new:
            draws = _draws(seed, trial, entry.name)
            hp.values[entry.name] = entry.random_sample(int(draws.integers(2**31)))
            drawn.add(entry.name)
        build(hp)
    return dict(hp.values)


def _draws(seed: int, trial: int, name: str) -> np.random.Generator:
    # By name, so that another hyper-parameter beside it does not change the draws.
    return np.random.default_rng([seed, trial, zlib.crc32(name.encode())])

"""What the tables of regimes share: a model that starts anew, and cells of means and spreads."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class Regime:
    """A table of one regime.

    Attributes:
        title: What it shows.
        header: The names of its columns.
        rows: Measures with some seeds, and returns the rows of the table.
        seeds: The number of seeds, if none is asked for.
        keys: How many columns, from the left, tell rows apart.
    """

    title: str
    header: tuple[str, ...]
    rows: Callable[[Sequence[int]], list[tuple[str, ...]]]
    seeds: int = 5
    keys: int = 1


def start_anew(model: Any, weights: Sequence[Any]) -> None:
    """Gives a model the weights of a new network, and an optimizer that has not moved.

    To trace a graph takes longer than these small trainings: they take the one of before.

    Args:
        model: A compiled `BalancedModel`, or a network.
        weights: The weights of the new network.
    """
    getattr(model, "network", model).set_weights(weights)
    for variable in model.optimizer.variables:
        if "learning_rate" not in variable.path:
            variable.assign(keras.ops.zeros_like(variable))


def cells(scores: Any) -> list[str]:
    """Returns the mean and the standard deviation of each column, over rows that are seeds."""
    pairs = zip(np.mean(scores, axis=0), np.std(scores, axis=0), strict=True)
    return ["-" if np.isnan(mean) else f"{mean:.3f} ± {spread:.3f}" for mean, spread in pairs]

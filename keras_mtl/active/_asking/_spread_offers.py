"""Offers drawn apart from each other, until a budget is spent."""

from collections.abc import Mapping

import numpy as np

from keras_mtl.active._asking._distributions import BoolArray
from keras_mtl.active._asking._offers import Offers
from keras_mtl.active._asking._turns import Turns
from keras_mtl.active._gradient_embedding import GradientEmbedding
from keras_mtl.active._picks import Pick


def spread_offers(
    offers: Offers,
    embeddings: Mapping[str, GradientEmbedding],
    factors: Mapping[str, float],
    wanted: Mapping[str, BoolArray],
    shares: Mapping[str, float] | None,
    budget: float,
    generator: np.random.Generator,
) -> tuple[Pick, ...]:
    """Draws purchases by k-means++: what is far from all that was drawn is likely.

    The probability of an offer is proportional to the sum over its labels of the squared distance
    to the nearest gradient that was drawn for the same task (or to 0, a label that would change
    nothing), times the task's factor, and divided by the price.

    Args:
        offers: The offers.
        embeddings: The gradients, by label.
        factors: What makes the squared lengths of different tasks comparable, by label.
        wanted: Which labels are not there yet, `[rows]` by name.
        shares: How the budget is divided among labels; `None` for one budget for all.
        budget: How much may be spent.
        generator: Draws.
    """
    wanted = {name: flags.copy() for name, flags in wanted.items()}
    distances = {
        name: entry.squared_lengths() * factors[name] for name, entry in embeddings.items()
    }
    turns = Turns(shares, generator)
    picks: list[Pick] = []
    while True:
        try:
            name = turns.next()
        except StopIteration:
            return tuple(picks)
        worth = offers.worth(distances, wanted)
        possible = (worth >= 0) & (offers.costs <= budget)
        if name:
            possible &= np.array([name in names for names in offers.bundles])
            possible &= wanted[name][:, None]
        if not possible.any():
            turns.drop(name)
            continue
        row, offer = _draw(np.where(possible, worth / offers.costs, 0.0), possible, generator)
        names = tuple(label for label in offers.bundles[offer] if wanted[label][row])
        for label in names:
            wanted[label][row] = False
            apart = embeddings[label].squared_distances(row) * factors[label]
            distances[label] = np.minimum(distances[label], apart)
        cost = float(offers.costs[row, offer])
        turns.pay(names, cost)
        picks.append(Pick(row, names, cost))
        budget -= cost


def _draw(
    chances: np.ndarray, possible: BoolArray, generator: np.random.Generator
) -> tuple[int, int]:
    """Draws a row and an offer in proportion to `chances`."""
    total = chances.sum()
    if total == 0:  # gradients of 0, or equal to some that were drawn
        chances, total = possible.astype("float64"), possible.sum()
    position = int(generator.choice(chances.size, p=chances.ravel() / total))
    return position // chances.shape[1], position % chances.shape[1]

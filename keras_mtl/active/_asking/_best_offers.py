"""The offers with the most worth per cost, until a budget is spent."""

import heapq
from collections.abc import Iterator, Mapping

import numpy as np

from keras_mtl.active._asking._distributions import BoolArray, FloatArray
from keras_mtl.active._asking._offers import Offers
from keras_mtl.active._asking._turns import Turns
from keras_mtl.active._picks import Pick


def best_offers(
    offers: Offers,
    values: Mapping[str, FloatArray],
    wanted: Mapping[str, BoolArray],
    shares: Mapping[str, float] | None,
    budget: float,
    generator: np.random.Generator,
) -> tuple[Pick, ...]:
    """Returns the purchases with the most worth per cost; those of equal worth in random order.

    Args:
        offers: The offers.
        values: What each label is worth, `[rows]` by name.
        wanted: Which labels are not there yet, `[rows]` by name.
        shares: How the budget is divided among labels; `None` for one budget for all.
        budget: How much may be spent.
        generator: Draws the order of ties.
    """
    wanted = {name: flags.copy() for name, flags in wanted.items()}
    turns = Turns(shares, generator)
    queues = {
        name: _in_order(offers, name, values, wanted, generator)
        for name in ([""] if shares is None else values)
    }
    picks: list[Pick] = []
    while True:
        try:
            name = turns.next()
        except StopIteration:
            return tuple(picks)
        place = next((p for p in queues[name] if offers.costs[p] <= budget), None)
        if place is None:
            turns.drop(name)
            continue
        row, offer = place
        names = tuple(label for label in offers.bundles[offer] if wanted[label][row])
        for label in names:
            wanted[label][row] = False
        cost = float(offers.costs[place])
        turns.pay(names, cost)
        picks.append(Pick(row, names, cost))
        budget -= cost


def _in_order(
    offers: Offers,
    name: str,
    values: Mapping[str, FloatArray],
    wanted: Mapping[str, BoolArray],
    generator: np.random.Generator,
) -> Iterator[tuple[int, int]]:
    """Yields rows and offers by falling worth per cost; of equal ones, those of more labels first.

    Only offers that hold the label `name`, if it has one, where that label is wanted. The worth of
    an offer falls when a label of it is bought in another offer, since `wanted` is changed from
    outside in between; the offer then waits in a heap for its new turn.
    """
    columns = [i for i, names in enumerate(offers.bundles) if not name or name in names]
    ratios = (offers.worth(values, wanted) / offers.costs)[:, columns].ravel()
    sizes = np.tile([len(offers.bundles[i]) for i in columns], len(offers.costs))
    ties = generator.permutation(ratios.size)
    order = np.lexsort((ties, -sizes, -ratios))[: np.count_nonzero(ratios >= 0)]
    turn, later = 0, list[tuple[float, int, int, int]]()  # -ratio, -size, tie, position
    while turn < len(order) or later:
        if later and (turn == len(order) or -later[0][0] > ratios[order[turn]]):
            ratio, position = -later[0][0], heapq.heappop(later)[3]
        else:
            ratio, position = float(ratios[order[turn]]), int(order[turn])
            turn += 1
        row, offer = position // len(columns), columns[position % len(columns)]
        left = [label for label in offers.bundles[offer] if wanted[label][row]]
        if not left or (name and not wanted[name][row]):
            continue
        current = sum(float(values[label][row]) for label in left) / float(offers.costs[row, offer])
        if current < ratio * (1 - 1e-12):  # rounding is no change
            heapq.heappush(later, (-current, -len(left), int(ties[position]), position))
        else:
            yield row, offer

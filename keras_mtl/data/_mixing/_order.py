"""The order in which a mixture draws from its sets, and the end of an epoch in it.

`tf.data` draws at random without telling how long the result is, and its draws go on when a set has
ended (docs/keras_notes.md, pain 52): here the order is known beforehand.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from keras_mtl.data._elements._numbers import read_number
from keras_mtl.data._mixing._samplings import Annealed, Rates, Temperature

SetIndices: TypeAlias = npt.NDArray[np.int64]  # one set for each draw, by its index
Sizes: TypeAlias = Mapping[str, int | None]
Schedule: TypeAlias = Callable[[int], Mapping[str, float]]
Sampling: TypeAlias = str | Mapping[str, float] | Temperature | Annealed | Schedule

_CYCLE = 2**16  # draws of a cycle, unless a set is rarer than one in 4096 of them
_LONGEST_CYCLE = 2**20


def draw_cycle(sampling: Sampling, sizes: Sizes, batch_size: int, seed: int) -> SetIndices:
    """Returns the set of each draw, in an order that is repeated over and over.

    Each set has its share of the cycle, to one draw, in random order. Drawn by their sizes, up
    to 2^20 examples make one cycle, in which each example comes once; other cycles are whole
    batches.
    """
    if sampling == "round_robin":
        return np.arange(math.lcm(len(sizes), batch_size)) % len(sizes)
    rates = _constant_rates(sampling, sizes)
    # The rarest set is drawn 16 times or more, so that rounding changes its rate little.
    draws = min(_LONGEST_CYCLE, max(_CYCLE, math.ceil(16 / rates.min())))
    draws = math.ceil(draws / batch_size) * batch_size
    if sampling == "proportional" and (total := sum(known_sizes(sizes))) <= _LONGEST_CYCLE:
        draws = total
    ordered = np.repeat(np.arange(len(sizes)), _split_draws(rates, draws))
    return np.random.default_rng(seed).permutation(ordered)


def draw_schedule(
    sampling: Annealed | Schedule, sizes: Sizes, steps: int, draws: int, seed: int
) -> SetIndices:
    """Returns the sets of each of `steps` steps, `(steps, draws)`, sorted within a step.

    Within a step the draws are spread evenly over the rates from one random start, so that
    each set comes as often as its rate says, or one time more or less.
    """
    starts = np.random.default_rng(seed).random(steps)
    indices = np.empty((steps, draws), np.int64)
    for step in range(steps):
        if isinstance(sampling, Annealed):
            epoch = 1 + step * sampling.epochs // steps
            rates = sampling.rates(known_sizes(sizes), epoch)
        else:
            rates = _named_rates(sampling(step), sizes, f"sampling({step})", positive=False)
        # Set m owns an interval of [0, 1) as long as its rate; each point draws the set it lies in.
        points = (starts[step] + np.arange(draws)) / draws
        indices[step] = np.searchsorted(np.cumsum(rates)[:-1], points, side="right")
    return indices


def first_end(cycle: SetIndices, sizes: Sizes) -> int:
    """Returns the number of draws before the first one whose set has no example left."""
    return min(_position(cycle, index, size) for index, size in enumerate(known_sizes(sizes)))


def last_end(cycle: SetIndices, sizes: Sizes) -> int:
    """Returns the number of draws until each set has been drawn to its end."""
    ends = (_position(cycle, index, size - 1) for index, size in enumerate(known_sizes(sizes)))
    return max(ends) + 1


def known_sizes(sizes: Sizes) -> list[int]:
    """Returns the sizes of all sets.

    Raises:
        ValueError: If one is unknown or infinite; the message names the set.
    """
    for name, size in sizes.items():
        if size is None:
            raise ValueError(
                f"set {name!r}: the number of its elements is unknown or infinite, and this "
                "sampling or end of an epoch needs it. Wrap a finite set in "
                "data.known_cardinality(dataset); for others give rates, and the number of steps "
                "as until."
            )
    return [size for size in sizes.values() if size is not None]


def _split_draws(rates: Rates, draws: int) -> npt.NDArray[np.int64]:
    """Splits `draws` draws among the sets: at least one each, else the nearest to the rates."""
    counts = np.maximum(1, np.floor(rates * draws)).astype(np.int64)
    rest = draws - int(counts.sum())
    if rest < 0:  # so many sets rarer than one draw
        counts[np.argmax(counts)] += rest
    else:  # the sets that rounding down cost most get one draw more
        counts[np.argsort(counts - rates * draws, kind="stable")[:rest]] += 1
    return counts


def _position(cycle: SetIndices, index: int, draw: int) -> int:
    """Finds where the endlessly repeated cycle draws a set for the `draw`-th time, from 0."""
    positions = np.flatnonzero(cycle == index)
    rounds, rest = divmod(draw, len(positions))
    return rounds * len(cycle) + int(positions[rest])


def _constant_rates(sampling: Any, sizes: Sizes) -> Rates:
    """Returns the rates of a sampling that is the same in each step."""
    if sampling == "uniform":
        return np.full(len(sizes), 1 / len(sizes))
    if sampling == "proportional":
        return Temperature(1.0).rates(known_sizes(sizes))
    if isinstance(sampling, Temperature):
        return sampling.rates(known_sizes(sizes))
    if isinstance(sampling, Mapping):
        return _named_rates(sampling, sizes, "sampling", positive=True)
    raise ValueError(
        f"sampling is {sampling!r}; expected 'proportional', 'uniform', 'round_robin', a dict of "
        "rates by set, data.Temperature(...), data.Annealed(...) or a function of the step."
    )


def _named_rates(rates: Any, sizes: Sizes, source: str, *, positive: bool) -> Rates:
    """Checks a dict of rates, and returns them in the order of the sets.

    Args:
        rates: Should be a rate for each set; they should sum to 1.
        sizes: Keyed by the names of the sets.
        source: The name of the rates in messages.
        positive: Whether a rate of 0 is refused.
    """
    if not isinstance(rates, Mapping):
        raise TypeError(f"{source} must be a dict of rates by set; it is {rates!r}.")
    unknown, absent = sorted(rates.keys() - sizes.keys()), sorted(sizes.keys() - rates.keys())
    if unknown or absent:
        raise ValueError(
            f"{source} names the set(s) {sorted(rates)}; the mixture has {sorted(sizes)}: "
            f"{unknown} are unknown, {absent} have no rate."
        )
    numbers = {
        name: read_number(rate, f"set {name!r}: its rate in {source} is", low=0)
        for name, rate in rates.items()
    }
    for name, rate in numbers.items():
        if positive and rate == 0:
            raise ValueError(
                f"set {name!r}: its rate in {source} is 0; expected a number > 0 (leave a set out "
                "of the mixture that is not to be drawn)."
            )
    total = math.fsum(numbers.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"the rates in {source} sum to {total:.6g}; expected 1.")
    return np.array([numbers[name] for name in sizes], np.float64) / total

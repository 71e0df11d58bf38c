"""Which set comes when in a mixture: the order of draws, and where an epoch ends."""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from keras_mtl.data._mixing._samplings import Annealed, Rates, Temperature

Ids: TypeAlias = npt.NDArray[np.int64]
Sizes: TypeAlias = Mapping[str, int | None]
Schedule: TypeAlias = Callable[[int], Mapping[str, float]]
Sampling: TypeAlias = str | Mapping[str, float] | Temperature | Annealed | Schedule

_DRAWS = 2**16  # draws that repeat, unless a set is rarer than one in 4096 of them
_MOST = 2**20


def draw_cycle(sampling: Sampling, sizes: Sizes, batch_size: int, seed: int) -> Ids:
    """An order of sets that is repeated over and over: the place of a set for each draw.

    Each set has its share of the cycle, to one draw, in random order. Drawn by their sizes, up
    to 2^20 examples make one cycle, in which each comes once; other cycles are whole batches.
    """
    if sampling == "round_robin":
        return np.arange(math.lcm(len(sizes), batch_size)) % len(sizes)
    rates = _constant_rates(sampling, sizes)
    draws = min(_MOST, max(_DRAWS, math.ceil(16 / rates.min())))
    draws = math.ceil(draws / batch_size) * batch_size
    if sampling == "proportional" and (total := sum(known_sizes(sizes))) <= _MOST:
        draws = total
    ids = np.repeat(np.arange(len(sizes)), _shares(rates, draws))
    return np.random.default_rng(seed).permutation(ids)


def draw_schedule(
    sampling: Annealed | Schedule, sizes: Sizes, steps: int, draws: int, seed: int
) -> Ids:
    """The sets of each of `steps` steps, `(steps, draws)`, sorted within a step.

    Within a step the draws are spread evenly over the rates from one random start, so that
    each set comes as often as its rate says, or one time more or less.
    """
    starts = np.random.default_rng(seed).random(steps)
    ids = np.empty((steps, draws), np.int64)
    for step in range(steps):
        if isinstance(sampling, Annealed):
            epoch = 1 + step * sampling.epochs // steps
            rates = sampling.rates(known_sizes(sizes), epoch)
        else:
            rates = _named_rates(sampling(step), sizes, f"sampling({step})", positive=False)
        points = (starts[step] + np.arange(draws)) / draws
        ids[step] = np.searchsorted(np.cumsum(rates)[:-1], points, side="right")
    return ids


def first_end(cycle: Ids, sizes: Sizes) -> int:
    """How many draws there are before one that finds its set exhausted."""
    return min(_position(cycle, place, size) for place, size in enumerate(known_sizes(sizes)))


def last_end(cycle: Ids, sizes: Sizes) -> int:
    """How many draws it takes until each set has been drawn to its end."""
    ends = (_position(cycle, place, size - 1) for place, size in enumerate(known_sizes(sizes)))
    return max(ends) + 1


def known_sizes(sizes: Sizes) -> list[int]:
    """The sizes of all sets.

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


def _shares(rates: Rates, draws: int) -> Ids:
    """How many of `draws` draws each set gets: at least one, and the nearest that sum up."""
    counts = np.maximum(1, np.floor(rates * draws)).astype(np.int64)
    rest = draws - int(counts.sum())
    if rest < 0:  # so many sets rarer than one draw
        counts[np.argmax(counts)] += rest
    else:
        counts[np.argsort(counts - rates * draws, kind="stable")[:rest]] += 1
    return counts


def _position(cycle: Ids, place: int, draw: int) -> int:
    """Where in the endlessly repeated cycle the set at `place` is drawn the `draw`-th time."""
    places = np.flatnonzero(cycle == place)
    rounds, rest = divmod(draw, len(places))
    return rounds * len(cycle) + int(places[rest])


def _constant_rates(sampling: Any, sizes: Sizes) -> Rates:
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


def _named_rates(rates: Any, sizes: Sizes, what: str, *, positive: bool) -> Rates:
    if not isinstance(rates, Mapping):
        raise TypeError(f"{what} must be a dict of rates by set; it is {rates!r}.")
    unknown, absent = sorted(rates.keys() - sizes.keys()), sorted(sizes.keys() - rates.keys())
    if unknown or absent:
        raise ValueError(
            f"{what} names the set(s) {sorted(rates)}; the mixture has {sorted(sizes)}: "
            f"{unknown} are unknown, {absent} have no rate."
        )
    for name, rate in rates.items():
        if not math.isfinite(rate) or rate < 0 or (positive and rate == 0):
            raise ValueError(
                f"set {name!r}: its rate in {what} is {rate}; expected a number > 0 (leave a set "
                "out of the mixture that is not to be drawn)."
            )
    total = math.fsum(rates.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"the rates in {what} sum to {total:.6g}; expected 1.")
    return np.array([rates[name] for name in sizes], np.float64) / total

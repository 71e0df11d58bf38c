"""Which encoders serve a target best, by who wins on more rows."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.analysis._inputs._numbers import FloatArray, read_numbers
from keras_mtl.analysis._printing._tables import format_number, format_table


@dataclasses.dataclass(frozen=True)
class SourceRanking:
    """Holds how sources compare for one target. `print` shows them, the best one first.

    Args:
        sources: The names of the S sources.
        shares: The principal eigenvector of W_ij / W_ji, `[S]`, which sums to 1.
        wins: W, `[S, S]`: the share of rows on which source i beats source j.
        eigenvalue: S if the wins are consistent, above S otherwise.

    Example:
        >>> rank_sources({"age": [1, 2, 3], "fee": [2, 1, 4]}).shares.round(3)
        array([0.667, 0.333])
    """

    sources: tuple[str, ...]
    shares: FloatArray
    wins: FloatArray
    eigenvalue: float

    def __str__(self) -> str:
        order: npt.NDArray[np.intp] = np.argsort(-self.shares, kind="stable")
        rows = [[self.sources[index], format_number(float(self.shares[index]))] for index in order]
        return format_table(["source", "share"], rows)


def rank_sources(losses: Mapping[Any, Any]) -> SourceRanking:
    """Ranks the encoders of several sources for one target, by who wins on more rows.

    W_ij is the share of rows on which source i has a smaller loss than source j (a tie is half a
    win), clipped to [0.001, 0.999]. The result is the principal eigenvector of the matrix with
    entries W_ij / W_ji, scaled to sum 1: the analytic hierarchy process.

    Choose it instead of `transfer_matrix` where losses of different targets have no comparable
    scale and few rows with huge losses must not decide. It tells the order, not how much better a
    source is.

    Args:
        losses: By source, the losses of the target on the same rows, `[rows]`; smaller is better.
            A row with NaN counts for no pair of this source.

    Returns:
        A `SourceRanking`.

    Raises:
        TypeError: If `losses` is no dict or frame, or a loss is no number.
        ValueError: If numbers of rows differ, or two sources share no row.

    Example:
        >>> print(rank_sources({"age": [1, 2, 3, 4], "fee": [2, 1, 4, 5], "random": [9, 9, 9, 9]}))
        source     share
        age        0.675
        fee        0.325
        random  0.000468

    Reference:
        Zamir et al. 2018, "Taskonomy", arXiv:1804.08328, section 3.3.
    """
    if not isinstance(losses, Mapping) and not hasattr(losses, "columns"):
        raise TypeError(f"losses is of type {type(losses).__name__}; expected a dict by source.")
    names = tuple(str(key) for key in losses)
    arrays = [read_numbers(losses[key], f"source {str(key)!r}").ravel() for key in losses]
    if not names:
        raise ValueError("losses is empty; expected at least one source.")
    for name, array in zip(names, arrays, strict=True):
        if len(array) != len(arrays[0]):
            raise ValueError(
                f"source {name!r} has {len(array)} rows and {names[0]!r} {len(arrays[0])}; "
                "expected the same rows."
            )
    wins = _count_wins(np.stack(arrays), names)
    shares, eigenvalue = principal_shares(wins)
    return SourceRanking(names, shares, wins, eigenvalue)


def _count_wins(losses: FloatArray, names: Sequence[str]) -> FloatArray:
    wins = np.full((len(names), len(names)), 0.5)
    for first in range(len(names)):
        for second in range(first + 1, len(names)):
            pair = losses[[first, second]]
            pair = pair[:, ~np.isnan(pair).any(axis=0)]
            if not pair.size:
                raise ValueError(
                    f"sources {names[first]!r} and {names[second]!r} share no row with losses; "
                    "expected at least one."
                )
            share = np.mean(pair[0] < pair[1]) + np.mean(pair[0] == pair[1]) / 2
            wins[first, second], wins[second, first] = share, 1 - share
    return wins


def principal_shares(wins: FloatArray) -> tuple[FloatArray, float]:
    """Returns the principal eigenvector of W_ij / W_ji, scaled to sum 1, and its eigenvalue."""
    clipped = np.clip(wins, 0.001, 0.999)
    values, vectors = np.linalg.eig(clipped / clipped.T)
    # A positive matrix has one largest eigenvalue, which is real, as its eigenvector is.
    place = int(np.argmax(values.real))
    vector = np.abs(vectors[:, place].real)
    return np.asarray(vector / vector.sum()), float(values[place].real)

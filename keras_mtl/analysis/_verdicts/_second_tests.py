"""Tests that take the place of the t-test: by permutation of rows or seeds, and by counts."""

from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._verdicts._cells import Cell, prepare
from keras_mtl.analysis._verdicts._measure import Measured
from keras_mtl.analysis._verdicts._read_labels import IntArray
from keras_mtl.analysis._verdicts._resampling import score_seeds
from keras_mtl.analysis._verdicts._scorers import SCORERS

TESTS = ("interval", "delong", "mcnemar", "permutation", "sign flip")

_NUM_PERMUTATIONS = 4999
_LEAST_SEEDS = 6
_ENTRIES_AT_ONCE = 2**21


class Outcome(NamedTuple):
    """Holds the p-value of a test and its name."""

    p: float
    method: str


def run_test(name: str, cell: Cell, measured: Measured, blocks: IntArray | None) -> Outcome:
    """Runs a test of "no difference" that takes the place of the t-test.

    Args:
        name: One of `TESTS`, not `"interval"`.
        cell: The cell.
        measured: Its scores.
        blocks: The number of the block of each of the n rows, or `None`.

    Raises:
        ValueError: If the test does not fit the metric, the number of seeds, or blocks.
    """
    if name == "sign flip":
        return _flip_signs(cell, measured.differences)
    if name == "permutation":
        return _permute_rows(cell, blocks)
    metric = {"delong": "auc", "mcnemar": "accuracy"}[name]
    if cell.metric.name != metric or cell.num_seeds > 1:
        raise ValueError(
            f"{cell.name}: test {name!r} is for {metric!r} of one seed, and there are "
            f"{cell.num_seeds} seeds. Take 'interval', which counts seeds and rows."
        )
    if name == "mcnemar" and blocks is not None:
        raise ValueError(
            f"{cell.name}: test 'mcnemar' takes rows as independent, and blocks say that they are "
            "not. Take 'interval' or 'permutation'."
        )
    return _delong(measured) if name == "delong" else _mcnemar(cell)


def _delong(measured: Measured) -> Outcome:
    difference, variance = float(measured.differences[0]), measured.over_rows.variance
    if variance == 0.0:
        return Outcome(1.0 if difference == 0.0 else float("nan"), "DeLong")
    return Outcome(float(2.0 * scipy.stats.norm.sf(abs(difference) / variance**0.5)), "DeLong")


def _mcnemar(cell: Cell) -> Outcome:
    baseline, contender = prepare(cell, SCORERS["accuracy"])
    wins = int((contender > baseline).sum())
    losses = int((contender < baseline).sum())
    if wins + losses == 0:
        return Outcome(1.0, "McNemar, exact")
    return Outcome(float(scipy.stats.binomtest(wins, wins + losses).pvalue), "McNemar, exact")


def _flip_signs(cell: Cell, differences: FloatArray) -> Outcome:
    count = len(differences)
    if count < _LEAST_SEEDS:
        raise ValueError(
            f"{cell.name}: {count} paired seeds; expected at least {_LEAST_SEEDS}, since the "
            f"smallest p-value of a sign flip over {count} is 2/2^{count} = {2 / 2**count:.3g}. "
            "Take 'interval'."
        )
    p = scipy.stats.permutation_test(
        (differences, np.zeros(count)),
        lambda first, second, axis: np.mean(first - second, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=_NUM_PERMUTATIONS,
        rng=np.random.default_rng(0),
    ).pvalue
    return Outcome(min(1.0, float(p)), "sign flips of seeds")


def _permute_rows(cell: Cell, blocks: IntArray | None) -> Outcome:
    """Swaps the outputs of the two models row by row or block by block, for all seeds alike."""
    baseline, contender = _swappable(cell)
    members = np.arange(len(cell.rows)) if blocks is None else blocks[cell.rows]
    units, unit_of_row = np.unique(members, return_inverse=True)

    def difference(unswapped: Any, swapped: Any, axis: int) -> FloatArray:
        del unswapped, axis  # SciPy passes the rows as the last axis
        mask = np.atleast_2d(swapped == 0.0)[:, None, unit_of_row]  # [permutations, 1, m]
        mask = mask.reshape(mask.shape + (1,) * (baseline.ndim - 2))
        first = np.where(mask, contender, baseline)
        second = np.where(mask, baseline, contender)
        scores = _score(cell, second) - _score(cell, first)
        return np.asarray(scores.mean(axis=-1).reshape(np.shape(swapped)[:-1]))

    # SciPy permutes within pairs: a pair (0, 1) says which model a row comes from.
    p = scipy.stats.permutation_test(
        (np.zeros(len(units)), np.ones(len(units))),
        difference,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_NUM_PERMUTATIONS,
        batch=max(1, _ENTRIES_AT_ONCE // baseline.size),
        rng=np.random.default_rng(0),
    ).pvalue
    return Outcome(min(1.0, float(p)), "permutation of rows")


def _swappable(cell: Cell) -> tuple[Any, Any]:
    """Returns values of rows that may be swapped between models: on one scale, with thresholds cut.

    Raw scores of models on different scales would be told apart after a swap, so that an AUC of
    swapped scores has no power: ranks are swapped instead.
    """
    if cell.metric.function is not None:
        return cell.predictions
    scorer = SCORERS[cell.metric.name]
    baseline, contender = prepare(cell, scorer)
    if scorer.by_ranks:
        return scipy.stats.rankdata(baseline, axis=1), scipy.stats.rankdata(contender, axis=1)
    return baseline, contender


def _score(cell: Cell, values: Any) -> FloatArray:
    """Returns the scores of values of rows `[permutations, S, m, ...]`."""
    flat = values.reshape(-1, *values.shape[2:])
    if cell.metric.function is None:
        scores = SCORERS[cell.metric.name].evaluate(cell.labels, flat).values
    else:
        scores = score_seeds(cell.metric.function, cell.labels, flat)
    return scores.reshape(values.shape[:2])

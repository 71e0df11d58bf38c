"""The scores of a cell, and their variance over rows."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._verdicts._auc import smallest_class
from keras_mtl.analysis._verdicts._cells import Cell, prepare
from keras_mtl.analysis._verdicts._checks import Untestable
from keras_mtl.analysis._verdicts._intervals import RowVariance, variance_over_rows
from keras_mtl.analysis._verdicts._read_labels import IntArray
from keras_mtl.analysis._verdicts._resampling import Draws, resample, score_seeds
from keras_mtl.analysis._verdicts._scorers import SCORERS, Scorer

_FEW = 30
"""With fewer rows of a class, the table says so."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """Holds the scores of a cell.

    Args:
        baseline: The score of each seed, `[S]`.
        contender: Likewise.
        over_rows: The variance of the mean difference over rows.
        influence: The influence of the labeled rows on the mean difference, `[m]`, or `None` for a
            function.
        draws: The mean difference of each draw of rows, for a function.
        chance: The score of a prediction that knows nothing, or `None`.
        note: What a reader has to know of this row.
    """

    baseline: FloatArray
    contender: FloatArray
    over_rows: RowVariance
    influence: FloatArray | None = None
    draws: FloatArray | None = None
    chance: float | None = None
    note: str = ""

    @property
    def differences(self) -> FloatArray:
        """Contender minus baseline by seed, `[S]`."""
        return self.contender - self.baseline


def measure(cell: Cell, blocks: IntArray | None, draws: Draws) -> Measured:
    """Scores both models on a cell.

    Args:
        cell: The cell.
        blocks: The number of the block of each of the n rows, or `None`.
        draws: Draws of rows, for metrics that are functions.

    Raises:
        Untestable: If the metric does not exist on these labels, or too few rows are labeled.
        ValueError: If labels or predictions do not fit the metric.
    """
    if len(cell.rows) < 2:
        raise Untestable(f"too few labeled rows: {len(cell.rows)}")
    of_rows = None if blocks is None else blocks[cell.rows]
    if of_rows is not None and np.unique(of_rows).size < 2:
        raise Untestable("all labeled rows are in one block")
    if cell.metric.function is not None:
        units = len(cell.rows) if of_rows is None else np.unique(of_rows).size
        return _measure_function(cell, cell.metric.function, draws, units)
    return _measure_scorer(cell, SCORERS[cell.metric.name], of_rows)


def _measure_scorer(cell: Cell, scorer: Scorer, blocks: IntArray | None) -> Measured:
    baseline, contender = prepare(cell, scorer)
    note = _check_classes(cell)
    values, influence = scorer.evaluate(cell.labels, np.concatenate([baseline, contender]))
    num_seeds = cell.num_seeds
    of_mean = (influence[num_seeds:] - influence[:num_seeds]).mean(axis=0)
    strata = cell.labels if scorer.is_stratified and cell.labels.ndim == 1 else None
    if cell.metric.name == "auc" and (
        (values[:num_seeds] == 1.0).all() or (values[num_seeds:] == 1.0).all()
    ):
        note = _join(note, "an AUC of 1 has no variance, so the interval is too narrow")
    return Measured(
        values[:num_seeds],
        values[num_seeds:],
        variance_over_rows(of_mean, strata, blocks),
        influence=of_mean,
        chance=_chance(cell),
        note=note,
    )


def _check_classes(cell: Cell) -> str:
    """Returns a note if a class has few rows, and raises if it has too few."""
    if not cell.smallest_class:
        return ""
    least = smallest_class(cell.labels)
    kind = "positives" if cell.labels.mean() < 0.5 else "negatives"
    if least < cell.smallest_class:
        raise Untestable(f"fewer than {cell.smallest_class} {kind}: {least}")
    return f"few {kind}: {least}" if least < _FEW else ""


def _chance(cell: Cell) -> float | None:
    if cell.metric.chance is None and cell.metric.name == "balanced_accuracy":
        return 1.0 / np.unique(cell.labels).size
    return cell.metric.chance


def _join(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _measure_function(
    cell: Cell, function: Callable[[Any, Any], float], draws: Draws, units: int
) -> Measured:
    note = _check_classes(cell)
    baseline, contender = (
        score_seeds(function, cell.labels, values) for values in cell.predictions
    )
    for model, values in (("baseline", baseline), ("contender", contender)):
        if not np.isfinite(values).all():
            raise ValueError(
                f"{cell.name}: the scores of the {model} are {values.tolist()}; expected finite "
                "numbers."
            )
    differences, redrawn = resample(cell, function, draws)
    return Measured(
        baseline,
        contender,
        RowVariance(float(differences.var(ddof=1)), units - 1.0),
        draws=differences,
        chance=cell.metric.chance,
        note=_join(note, f"{redrawn} draws of rows repeated" if redrawn else ""),
    )

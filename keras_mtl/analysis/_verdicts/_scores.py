"""The score of one cell, without a test."""

import numpy as np

from keras_mtl.analysis._verdicts._cells import Cell, prepare
from keras_mtl.analysis._verdicts._resampling import score_seeds
from keras_mtl.analysis._verdicts._scorers import SCORERS


def score(cell: Cell) -> float:
    """Returns the score of the baseline's first seed; NaN where no row is labeled.

    Raises:
        ValueError: If labels or predictions do not fit the metric.
    """
    if not len(cell.rows):
        return float("nan")
    if cell.metric.function is not None:
        return float(score_seeds(cell.metric.function, cell.labels, cell.predictions[0])[0])
    scorer = SCORERS[cell.metric.name]
    with np.errstate(divide="ignore", invalid="ignore"):
        values, _ = scorer.evaluate(cell.labels, prepare(cell, scorer)[0])
    return float(values[0])

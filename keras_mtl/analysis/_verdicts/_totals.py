"""The mean gain over all tasks."""

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np

from keras_mtl.analysis._comparison import Comparison
from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._task_verdict import TaskVerdict
from keras_mtl.analysis._verdicts._intervals import RowVariance, combine, variance_over_rows
from keras_mtl.analysis._verdicts._measure import Measured
from keras_mtl.analysis._verdicts._modes import sign_of
from keras_mtl.analysis._verdicts._read_labels import IntArray
from keras_mtl.analysis._verdicts._resampling import NUM_DRAWS, Draws
from keras_mtl.analysis._verdicts._rows import conclude
from keras_mtl.analysis._verdicts._rule import decide_verdict


@dataclasses.dataclass
class JointGain:
    """Gathers the gains of rows, seed by seed and test row by test row.

    The variance of the mean gain is not the sum of the variances of tasks, which share seeds and
    test rows: their influences are added row by row before they are squared.

    Args:
        num_rows: n, the number of test rows.
        num_seeds: S.
    """

    num_rows: int
    num_seeds: int

    def __post_init__(self) -> None:
        self.gains = np.zeros(self.num_seeds)
        self.influence = np.zeros(self.num_rows)
        self.draws: FloatArray | None = None

    def add(self, rows: IntArray, measured: Measured, factor: float) -> None:
        """Adds the gain of a task or column.

        Args:
            rows: The positions of its labeled rows, `[m]`.
            measured: Its scores.
            factor: The factor from a difference of scores to its share in the mean gain.
        """
        self.gains += factor * measured.differences
        if measured.influence is not None:
            self.influence[rows] += factor * measured.influence
        if measured.draws is not None:
            of_draws = factor * (measured.draws - measured.draws.mean())
            self.draws = of_draws if self.draws is None else self.draws + of_draws

    def over_rows(self, blocks: IntArray | None, draws: Draws) -> RowVariance:
        """Returns the variance of the mean gain over rows: in closed form, or from draws."""
        if self.draws is None:
            return variance_over_rows(self.influence, None, blocks)
        # Functions and other metrics meet in the same draws of rows.
        linear = [draws.counts(draw) @ self.influence for draw in range(NUM_DRAWS)]
        units = self.num_rows if blocks is None else int(blocks.max()) + 1
        return RowVariance(float((self.draws + linear).var(ddof=1)), units - 1.0)


def factors_of(rows: Sequence[TaskVerdict]) -> list[float]:
    """Returns the factor from the difference of each row to its share in the mean gain.

    Tasks count alike in the mean, and so do the rows of a task. Rows without a gain have 0.
    """
    counts = Counter(row.task for row in rows if row.gain == row.gain)
    return [
        sign_of(row.mode) / (len(counts) * counts[row.task] * abs(row.baseline))
        if row.gain == row.gain
        else 0.0
        for row in rows
    ]


def summarize(
    rows: Sequence[TaskVerdict], gains: FloatArray, over_rows: RowVariance | None
) -> Comparison:
    """Returns the comparison of rows whose p-values are not yet corrected.

    Args:
        rows: The rows.
        gains: The mean gain of each seed, `[S]`, or empty where no row has a gain.
        over_rows: The variance of the mean gain over rows, or `None`.
    """
    concluded, correction = conclude(rows)
    margin = min(row.margin for row in rows)
    if not any(factors_of(rows)):
        nan = float("nan")
        return Comparison(concluded, nan, nan, nan, nan, "undecided", margin, correction)
    interval = combine(gains, over_rows)
    p, width = interval.p_beyond(margin), interval.half_width
    lower, upper = interval.mean - width, interval.mean + width
    verdict = decide_verdict(lower, upper, p, margin)
    return Comparison(concluded, interval.mean, lower, upper, p, verdict, margin, correction)

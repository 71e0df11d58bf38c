"""The verdict on one metric of one task."""

import dataclasses

from keras_mtl.analysis._verdicts._modes import Mode
from keras_mtl.analysis._verdicts._rule import Word
from keras_mtl.analysis._verdicts._texts import sentence_of_row


@dataclasses.dataclass(frozen=True)
class TaskVerdict:
    """Holds the verdict on one metric of a task, or of one of its columns: a row of `Comparison`.

    Numbers that do not exist are NaN: all of a row that could not be tested, and gains over a
    baseline of 0.

    Args:
        task: The name of the task.
        column: The name of its column, or `None`.
        metric: The name of the metric.
        mode: `"max"` or `"min"`: whether the metric is better high or low.
        baseline: The mean score of the baseline over the seeds, in units of the metric.
        contender: Likewise.
        difference: Contender minus baseline. Below 0 is better for `"min"`.
        lower: The lower end of the 95 % interval of the difference.
        upper: Its upper end.
        gain: The improvement as a fraction of |baseline|: above 0 is better, whatever the mode.
        gain_lower: The lower end of its interval: that of the difference in this unit.
        gain_upper: Its upper end.
        chance_gain: The improvement as a fraction of |baseline - score by chance|.
        num_seeds: The number S of paired trainings.
        num_rows: The number of labeled test rows; 0 if rows were not resampled.
        method: How the p-value was computed.
        p: The p-value that the gain is beyond +-margin.
        corrected_p: After correction for all rows of the table.
        margin: The smallest gain that counts.
        verdict: `"helped"`, `"hurt"`, `"no difference"` or `"undecided"`.
        note: What a reader has to know besides, or an empty text.

    Example:
        >>> from keras_mtl.analysis import compare_scores
        >>> result = compare_scores({"age": [8.2, 8.3, 8.1]}, {"age": [8.0, 8.1, 8.0]},
        ...                         directions="min")
        >>> print(result.rows[0].sentence)
        age: helped. The gain is between 0.283 % and 3.78 % (8.2 to 8.03; lower is better; 3
        trainings, p 0.0377; rows not resampled: for this test set alone).
    """

    task: str
    column: str | None
    metric: str
    mode: Mode
    baseline: float
    contender: float
    difference: float
    lower: float
    upper: float
    gain: float
    gain_lower: float
    gain_upper: float
    chance_gain: float
    num_seeds: int
    num_rows: int
    method: str
    p: float
    corrected_p: float
    margin: float
    verdict: Word
    note: str

    @property
    def is_tested(self) -> bool:
        """Whether there is an interval."""
        return self.p == self.p

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        return sentence_of_row(self)

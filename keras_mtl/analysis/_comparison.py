"""The result of a comparison of a contender with a baseline."""

import dataclasses
from typing import Any

from keras_mtl.analysis._task_verdict import TaskVerdict
from keras_mtl.analysis._verdicts._rule import Word
from keras_mtl.analysis._verdicts._texts import sentence_of_all, table_of


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Holds the verdicts on all tasks, and on their mean gain.

    `print` shows a table; of more than 30 rows, the distribution of gains, the worst and the best.

    Args:
        rows: One `TaskVerdict` per task, metric and column, in the order in which they were passed.
        gain: The mean over tasks of the mean over the task's rows of their gains, where they exist.
        gain_lower: The lower end of its 95 % interval.
        gain_upper: Its upper end.
        p: The p-value that the mean gain is beyond +-margin. It is not corrected: it is one test.
        verdict: The verdict on the mean gain.
        margin: The smallest mean gain that counts: the smallest margin of the rows.
        correction: How the p-values of the rows were corrected.

    Example:
        >>> from keras_mtl.analysis import compare_scores
        >>> result = compare_scores({"age": [8.2, 8.3, 8.1]}, {"age": [8.1, 8.3, 8.2]},
        ...                         directions="min")
        >>> result.row("age").verdict, result.count("undecided")
        ('undecided', 1)
    """

    rows: tuple[TaskVerdict, ...]
    gain: float
    gain_lower: float
    gain_upper: float
    p: float
    verdict: Word
    margin: float
    correction: str

    def __str__(self) -> str:
        return table_of(self)

    @property
    def sentence(self) -> str:
        """The counts of verdicts and the mean gain in words."""
        return sentence_of_all(self)

    def count(self, verdict: Word) -> int:
        """Returns the number of rows with a verdict. Rows without a test are undecided."""
        return sum(row.verdict == verdict for row in self.rows)

    def row(self, task: str, metric: str | None = None, column: str | None = None) -> TaskVerdict:
        """Returns the row of a task.

        Args:
            task: The name of the task.
            metric: The name of the metric, if the task has several.
            column: The name of the column, if the task has several.

        Raises:
            KeyError: If no row or several rows fit.
        """
        rows = [
            row
            for row in self.rows
            if row.task == task and metric in (None, row.metric) and column in (None, row.column)
        ]
        if len(rows) != 1:
            raise KeyError(
                f"{len(rows)} rows fit task {task!r}, metric {metric!r}, column {column!r}; "
                "expected one."
            )
        return rows[0]

    def to_records(self) -> list[dict[str, Any]]:
        """Returns one dict of plain values per row, for JSON, CSV or a data frame.

        Numbers that do not exist are `None`, since JSON has no NaN.
        """
        return [
            {name: None if value != value else value for name, value in vars(row).items()}
            for row in self.rows
        ]

"""The result of `drift`."""

import dataclasses
import os
import pathlib

from keras_mtl.serving._drifting._advice import give_advice, list_names
from keras_mtl.serving._drifting._rows import ColumnDrift, TaskDrift
from keras_mtl.serving._drifting._texts import align, column_rows, task_rows


@dataclasses.dataclass(frozen=True)
class DriftReport:
    """Holds how far new rows and predictions are from the reference of a version.

    It prints itself as tables; `report` writes a page. It holds counts and shares, and no value of
    a column.

    Args:
        version: The name of the folder of the version.
        tasks: One entry for each task with predictions.
        columns: One entry for each column that was received.
        notes: What was not compared, and why.

    Example:
        >>> print(DriftReport("1", (), (), ("No predictions were received of fee.",)))
        Version 1: nothing has drifted as far as can be seen.
        No predictions were received of fee.
    """

    version: str
    tasks: tuple[TaskDrift, ...]
    columns: tuple[ColumnDrift, ...]
    notes: tuple[str, ...]

    @property
    def is_unusual(self) -> bool:
        """Whether a task has drifted, its probabilities are off, or a column is unusual."""
        return any(
            (
                any(task.verdict == "drift" for task in self.tasks),
                any(task.calibration_verdict == "off" for task in self.tasks),
                any(column.findings for column in self.columns),
            )
        )

    @property
    def advice(self) -> tuple[str, ...]:
        """What to do, the most urgent first."""
        return give_advice(self.tasks, self.columns)

    @property
    def summary(self) -> str:
        """One or two sentences on the version."""
        drifted = [task.task for task in self.tasks if task.verdict == "drift"]
        off = [task.task for task in self.tasks if task.calibration_verdict == "off"]
        unusual = [column.column for column in self.columns if column.findings]
        parts = [
            text
            for names, text in (
                (drifted, f"predictions of {list_names(drifted)} have drifted"),
                (off, f"probabilities of {list_names(off)} are off"),
                (unusual, f"values of {list_names(unusual)} are unusual"),
            )
            if names
        ]
        few = any("too few" in task.verdict + task.calibration_verdict for task in self.tasks)
        limit = " There are too few rows or labels for some verdicts." if few else ""
        finding = "; ".join(parts) or "nothing has drifted as far as can be seen"
        return f"Version {self.version}: {finding}.{limit}"

    def report(self, path: str | os.PathLike[str], *, title: str = "Drift report") -> None:
        """Writes one page of HTML, with its numbers as JSON and CSV beside it.

        The page needs no network and no script, and opens from disk.

        Args:
            path: Where to write, ending in `.html`.
            title: The title of the page.

        Raises:
            ValueError: If the path does not end in `.html`.
        """
        target = pathlib.Path(path)
        if target.suffix != ".html":
            raise ValueError(f"path is {str(path)!r}; expected a file that ends in '.html'.")
        # Matplotlib and the package of the page load at first use: a server needs neither.
        from keras_mtl.analysis._reporting._write import write_files
        from keras_mtl.serving._drifting._sections import make_sections

        write_files(target, title, make_sections(self))

    def __str__(self) -> str:
        tables = (task_rows(self.tasks), column_rows(self.columns))
        texts = [align(header, rows) for header, rows in tables if rows]
        return "\n".join([self.summary, *texts, *self.notes])

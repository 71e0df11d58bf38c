"""The result of a comparison of artifacts."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

_HEADER = ("task", "artifact", "metric", "score", "worse by", "ECE", "99.9 % change", "change")


@dataclasses.dataclass(frozen=True)
class ArtifactSize:
    """Holds what an artifact costs.

    Args:
        name: The name of the artifact.
        kind: `"Keras"`, `"SavedModel"`, `"ONNX"` or `"LiteRT"`.
        bytes: The size of the file, of graph and variables of a SavedModel, or of the variables of
            a network.
        milliseconds: The median time for a batch, measured in turns with the other artifacts:
            compare it within one table alone.

    Example:
        >>> ArtifactSize("int8", "LiteRT", 165_008, 0.34).bytes
        165008
    """

    name: str
    kind: str
    bytes: int
    milliseconds: float


@dataclasses.dataclass(frozen=True)
class MovedPrediction:
    """Holds how one artifact predicts one task: a row of `FormatComparison`.

    Args:
        task: The name of the task.
        artifact: The name of the artifact.
        metric: The first metric of the task, or `"mean_loss"`.
        score: Its value; NaN without labels.
        worse_by: How much worse the score is than that of the reference, in units of the metric;
            below 0 if it is better.
        ece: The expected calibration error of a yes-or-no task, else NaN.
        usual_change: What 99.9 % of the predictions change by at most.
        largest_change: The largest change of a prediction; infinity where it becomes NaN.

    Example:
        >>> row = MovedPrediction("income", "int8", "auc", 0.9363, 0.0001, 0.01, 0.02, 0.06)
        >>> row.largest_change
        0.06
    """

    task: str
    artifact: str
    metric: str
    score: float
    worse_by: float
    ece: float
    usual_change: float
    largest_change: float


@dataclasses.dataclass(frozen=True)
class FormatComparison:
    """Holds how artifacts of one network predict, and what they cost; `print` shows two tables.

    Args:
        rows: One row per task and artifact; the first artifact is the reference.
        artifacts: What each artifact costs.
        num_rows: The number of rows of the data.
        batch_rows: The number of rows in the batch whose time was taken.
        tolerance: By task, how much worse a score may be.

    Example:
        >>> from keras_mtl.export import ArtifactSize, MovedPrediction
        >>> rows = [MovedPrediction("income", "float32", "auc", 0.9364, 0.0, 0.01, 0.0, 0.0),
        ...         MovedPrediction("income", "int8", "auc", 0.9352, 0.0012, 0.02, 0.1, 0.42)]
        >>> sizes = [ArtifactSize("float32", "ONNX", 506_477, 0.41),
        ...          ArtifactSize("int8", "ONNX", 191_479, 0.36)]
        >>> result = FormatComparison(tuple(rows), tuple(sizes), 10_000, 64, {"income": 0.001})
        >>> [row.artifact for row in result.moved]
        ['int8']
        >>> print(result)
        task    artifact  metric   score  worse by   ECE  99.9 % change  change
        income  float32      auc  0.9364         -  0.01              0       0
        income  int8         auc  0.9352    0.0012  0.02            0.1    0.42
        <BLANKLINE>
        artifact  kind    bytes  ms for 64 rows
        float32   ONNX  506,477            0.41
        int8      ONNX  191,479            0.36
    """

    rows: tuple[MovedPrediction, ...]
    artifacts: tuple[ArtifactSize, ...]
    num_rows: int
    batch_rows: int
    tolerance: Mapping[str, float]

    @property
    def moved(self) -> tuple[MovedPrediction, ...]:
        """The rows of tasks that an artifact moves beyond their tolerance.

        A prediction that becomes NaN is beyond each tolerance.
        """
        return tuple(
            row
            for row in self.rows
            if row.task in self.tolerance
            and (row.worse_by > self.tolerance[row.task] or math.isinf(row.largest_change))
        )

    def __str__(self) -> str:
        reference = self.artifacts[0].name
        scores = [_cells(row, row.artifact == reference) for row in self.rows]
        costs = [
            (size.name, size.kind, f"{size.bytes:,}", f"{size.milliseconds:.3g}")
            for size in self.artifacts
        ]
        timed = f"ms for {self.batch_rows:,} rows"
        return "\n".join(
            [
                *_lines(_HEADER, scores, 2),
                "",
                *_lines(("artifact", "kind", "bytes", timed), costs, 2),
            ]
        )

    def to_records(self) -> list[dict[str, Any]]:
        """Returns one dict of plain values per row, for JSON, CSV or a data frame.

        Numbers that do not exist are `None`, since JSON has no NaN.
        """
        return [
            {name: None if value != value else value for name, value in vars(row).items()}
            for row in self.rows
        ]


def _cells(row: MovedPrediction, is_reference: bool) -> tuple[str, ...]:
    return (
        row.task,
        row.artifact,
        row.metric,
        _text(row.score, 4),
        "-" if is_reference else _text(row.worse_by, 2),
        _text(row.ece, 2),
        _text(row.usual_change, 2),
        _text(row.largest_change, 2),
    )


def _text(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value + 0.0:.{digits}g}"  # -0.0 becomes 0


def _lines(header: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Returns the lines of a table, the first columns aligned to the left."""
    table = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in table
    ]

"""A matrix that a layer has learned, with the names of its rows and columns."""

import dataclasses

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._printing._tables import format_number, format_table

_MAX_NAMES = 12  # in the text


@dataclasses.dataclass(frozen=True)
class RelationTable:
    """Holds what one layer has learned of tasks, as a matrix. `print` shows it.

    Args:
        layer: The name of the layer.
        kind: The class of the layer.
        meaning: What an entry says.
        rows: The names of the rows: those that receive, most often tasks.
        columns: The names of the columns: what they receive from.
        values: The entries, `[rows, columns]`.

    Example:
        >>> import numpy as np
        >>> table = RelationTable("stitch", "CrossStitch", "a weight", ("b",), ("b",), np.eye(1))
        >>> print(table)
        stitch (CrossStitch): a weight
           b
        b  1
    """

    layer: str
    kind: str
    meaning: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: FloatArray

    def __str__(self) -> str:
        rows, columns = self.rows[:_MAX_NAMES], self.columns[:_MAX_NAMES]
        cells = self.values[: len(rows), : len(columns)].tolist()
        table = [[name, *map(format_number, row)] for name, row in zip(rows, cells, strict=True)]
        lines = [f"{self.layer} ({self.kind}): {self.meaning}", format_table(["", *columns], table)]
        if (len(rows), len(columns)) != self.values.shape:
            lines.append(f"... {len(self.rows)} rows, {len(self.columns)} columns; see .values")
        return "\n".join(lines)

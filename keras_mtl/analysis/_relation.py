"""One measure of relation for all pairs of tasks."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.analysis._inputs._numbers import FloatArray
from keras_mtl.analysis._printing._tables import format_number, format_table
from keras_mtl.analysis._relations._linkage import LINKAGES, merge_groups

_Places = npt.NDArray[np.signedinteger[Any]]
_MAX_PAIRS = 10  # in the text; `rows` has all of them


@dataclasses.dataclass(frozen=True)
class Relation:
    """Holds one measure of relation for all pairs of tasks. `print` shows the strongest pairs.

    All matrices are `[K, K]` and symmetric, in the order of `tasks`; whatever does not exist is
    NaN.

    Args:
        measure: Its name.
        tasks: The names of the K tasks.
        values: The relations.
        counts: The numbers of rows from which they come.
        lower: Lower ends of 95 % intervals.
        upper: Upper ends.
        p_values: For "no relation", corrected over all pairs by Benjamini and Hochberg.
        reasons: Why a relation is missing; "" where it is not.
        least: The least value that the rates of two binary labels allow, for phi.
        greatest: The greatest value.
        strongest: For pairs with several columns, whose value is the mean of absolute values: the
            strongest relation of two columns, and their names.

    Example:
        >>> from keras_mtl.analysis import label_relations
        >>> labels = {"views": [1, 2, 3, 4, 5], "age": [2, 1, 4, 3, 5], "fee": [5, 1, 4, 1, 2]}
        >>> pearson = label_relations(labels, min_rows=3, resamples=0)["pearson"]
        >>> pearson.groups(0.6)
        (('views', 'age'), ('fee',))
    """

    measure: str
    tasks: tuple[str, ...]
    values: FloatArray
    counts: FloatArray
    lower: FloatArray
    upper: FloatArray
    p_values: FloatArray
    reasons: npt.NDArray[np.object_]
    least: FloatArray
    greatest: FloatArray
    strongest: dict[tuple[str, str], tuple[float, str, str]]

    @property
    def shares(self) -> FloatArray:
        """Each phi as a share of its bound on the same side of 0, from 0 to 1."""
        bounds = np.where(self.values < 0, self.least, self.greatest)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.values / bounds)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dict per pair of tasks, for a table or a CSV file."""
        return self._list_pairs(*np.triu_indices(len(self.tasks), 1))

    def groups(self, threshold: float, *, linkage: str = "single") -> tuple[tuple[str, ...], ...]:
        """Returns the groups of tasks whose relations reach a threshold in absolute value.

        Labels that are related are no evidence that the tasks should share a network: groups from
        labels are candidates, to be compared on validation data.

        Args:
            threshold: From above 0. Tasks are joined where |relation| >= threshold.
            linkage: "single" makes connected components, which may chain tasks that are not
                related; "average" joins two groups where their mean relation reaches the threshold,
                and counts a missing relation as 0.
        """
        if not threshold > 0:
            raise ValueError(f"threshold is {threshold}; expected a number above 0.")
        # The tolerance is that of the sum and difference by which linkage turns relations around.
        reached = [
            groups
            for limit, groups in self.groupings(linkage=linkage)
            if limit >= threshold - 1e-12
        ]
        return reached[-1]

    def groupings(
        self, *, linkage: str = "single"
    ) -> list[tuple[float, tuple[tuple[str, ...], ...]]]:
        """Returns all groupings that a threshold can give, the finest first: at most K.

        Each comes with the largest threshold that gives it. To choose one, train each of them (or
        the five most different ones) with one budget, and take the coarsest within one standard
        error of the best mean gain on validation data.
        """
        if linkage not in LINKAGES:
            raise ValueError(f"linkage is {linkage!r}; expected one of {list(LINKAGES)}.")
        strengths = np.abs(self.values)
        if self.measure == "covariance":
            raise ValueError(
                "covariances have the units of two labels and cannot be compared; take 'pearson'."
            )
        return [
            (limit, tuple(tuple(self.tasks[task] for task in group) for group in groups))
            for limit, groups in merge_groups(strengths, linkage)
        ]

    def __str__(self) -> str:
        first, second = np.triu_indices(len(self.tasks), 1)
        # The strongest pairs first, and missing ones last.
        order = np.argsort(-np.abs(self.values[first, second]), kind="stable")[:_MAX_PAIRS]
        rows = self._list_pairs(first[order], second[order])
        cells = [_list_cells(row) for row in rows]
        header = ["pair", self.measure, "95 % interval", "rows", "p"]
        if any(len(row) > 5 for row in cells):
            header += ["bounds", "share"]
            cells = [row + ["-"] * (len(header) - len(row)) for row in cells]
        lines = [
            format_table([*header, ""], [[*row, reason] for row, reason in _reasons(rows, cells)])
        ]
        if len(first) > _MAX_PAIRS:
            lines.append(f"... {len(first)} pairs in all; see .rows")
        return "\n".join(lines)

    def _list_pairs(self, first: _Places, second: _Places) -> list[dict[str, Any]]:
        columns = {
            "task": [self.tasks[index] for index in first],
            "other task": [self.tasks[index] for index in second],
            self.measure: self.values[first, second].tolist(),
            "lower": self.lower[first, second].tolist(),
            "upper": self.upper[first, second].tolist(),
            "rows": self.counts[first, second].astype(int).tolist(),
            "p": self.p_values[first, second].tolist(),
            "least": self.least[first, second].tolist(),
            "greatest": self.greatest[first, second].tolist(),
            "share of bound": self.shares[first, second].tolist(),
            "missing because": self.reasons[first, second].tolist(),
        }
        return [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]


def _list_cells(row: dict[str, Any]) -> list[str]:
    """Returns the cells of a pair: value, interval, rows, p, and bounds if there are any."""
    task, other, value, lower, upper, *_ = row.values()
    cells = [
        f"{task}, {other}",
        format_number(value),
        "-" if np.isnan(lower) else f"{format_number(lower)} to {format_number(upper)}",
        str(row["rows"]),
        format_number(row["p"], 2),
    ]
    if not np.isnan(row["least"]):
        bounds = f"{format_number(row['least'])} to {format_number(row['greatest'])}"
        cells += [bounds, format_number(row["share of bound"])]
    return cells


def _reasons(
    rows: Sequence[dict[str, Any]], cells: Sequence[list[str]]
) -> list[tuple[list[str], str]]:
    reasons = [row["missing because"] for row in rows]
    return list(zip(cells, reasons, strict=True))

"""Metrics per epoch of several contenders."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mtl.analysis._inputs._numbers import FloatArray, read_numbers
from keras_mtl.analysis._verdicts._modes import MODES, Mode, check_mode


@dataclasses.dataclass(frozen=True)
class Curves:
    """Holds a metric of each task after each epoch, of one or several contenders.

    Choose it for `report` and `figures.curves`. A plain dict of the same values is taken there too,
    but then neither the name of a metric nor its direction is known.

    Args:
        values: By contender and task, the metric after each epoch: `[E]`, or a list of one such
            sequence per seed, which may differ in length where trainings stopped early. NaN is an
            epoch without the metric.
        metrics: By task, the name of its metric.
        modes: By task, `"max"` or `"min"`. Defaults to the direction that the metric's name says.

    Example:
        >>> curves = Curves({"MMoE": {"income": [[0.90, 0.93, 0.94], [0.91, 0.93]]}},
        ...                 metrics={"income": "auc"})
        >>> curves.tasks, curves.mode("income"), curves.seeds("MMoE", "income").shape
        (('income',), 'max', (2, 3))
    """

    values: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, str] = dataclasses.field(default_factory=dict)
    modes: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def contenders(self) -> tuple[str, ...]:
        """The names of the contenders."""
        return tuple(map(str, self.values))

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks, in the order in which contenders name them first."""
        return tuple(dict.fromkeys(task for by_task in self.values.values() for task in by_task))

    def mode(self, task: str) -> Mode | None:
        """Returns the direction of the metric of a task, or `None` if it is not known."""
        metric = self.metrics.get(task, "")
        if task not in self.modes and metric not in MODES:
            return None
        return check_mode(self.modes.get(task), metric, task)

    def seeds(self, contender: str, task: str) -> FloatArray:
        """Returns the values of a contender and task, `[S, E]`, with NaN where there are none.

        Raises:
            TypeError: If a value is no number.
            ValueError: If the values are neither one sequence nor a list of sequences.
        """
        values = self.values[contender].get(task, ())
        name = f"curves[{contender!r}][{task!r}]"
        runs = list(values) if len(values) and np.ndim(values[0]) else [values]
        rows = [read_numbers(run, name) for run in runs]
        if any(row.ndim != 1 for row in rows):
            raise ValueError(f"{name} is {values!r}; expected one number per epoch.")
        filled = np.full((len(rows), max(map(len, rows))), np.nan)
        for row, target in zip(rows, filled, strict=True):
            target[: len(row)] = row
        return filled


def read_curves(curves: Any) -> Curves:
    """Returns curves, of a dict by contender and task too.

    Raises:
        TypeError: If they are no dict of dicts.
    """
    if isinstance(curves, Curves):
        return curves
    if not isinstance(curves, Mapping) or not all(
        isinstance(by_task, Mapping) for by_task in curves.values()
    ):
        raise TypeError(
            f"curves is {type(curves).__name__}; expected `Curves`, or a dict by contender of "
            "dicts by task."
        )
    return Curves(curves)

"""Bounds that hold for several tasks together, in reports and in alerts.

With a bound of 1 % for each of 50 tasks, two of five logs without any drift would have a task
beyond it. These bounds are those of `Drift.null_99` and `Calibration.null_99` at 1 % / K instead,
for the K tasks that are judged together: those of a report, or those that a server watches.
"""

import statistics

from keras_mtl.serving._watching._calibration import CalibrationCounts
from keras_mtl.serving._watching._drift import Drift, chi_squared_quantile

LEAST_PSI = 0.1
"""A smaller index is no drift that matters, however many rows show it."""

LEAST_ECE = 0.02
"""A smaller error is none that matters."""


def bound_psi(drift: Drift, num_bins: int, num_tasks: int) -> float:
    """Returns the index above which it is drift, with 1 % of false alarms for all tasks together.

    Args:
        drift: The index of the task.
        num_bins: The number of bins it was computed from.
        num_tasks: The number of tasks that are judged.
    """
    scale = 1 / drift.rows + 1 / drift.reference_rows
    quantile = chi_squared_quantile(num_bins - 1, _normal_quantile(num_tasks))
    return max(LEAST_PSI, quantile * scale)


def bound_ece(counts: CalibrationCounts, num_tasks: int) -> float:
    """Returns the error above which probabilities are off, likewise."""
    return max(LEAST_ECE, counts.quantile(_normal_quantile(num_tasks)))


def _normal_quantile(num_tasks: int) -> float:
    return statistics.NormalDist().inv_cdf(1 - 0.01 / max(num_tasks, 1))

"""Means over seeds with intervals, and tables in Markdown, as all systems print them."""

import numpy as np
import scipy.stats


def interval(values):
    """Returns the mean of some runs and half the width of its 95 % interval (Student's t)."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return float(values.mean()), float("nan")
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(error * scipy.stats.t.ppf(0.975, len(values) - 1))


def cell(values, digits=3):
    """Formats the mean of some runs with its interval; one run has no interval."""
    mean, half = interval(values)
    return f"{mean:.{digits}f}" if np.isnan(half) else f"{mean:.{digits}f} ± {half:.{digits}f}"


def show(title, columns, rows):
    """Prints a table in Markdown: rows by name, whose cells are texts."""
    print(f"\n{title}\n")
    print(f"| | {' | '.join(columns)} |")
    print("|---" * (len(columns) + 1) + "|")
    for name, cells in rows.items():
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def rate_interval(events, exposure):
    """Returns the exact 95 % interval of a Poisson rate, from a number of events."""
    lower = scipy.stats.chi2.ppf(0.025, 2 * events) / 2 if events else 0.0
    return lower / exposure, scipy.stats.chi2.ppf(0.975, 2 * events + 2) / 2 / exposure

"""Which tasks a figure shows where there are too many for all of them."""

from collections.abc import Mapping, Sequence

import numpy as np


def keep_ends(scores: Mapping[str, float], most: int) -> tuple[list[str], list[str]]:
    """Returns the worst and the best names by score, half of `most` each, worst first.

    Names without a score are left out if there are enough with one.
    """
    ranked = sorted(scores, key=lambda name: (np.isnan(scores[name]), scores[name]))
    known = [name for name in ranked if not np.isnan(scores[name])]
    ranked = known if len(known) >= most else ranked
    half = most // 2
    return ranked[:half], ranked[len(ranked) - (most - half) :]


def spread(values: Sequence[float]) -> list[float]:
    """Returns smallest value, quartiles, median and largest value; NaN without any value."""
    known = [value for value in values if not np.isnan(value)]
    if not known:
        return [float("nan")] * 5
    return [float(value) for value in np.quantile(known, [0.0, 0.25, 0.5, 0.75, 1.0])]

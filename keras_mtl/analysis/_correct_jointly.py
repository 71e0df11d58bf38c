"""One correction for the comparisons of several contenders."""

import dataclasses
from collections.abc import Mapping

from keras_mtl.analysis._comparison import Comparison
from keras_mtl.analysis._verdicts._rows import conclude


def correct_jointly(comparisons: Mapping[str, Comparison]) -> dict[str, Comparison]:
    """Corrects the p-values of several contenders for all of their rows together.

    `compare` corrects for the tasks of one contender. In a table of tasks and contenders there are
    more chances for a false claim, so that its verdicts come from one family of tests.

    Choose it wherever comparisons of several contenders with one baseline are shown together. The
    mean gains keep their verdicts.

    Args:
        comparisons: By the name of the contender.

    Returns:
        The comparisons with new corrected p-values and verdicts. The correction is Holm's up to 20
        rows in all, and that of Benjamini and Hochberg above.

    Raises:
        ValueError: If there is no comparison.

    Example:
        >>> from keras_mtl.analysis import compare_scores
        >>> before = {"age": [8.2, 8.3, 8.1, 8.2]}
        >>> results = {
        ...     "MMoE": compare_scores(before, {"age": [8.0, 8.0, 8.0, 8.1]}, directions="min"),
        ...     "PLE": compare_scores(before, {"age": [8.2, 8.3, 8.2, 8.2]}, directions="min"),
        ... }
        >>> [round(result.row("age").corrected_p, 3) for result in results.values()]
        [0.035, 0.391]
        >>> results = correct_jointly(results)
        >>> [round(result.row("age").corrected_p, 3) for result in results.values()]
        [0.071, 0.391]
    """
    if not comparisons:
        raise ValueError("comparisons is empty; expected at least one.")
    rows = [row for comparison in comparisons.values() for row in comparison.rows]
    concluded, correction = conclude(rows)
    corrected, start = {}, 0
    for name, comparison in comparisons.items():
        part = concluded[start : start + len(comparison.rows)]
        start += len(part)
        corrected[name] = dataclasses.replace(comparison, rows=part, correction=correction)
    return corrected

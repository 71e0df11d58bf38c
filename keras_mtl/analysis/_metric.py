"""How predictions are scored."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from keras_mtl.analysis._verdicts._modes import Mode


@dataclasses.dataclass(frozen=True)
class Metric:
    """Describes a metric of `compare` that needs more than a name.

    Choose it for a function of your own, for thresholds, and for a score by chance. Everywhere else
    the name alone is enough: `"auc"`.

    Args:
        name: A name of the list in `compare`, or any name for a function.
        function: `(labels, predictions) -> float`, for metrics without a name in that list. It
            receives the n rows with a label: labels `[n]` or `[n, C]`, and predictions of one seed,
            `[n]` or `[n, C]`. It is called for each seed, model and draw of rows: 2,000 S times.
        mode: `"max"` or `"min"`: whether the metric is better high or low. Required for a function.
        threshold: The probability above which a label counts as 1, for `accuracy`,
            `balanced_accuracy`, `f1`, `macro_f1` and `mcc` of yes-or-no labels. Choose it on
            validation data, for each model alone: `{"baseline": 0.4, "contender": 0.3}`. An array
            `[S]` has one per seed, an array `[S, C]` one per column too. Defaults to 0.5.
        chance: The score of a prediction that knows nothing, from which `chance_gain` is counted.
            Defaults to .5 for AUC, 1/C for balanced accuracy of C classes, and 0 for `mcc`, `r2`
            and `spearman`; other metrics have none.

    Example:
        >>> import numpy as np
        >>> from keras_mtl.analysis import Metric, compare
        >>> labels = {"price": np.arange(50.0)}
        >>> median = Metric("median error", lambda y, p: np.median(abs(y - p)), mode="min")
        >>> result = compare(labels, {"price": [labels["price"] + 2]},
        ...                  {"price": [labels["price"] - 1]}, median)
        >>> result.rows[0].baseline, result.rows[0].contender
        (2.0, 1.0)
    """

    name: str
    function: Callable[[Any, Any], float] | None = None
    mode: Mode | None = None
    threshold: Any | Mapping[str, Any] = 0.5
    chance: float | None = None

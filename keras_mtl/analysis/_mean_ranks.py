"""The mean rank of several methods over tasks and metrics."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.stats

from keras_mtl.analysis._verdicts._modes import sign_of
from keras_mtl.analysis._verdicts._named_values import in_order, read_modes, read_values


def mean_ranks(
    methods: Mapping[str, Any], *, directions: str | Mapping[str, str] | None = None
) -> dict[str, float]:
    """Computes the mean rank of each method: 1 is the best, ties share their ranks.

    The methods are ranked in each metric of each task, and the ranks are averaged over all of them.

    Choose it beside the gains of `gains` for several methods, as papers do: it needs no baseline,
    and one metric with a large gain cannot decide it. Not alone: a rank does not say by how much,
    the ranks change when a method is added, and a task with many metrics counts more.

    Args:
        methods: By the name of the method, its metrics as `gains` takes them.
        directions: As for `gains`.

    Returns:
        The mean rank by method, from 1 to the number of methods.

    Raises:
        TypeError: If a method's metrics are no dicts of numbers.
        ValueError: If there is no method, methods differ in tasks or metrics, or a direction is
            unknown.

    Example:
        >>> mean_ranks({
        ...     "single task": {"income": {"auc": 0.94}, "age": {"mae": 8.2}},
        ...     "MMoE": {"income": {"auc": 0.95}, "age": {"mae": 8.2}},
        ... })
        {'single task': 1.75, 'MMoE': 1.25}

    Reference:
        Navon et al. 2022, arXiv:2202.01017 ("MR").
    """
    if not isinstance(methods, Mapping) or not methods:
        raise ValueError(f"methods is {methods!r}; expected a dict of metrics by method.")
    tables = {name: read_values(metrics, f"method {name!r}") for name, metrics in methods.items()}
    first, *_ = tables
    keys = list(tables[first])
    signs = np.array([sign_of(mode) for mode in read_modes(directions, keys)])
    values = [
        in_order(table, keys, f"method {name!r}", f"method {first!r}")
        for name, table in tables.items()
    ]
    ranks = scipy.stats.rankdata(-signs * np.array(values), axis=0)  # [methods, metrics]
    return dict(zip(methods, ranks.mean(axis=1).tolist(), strict=True))

"""Hyperparameters of a training for TensorBoard's table of trials."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from tensorboard.plugins.hparams import api


def split_values(
    values: Mapping[str, Any],
) -> tuple[dict[str, bool | float | str], dict[str, str]]:
    """Returns the values that the table can take, and all others as text."""
    plain = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in values.items()
    }
    # The table is JSON, which has no NaN and no infinity.
    taken = {
        name: value
        for name, value in plain.items()
        if isinstance(value, bool | str)
        or (isinstance(value, int | float) and math.isfinite(value))
    }
    return taken, {name: repr(value) for name, value in plain.items() if name not in taken}


def trial_summaries(
    values: Mapping[str, bool | float | str], metrics: Iterable[tuple[str, str]], trial: str | None
) -> list[Any]:
    """Returns the summaries of the experiment and of this trial.

    Args:
        values: The hyperparameters.
        metrics: The tag and the title of a metric per task.
        trial: The name of the trial; `None` takes one from the values.
    """
    columns = [api.HParam(name, _domain(value)) for name, value in values.items()]
    results = [api.Metric(tag, group="validation", display_name=title) for tag, title in metrics]
    return [
        api.hparams_config_pb(hparams=columns, metrics=results),
        api.hparams_pb(dict(values), trial_id=trial),
    ]


def _domain(value: bool | float | str) -> Any:
    if isinstance(value, bool):
        return api.Discrete([False, True])
    # Of numbers and words, one trial does not know which others there are.
    return None

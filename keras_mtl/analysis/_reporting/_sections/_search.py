"""The trials of a search for task weights."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_mtl.analysis import figures
from keras_mtl.analysis._hypervolume import hypervolume
from keras_mtl.analysis._pareto_front import pareto_front
from keras_mtl.analysis._reporting._page import Section, make_table
from keras_mtl.analysis._reporting._pictures import make_picture

_HEADING = "Search for task weights"
_REFERENCE = -0.1
_MOST_OBJECTIVES = 4


def make_search(trials: Sequence[Mapping[str, Any]]) -> Section:
    """Returns the section of a search.

    Args:
        trials: In their order: dicts with `weights` and `gains` by task; failed trials without
            gains. Other keys are shown in the table.
    """
    weights = [dict(trial.get("weights") or {}) for trial in trials]
    gains = [dict(trial.get("gains") or {}) for trial in trials]
    tasks = list(dict.fromkeys(task for by_task in gains for task in by_task))
    points = {
        f"trial {number}": {task: by_task.get(task, np.nan) for task in tasks}
        for number, by_task in enumerate(gains, 1)
    }
    front = pareto_front(points).names if tasks else ()
    records = [
        {
            "trial": number,
            "on the front": name in front,
            **{f"weight of {task}": value for task, value in weights[number - 1].items()},
            **{f"gain of {task}": value for task, value in points[name].items()},
            **{key: entry for key, entry in trial.items() if key not in ("weights", "gains")},
        }
        for number, (name, trial) in enumerate(zip(points, trials, strict=True), 1)
    ]
    table = make_table("search", "All trials (gains are fractions)", records)
    failed = sum(not by_task for by_task in gains)
    sentence = (
        f"{len(trials)} trials, of which {failed} failed. They were judged on validation data: "
    )
    sentence += "the best of many trials looks better there than it is."
    parts: list[Any] = [sentence]
    if len(tasks) > 1:
        named = {name: weights[int(name.split()[1]) - 1] for name in front}
        text = "The gains of all trials by task; in brackets, the task weights of the front."
        alt = f"Gains of {len(trials)} trials; {len(front)} are not dominated"
        parts.append(make_picture(figures.trade_offs(points, weights=named), alt, text))
    if tasks and any(weights):
        text = (
            "The gain of each task against the logarithm of its weight, one point for each trial."
        )
        parts.append(make_picture(figures.weight_effects(weights, gains), f"{text[:-1]}", text))
    if 1 < len(tasks) <= _MOST_OBJECTIVES:
        parts.append(_volume(list(points.values())))
    if len(parts) == 1:
        return Section("search", _HEADING, (*parts, table))
    # Folded with the first figure, which shows the same trials.
    parts[1] = dataclasses.replace(parts[1], tables=(table, *parts[1].tables))
    return Section("search", _HEADING, tuple(parts))


def _volume(points: list[dict[str, float]]) -> Any:
    volumes = [hypervolume(points[: n + 1], reference=_REFERENCE) for n in range(len(points))]
    text = (
        "The hypervolume of the front after each trial, from a loss of 10 % on every task. While "
    )
    text += "it still rises, more trials may find better weights."
    table = make_table(
        "hypervolume",
        "Hypervolume after each trial",
        [{"trial": n, "hypervolume": volume} for n, volume in enumerate(volumes, 1)],
    )
    return make_picture(figures.hypervolume(volumes), "Hypervolume after each trial", text, table)

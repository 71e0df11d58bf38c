"""A study as the sections of a report."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_mtl.analysis import Curves, label_relations, report
from keras_mtl.analysis._verdicts._texts import name_of
from keras_mtl.studies._contenders._contender import BASELINE
from keras_mtl.studies._contenders._settings import Settings
from keras_mtl.studies._data._label_counts import count_labels, read_labels
from keras_mtl.studies._verdicts._best import validation_scores
from keras_mtl.studies._verdicts._tables import (
    ON_LABELED,
    count_best_at_end,
    passes_of,
    training_records,
)

if TYPE_CHECKING:
    from keras_mtl.studies._study import Study

_MOST_TASKS = 50  # of a table of relations


def write_report(study: "Study", path: str | os.PathLike[str], title: str) -> None:
    """Writes a study as one page of HTML."""
    report(
        path,
        title=title,
        comparisons=dict(study.comparisons),
        compared={
            "Contenders": [_describe(study, name) for name in study.runs],
            "Budget per network": dataclasses.asdict(study.plan.budget),
            **({"A constant answer": floors} if (floors := _floors(study)) else {}),
        },
        failures=training_records(study.failures) or None,
        curves=Curves(
            {name: curves for name in study.runs if (curves := _curves(study, name))},
            study.metrics,
            {name: metric.mode for name, metric in study.plan.metrics.items()},
        ),
        relations=_relations(study),
        data=count_labels(study.plan.data, study.plan.tasks),
        settings=_settings(study),
    )


def _describe(study: "Study", contender: str) -> dict[str, Any]:
    """Returns a row that says what a contender is, and what it cost."""
    trainings = [t for t in study.trainings if t.contender == contender]
    final = [training for _, training in study.runs[contender]]
    scores = list(validation_scores(study, contender).values())
    first = {training.network: training for training in final[::-1]}
    return {
        "contender": contender,
        "networks": len({n.index for n in study.plan.networks if n.contender == contender}),
        "parameters": sum(training.parameters for training in first.values()),
        "chosen settings": " | ".join(_text(first[index]) for index in sorted(first)),
        "validation gain %": 100.0 * float(np.mean(scores)) if scores else None,
        "trainings": len(trainings),
        "best in the last epoch": f"{count_best_at_end(study.runs[contender])} of {len(final)}",
        "steps": sum(training.steps for training in trainings),
        "backward passes": passes_of(trainings),
        "seconds": round(sum(training.seconds for training in trainings), 1),
    }


def _floors(study: "Study") -> list[dict[str, Any]]:
    """Returns what the best constant answer scores on the test rows, beside the baseline."""
    rows = next((comparison.rows for comparison in study.comparisons.values()), ())
    return [
        {
            "task": name_of(row),
            "metric": row.metric,
            "constant answer": study.floors[name_of(row)],
            BASELINE: row.baseline,
        }
        for row in rows
        if name_of(row) in study.floors
    ]


def _text(training: Any) -> str:
    settings = Settings(training.learning_rate, training.weights, training.hyper_parameters)
    return settings.text


def _curves(study: "Study", contender: str) -> dict[str, Any]:
    """Returns by task the validation metric of each epoch, one curve per seed."""
    curves: dict[str, list[Sequence[float]]] = {}
    for _, training in study.runs[contender]:
        for task, curve in training.curves.items():
            curves.setdefault(task, []).append(list(curve))
    return {task: curves[task] for task in study.tasks if task in curves}


def _relations(study: "Study") -> Any:
    if not 2 <= len(study.tasks) <= _MOST_TASKS:
        return None
    labels, kinds = read_labels(study.plan.data, study.plan.tasks)
    if len(labels) < 2:
        return None
    return label_relations(labels, kinds=kinds, measures=["spearman"], resamples=0)


def _settings(study: "Study") -> dict[str, Mapping[str, Any]]:
    settings = study.settings
    named = ("optimizer", "learning_rate", "seed", "steps_per_epoch")
    data = {
        f"{part} {key}": value
        for part, taken in settings["data"].items()
        for key, value in taken.items()
        if key != "spec"
    }
    return {
        "Settings": {name: str(settings[name]) for name in named},
        "Metrics": {task: f"{log} ({mode})" for task, (log, mode) in settings["metrics"].items()},
        "Data": data,
        "Versions": settings["versions"],
        "Baseline": {
            "is": f"{BASELINE}, from the function of a contender or of `baseline`"
            + (ON_LABELED if settings.get("baseline_rows") == "labeled" else "")
        },
    }

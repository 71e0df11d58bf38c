"""A study as text, and as rows of CSV files."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_mtl.analysis._printing._tables import format_number, format_table
from keras_mtl.analysis._verdicts._texts import name_of, percent
from keras_mtl.studies._contenders._contender import BASELINE
from keras_mtl.studies._contenders._settings import Settings
from keras_mtl.studies._trainings._job import Job
from keras_mtl.studies._trainings._record import Training

if TYPE_CHECKING:
    from keras_mtl.analysis import TaskVerdict
    from keras_mtl.studies._study import Study

Runs = Mapping[str, Sequence[tuple[Job, Training]]]
"""By contender, the trainings of all seeds of all of its networks."""

ON_LABELED = ", on the rows that have a label of it"
_MOST_ROWS = 40
_HEADER = [
    "task",
    "metric",
    "constant",
    "contender",
    "baseline",
    "score",
    "gain %",
    "interval %",
    "verdict",
]


def table_of(study: "Study") -> str:
    """Returns the verdicts of all contenders by task, their sentences, and what failed."""
    num_rows = sum(len(comparison.rows) for comparison in study.comparisons.values())
    lines = []
    if num_rows <= _MOST_ROWS:
        rows = [
            (position, _cells(row, name, study.floors))
            for name, comparison in study.comparisons.items()
            for position, row in enumerate(comparison.rows)
        ]
        rows.sort(key=lambda pair: pair[0])  # by task, contenders in their order
        lines.append(format_table(_HEADER, [cells for _, cells in rows]))
    for name, comparison in study.comparisons.items():
        if num_rows > _MOST_ROWS:
            lines += [f"{name}:", str(comparison)]
        else:
            lines.append(f"{name}: {comparison.sentence}")
    lines += [
        f"{name}: no seed was trained to the end."
        for name in study.contenders
        if name not in study.comparisons
    ]
    budget = study.plan.budget
    on_labeled = any(network.labeled is not None for network in study.plan.networks)
    lines.append(
        f"Baseline: {BASELINE}{ON_LABELED if on_labeled else ''}. Per network: {budget.trials} "
        f"trials, {budget.epochs} epochs, {budget.seeds} seeds. Best by validation data: "
        f"{study.best_name()}. Constant: what the best answer without looking at the inputs scores."
    )
    at_end = [
        f"{name} ({ended} of {len(runs)})"
        for name, runs in study.runs.items()
        if (ended := count_best_at_end(runs)) > len(runs) / 2
    ]
    if at_end:
        lines.append(
            f"Most trainings were best in their last epoch: {', '.join(at_end)}. Unless a schedule "
            "of the learning rate ends there, more epochs may change verdicts."
        )
    if study.failures:
        lines.append(f"{len(study.failures)} trainings failed: {study.failures[0].error}")
    return "\n".join(lines)


def _cells(row: "TaskVerdict", contender: str, floors: Mapping[str, float]) -> list[str]:
    interval = f"[{percent(row.gain_lower)}, {percent(row.gain_upper)}]"
    return [
        name_of(row),
        row.metric,
        format_number(floors.get(name_of(row), float("nan")), 4),
        contender,
        format_number(row.baseline, 4),
        format_number(row.contender, 4),
        percent(row.gain),
        interval if row.gain == row.gain and row.is_tested else "-",
        row.verdict,
    ]


def write_tables(study: "Study") -> None:
    """Writes `verdicts.csv` and `trainings.csv` to the folder of a study."""
    verdicts = [
        {
            "contender": name,
            "score": record.pop("contender"),
            **record,
            "constant": study.floors.get(name_of(row)),
        }
        for name, comparison in study.comparisons.items()
        for row, record in zip(comparison.rows, comparison.to_records(), strict=True)
    ]
    _write_csv(study.folder / "verdicts.csv", verdicts)
    _write_csv(study.folder / "trainings.csv", training_records(study.trainings))


def passes_of(trainings: Sequence[Training]) -> float | None:
    """Returns the backward passes through the shared layers; `None` if some are not known."""
    counted = [(training.steps, training.passes) for training in trainings if training.steps]
    known = [steps * passes for steps, passes in counted if passes is not None]
    return sum(known) if known and len(known) == len(counted) else None


def count_best_at_end(runs: Sequence[tuple[Job, Training]]) -> int:
    """Returns how many trainings of several epochs had their best one at the end."""
    return sum(
        training.epochs > 1 and training.best_epoch == training.epochs - 1 for _, training in runs
    )


def training_records(trainings: Sequence[Training]) -> list[dict[str, Any]]:
    """Returns one row per training."""
    return [
        {
            "contender": training.contender,
            "tasks": " ".join(training.tasks),
            "stage": training.stage,
            "number": training.number,
            "seed": training.seed,
            "settings": Settings(
                training.learning_rate, training.weights, training.hyper_parameters
            ).text,
            "state": training.state,
            "best_epoch": training.best_epoch,
            "epochs": training.epochs,
            "steps": training.steps,
            "backward passes": passes_of([training]),
            "parameters": training.parameters,
            "seconds": round(training.seconds, 3),
            "error": training.error,
        }
        for training in trainings
    ]


def _write_csv(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    new = path.with_name(f"{path.name}.new")
    with new.open("w", newline="", encoding="utf-8") as file:
        if records:
            writer = csv.DictWriter(file, list(records[0]))
            writer.writeheader()
            for record in records:
                writer.writerow({key: _safe(value) for key, value in record.items()})
    os.replace(new, path)


def _safe(value: Any) -> Any:
    """Returns a cell that no spreadsheet takes for a formula."""
    is_risky = isinstance(value, str) and value.startswith(("=", "+", "-", "@"))
    return f"'{value}" if is_risky else value

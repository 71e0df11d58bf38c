"""The result of a search with several objectives."""

import csv
import dataclasses
import io
import os
import pathlib
from typing import Any, Literal

import keras_tuner

from keras_mtl._tasks import Task
from keras_mtl.analysis._printing._tables import format_number, format_table
from keras_mtl.tuning._result import fill_hyper_parameters

State = Literal["complete", "stopped", "failed", "killed"]


@dataclasses.dataclass(frozen=True)
class ParetoTrial:
    """Holds a trial of a search with several objectives.

    Args:
        number: The position among all trials in the order in which they started, from 0.
        state: `"complete"`; `"stopped"`, if every task was worse than usual; `"failed"`, if the
            trial diverged or raised an error; or `"killed"`, if its process ended: another trial
            then has the same hyper-parameters.
        weights: The task weights.
        values: The objectives, all from `epoch`; empty if the trial is not complete.
        gains: The gain of each task for which baselines are known, from the same epoch.
        metrics: All validation metrics of that epoch, by their names in the logs.
        epoch: The epoch that stands for the trial, from 0; `None` if none ended.
        curve: The validation metrics of all epochs, averaged over the trainings of the trial.
        hyperparameters: The values of the hyper-parameters that `build` declared, by name.
        reason: Why the trial failed; `None` if it did not.
        epochs: The number of epochs that were begun, in all trainings of the trial.
        seconds: The duration of the trial.

    Example:
        >>> trial = ParetoTrial(0, "complete", {"click": 0.5, "buy": 1.5}, {"gain/buy": 0.02})
        >>> trial.weights["buy"]
        1.5
    """

    number: int
    state: State
    weights: dict[str, float]
    values: dict[str, float]
    gains: dict[str, float] = dataclasses.field(default_factory=dict)
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    epoch: int | None = None
    curve: tuple[dict[str, float], ...] = ()
    hyperparameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    reason: str | None = None
    epochs: int = 0
    seconds: float = 0.0

    @property
    def hp(self) -> keras_tuner.HyperParameters:
        """The hyper-parameters as `build` takes them."""
        return fill_hyper_parameters(self.hyperparameters)


@dataclasses.dataclass(frozen=True)
class ParetoResult:
    """Holds the result of a search with several objectives. `print` shows the front as a table.

    No point of the front is better than another in all objectives. Which one to take is a
    decision about the tasks, not a measurement. The values of the front are those of the best of
    many noisy trials on the validation data, and too good for this reason: train the chosen
    setting again with other seeds before you compare it with anything.

    Args:
        objectives: The names of the objectives.
        modes: `"max"` or `"min"` for each of them.
        front: The complete trials that no other one dominates, in the order of the first objective,
            the best one first.
        trials: All trials in the order in which they started.
        reference: The value of each objective from which the hypervolume is measured, as it was
            declared before the search.
        hypervolumes: The hypervolume after each of `trials`; it never falls.
        epoch_rule: The rule that chose the epoch of each trial, in words.
        tasks: The tasks as they were passed.
        epochs: The number of epochs that all trials trained, including those that were stopped,
            failed or were killed.
        seconds: The durations of all trials together. With several workers, the search itself took
            less time.
        study: The study of Optuna, which holds all other records of the search.

    Example:
        >>> trial = ParetoTrial(0, "complete", {"click": 1.0}, {"gain/click": 0.02})
        >>> print(ParetoResult(
        ...     ("gain/click",), ("max",), (trial,), (trial,), {"gain/click": -0.1}, (0.12,),
        ...     "the best mean of the tasks' gains", (Task.binary("click"),), 3, 1.5, None,
        ... ))
        trial  epoch  gain/click  weight/click
        0          -        0.02             1
        hypervolume 0.12 over the reference gain/click -0.1
        1 trials, 1 complete; 3 epochs, 1.5 s
    """

    objectives: tuple[str, ...]
    modes: tuple[str, ...]
    front: tuple[ParetoTrial, ...]
    trials: tuple[ParetoTrial, ...]
    reference: dict[str, float]
    hypervolumes: tuple[float, ...]
    epoch_rule: str
    tasks: tuple[Task, ...]
    epochs: int
    seconds: float
    study: Any

    @property
    def hypervolume(self) -> float:
        """The hypervolume of the front; 0 without trials."""
        return self.hypervolumes[-1] if self.hypervolumes else 0.0

    def tasks_of(self, trial: ParetoTrial) -> tuple[Task, ...]:
        """Returns the tasks with the weights of a trial, from which to build its network.

        The network is `build(result.tasks_of(trial))`; for a `build` that takes `hp`, it is
        `build(result.tasks_of(trial), trial.hp)`.
        """
        if all(task.weight == trial.weights[task.name] for task in self.tasks):
            return self.tasks
        return tuple(
            dataclasses.replace(task, weight=trial.weights[task.name]) for task in self.tasks
        )

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str:
        """Returns all trials as CSV, one row per trial, and writes them to a file.

        Columns are the number, the state, whether the trial is on the front, the epoch, the
        number of epochs, the seconds, the hypervolume after the trial, and then the objectives,
        the weights, the gains, the metrics and the hyper-parameters, each with its kind as a
        prefix, and the reason. Text that a spreadsheet would read as a formula is quoted.

        Args:
            path: The file; `None` to write none.

        Returns:
            The text of the file.
        """
        rows = [self._row(*pair) for pair in zip(self.trials, self.hypervolumes, strict=True)]
        names = list(dict.fromkeys(name for row in rows for name in row))
        names.sort(key=lambda name: name == "reason")  # stable: only the reason moves to the end
        text = io.StringIO()
        writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        if path is not None:
            pathlib.Path(path).write_text(text.getvalue())
        return text.getvalue()

    def _row(self, trial: ParetoTrial, hypervolume: float) -> dict[str, Any]:
        kinds = {
            "objective": trial.values,
            "weight": trial.weights,
            "gain": trial.gains,
            "metric": trial.metrics,
            "hp": trial.hyperparameters,
        }
        cells = {
            f"{kind}/{name}": v for kind, values in kinds.items() for name, v in values.items()
        }
        return {
            "number": trial.number,
            "state": trial.state,
            "on_front": trial.number in {point.number for point in self.front},
            "epoch": "" if trial.epoch is None else trial.epoch,
            "epochs": trial.epochs,
            "seconds": trial.seconds,
            "hypervolume": hypervolume,
            **{name: _quote(value) for name, value in cells.items()},
            "reason": _quote(trial.reason or ""),
        }

    def __str__(self) -> str:
        weights = [f"weight/{task.name}" for task in self.tasks]
        rows = [
            [
                str(point.number),
                "-" if point.epoch is None else str(point.epoch),
                *(format_number(point.values[name]) for name in self.objectives),
                *(format_number(point.weights[task.name]) for task in self.tasks),
            ]
            for point in self.front
        ]
        bounds = ", ".join(f"{name} {value:g}" for name, value in self.reference.items())
        states = [trial.state for trial in self.trials]
        counts = ", ".join(
            f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states))
        )
        return "\n".join(
            [
                format_table(["trial", "epoch", *self.objectives, *weights], rows),
                f"hypervolume {format_number(self.hypervolume)} over the reference {bounds}",
                f"{len(states)} trials, {counts}; {self.epochs} epochs, {self.seconds:.1f} s",
            ]
        )


def _quote(value: Any) -> Any:
    """Returns text that begins like a formula behind a quote; all else as it is."""
    is_formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if is_formula else value

"""The result of a search: the best weights, and what became of every trial."""

import dataclasses
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner

from keras_mtl._tasks import Task
from keras_mtl.tuning._space import PREFIX, SearchedWeights, Space

_MAX_REASONS = 5  # in one message
_ALL = 2**31 - 1  # trials; the largest number that a chief of Keras Tuner takes


@dataclasses.dataclass(frozen=True)
class SearchTrial:
    """Holds the weights of a trial and its score.

    Args:
        weights: The weights, by task name.
        score: The objective that was reached; `None` if the trial failed.
        number: The position among all trials in the order in which they started, from 0.
        reason: Why the trial failed; `None` if it did not.
        hyperparameters: The values of the hyper-parameters that `build` declared, by name.

    Example:
        >>> SearchTrial({"click": 0.5, "buy": 1.5}, 0.71).score
        0.71
    """

    weights: dict[str, float]
    score: float | None
    number: int = 0
    reason: str | None = None
    hyperparameters: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """Holds the result of a search with Keras Tuner.

    Args:
        weights: The best weights, by task name; they sum to the number of tasks.
        score: The objective that these weights reached on the validation data.
        tasks: The tasks with these weights, from which to build the final network.
        trials: All trials, the best one first and those that failed last.
        tuner: The tuner of Keras Tuner, which holds all other records of the search.
        at_bound: The tasks whose weights lie on the bound of the searched space, the largest
            weight first; empty if the best weights lie inside it.
        hyperparameters: The best values of the hyper-parameters that `build` declared, by name.

    Example:
        >>> result = SearchResult({"click": 1.0}, 0.9, (Task.binary("click"),), (), None)
        >>> result.tasks[0].weight
        1.0
    """

    weights: dict[str, float]
    score: float
    tasks: tuple[Task, ...]
    trials: tuple[SearchTrial, ...]
    tuner: Any
    at_bound: tuple[str, ...] = ()
    hyperparameters: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def hp(self) -> keras_tuner.HyperParameters:
        """The best hyper-parameters as `build` takes them: `build(result.tasks, result.hp)`."""
        return fill_hyper_parameters(self.hyperparameters)


def fill_hyper_parameters(values: Mapping[str, Any]) -> keras_tuner.HyperParameters:
    """Returns hyper-parameters that already have values, for another call of `build`.

    Example:
        >>> fill_hyper_parameters({"units": 4}).Choice("units", [2, 4])
        4
    """
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    return hp


def of_user(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the hyper-parameters that `build` declared, without those of weights and tuners."""
    return {
        name: value for name, value in values.items() if not name.startswith((PREFIX, "tuner/"))
    }


def read_result(tuner: Any, tasks: Sequence[Task], space: SearchedWeights) -> SearchResult:
    """Reads the trials of a tuner; warns of failed trials and of a best one on the bound.

    Raises:
        RuntimeError: If every trial failed.
    """
    # The oracle of a worker does not say how many trials there are (docs/keras_notes.md, pain 49).
    records = tuner.oracle.get_best_trials(_ALL)
    values = {int(record.trial_id): record.hyperparameters.values for record in records}
    trials = [_read_trial(record, tasks, space) for record in records]
    # The tuner sorts by score, and takes an infinite one for the best or the worst result
    # (docs/keras_notes.md, pain 96).
    completed = [trial for trial in trials if trial.score is not None]
    failed = sorted((trial for trial in trials if trial.score is None), key=lambda t: t.number)
    scores = [trial.score for trial in completed if trial.score is not None]
    # Keras Tuner ends such a search without an error (docs/keras_notes.md, pain 46).
    if not scores:
        raise RuntimeError(
            f"No trial of the search ended with a score: all {len(failed)} failed. "
            + _list_reasons(failed)
        )
    if failed:
        warnings.warn(
            f"{len(failed)} of {len(trials)} trials of the search failed and cannot be the best. "
            + _list_reasons(failed),
            stacklevel=4,
        )
    best = completed[0]
    at_bound = space.at_bound(best.weights)
    if at_bound and isinstance(space, Space):
        _warn_of_bound(at_bound, best.weights, space)
    return SearchResult(
        best.weights,
        scores[0],
        space.apply(tasks, values[best.number]),
        (*completed, *failed),
        tuner,
        at_bound,
        best.hyperparameters,
    )


def _read_trial(trial: Any, tasks: Sequence[Task], space: SearchedWeights) -> SearchTrial:
    by_name = space.weights(trial.hyperparameters.values)
    weights = {task.name: by_name[task.name] for task in tasks}
    number, values = int(trial.trial_id), of_user(trial.hyperparameters.values)
    if trial.status != "COMPLETED":
        return SearchTrial(weights, None, number, _read_reason(trial.message), values)
    score = float(trial.score)
    if not math.isfinite(score):
        return SearchTrial(weights, None, number, f"the score is {score}", values)
    return SearchTrial(weights, score, number, None, values)


def _read_reason(message: str | None) -> str:
    """Returns the error at the end of a traceback, without the name of Keras Tuner's class."""
    if message is None:
        return "the trial did not end"
    _, _, last_frame = message.rpartition('\n  File "')
    lines = last_frame.splitlines()
    # The frame's own lines are indented, except for the rest of its first line.
    start = next((i for i, line in enumerate(lines) if i and line[:1].strip()), 0)
    reason = "\n".join(lines[start:]).strip()
    kind, _, text = reason.partition(": ")
    return text if kind.endswith(".FailedTrialError") else reason


def _list_reasons(failed: Sequence[SearchTrial]) -> str:
    reasons = [
        f"Trial {trial.number}: {str(trial.reason).rstrip('.')}." for trial in failed[:_MAX_REASONS]
    ]
    more = len(failed) - len(reasons)
    return " ".join(reasons) + (f" And {more} more; see result.trials." if more else "")


def _warn_of_bound(at_bound: Sequence[str], weights: dict[str, float], space: Space) -> None:
    extremes = ", ".join(f"{name!r}: {weights[name]:.3g}" for name in at_bound)
    warnings.warn(
        f"The best task weights lie on the bound of the searched space (ratio={space.ratio:g}); "
        f"the largest and the smallest weights are {{{extremes}}}. Better weights may lie beyond "
        "it: search with a larger ratio.",
        stacklevel=5,
    )

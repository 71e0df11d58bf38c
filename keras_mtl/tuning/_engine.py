"""The tuners of Keras Tuner."""

import contextlib
import math
import numbers
import pathlib
import warnings
from collections.abc import Iterator
from typing import Any

import keras_tuner

from keras_mtl.tuning._weighted_tasks import WeightedTasks

_TUNERS = {
    "bayesian": keras_tuner.BayesianOptimization,
    "grid": keras_tuner.GridSearch,
    "hyperband": keras_tuner.Hyperband,
    "random": keras_tuner.RandomSearch,
}


def check_choices(
    kind: str, max_trials: int | None, ratio: float, executions: int, seed: int
) -> None:
    """Checks the arguments of a search that are numbers, and the kind of tuner.

    Raises:
        TypeError: If a number that has to be whole is not.
        ValueError: If the tuner is unknown, `ratio` is not above 1 and finite, a number is too
            small, or `max_trials` is missing for a tuner that never ends by itself.

    Example:
        >>> check_choices("random", max_trials=3, ratio=100.0, executions=1, seed=0)
    """
    if kind not in _TUNERS:
        raise ValueError(f"tuner must be one of {sorted(_TUNERS)}; received {kind!r}.")
    if not isinstance(ratio, numbers.Real) or not 1 < float(ratio) < math.inf:
        raise ValueError(
            "ratio is the largest ratio between two task weights, a finite number above 1; "
            f"received {ratio!r}."
        )
    if max_trials is None and kind in ("bayesian", "random"):
        raise ValueError(f"tuner={kind!r} never ends by itself: pass max_trials.")
    check_whole("executions_per_trial", executions, 1)
    check_whole("seed", seed, 0)
    if max_trials is not None:
        check_whole("max_trials", max_trials, 1)


def check_whole(name: str, value: Any, least: int) -> None:
    """Checks that an argument is a whole number of at least `least`.

    Raises:
        TypeError: If it is no whole number.
        ValueError: If it is too small.
    """
    if not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be a whole number; received {value!r}.")
    if int(value) < least:
        raise ValueError(f"{name} must be at least {least}; received {value}.")


@contextlib.contextmanager
def quiet_threads() -> Iterator[None]:
    """Leaves out warnings of Keras Tuner about itself, which asks for threads by old names.

    Nothing else is left out: warnings of the network that is trained inside are shown
    (docs/keras_notes.md, 115).

    Example:
        >>> import threading, warnings
        >>> with warnings.catch_warnings(record=True, action="always") as caught, quiet_threads():
        ...     _ = threading.currentThread()
        ...     warnings.warn("another warning")
        >>> [str(warning.message) for warning in caught]
        ['another warning']
    """
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", r"(currentThread|getName)\(\) is deprecated", DeprecationWarning
        )
        yield


def make_tuner(
    kind: str, model: WeightedTasks, folder: pathlib.Path, max_trials: int | None, epochs: int
) -> Any:
    """Makes a tuner of Keras Tuner for a hypermodel; it resumes the trials that `folder` holds.

    Args:
        kind: `"bayesian"`, `"grid"`, `"hyperband"` or `"random"`.
        model: The hypermodel.
        folder: The folder of the search.
        max_trials: The largest number of trials; `None` for no limit.
        epochs: The largest number of epochs per trial; only Hyperband uses it here.

    Returns:
        A `keras_tuner.Tuner`.
    """
    arguments: dict[str, Any] = {"max_trials": max_trials}
    if kind == "hyperband":
        arguments = {"max_epochs": epochs}
    if kind == "bayesian":
        # By default Keras Tuner draws three random trials per parameter (docs/keras_notes.md,
        # pain 80). With few trials in all, none would be left that learns from them: at most half
        # of the trials are random.
        default = 3 * (len(model.tasks) - 1)
        arguments["num_initial_points"] = max(3, min(default, (max_trials or 0) // 2))
    tuner = _TUNERS[kind](
        model,
        objective=keras_tuner.Objective(model.goal.name, model.goal.mode),
        seed=model.seed + 1,  # 0 would mean no seed (docs/keras_notes.md, pain 80)
        executions_per_trial=model.executions,
        directory=str(folder),
        project_name="trials",
        **arguments,
    )
    # Hyperband takes no `max_trials` as an argument (docs/keras_notes.md, pain 80).
    tuner.oracle.max_trials = max_trials
    # `WeightedTasks` counts errors in a row itself: a trial that diverged is none
    # (docs/keras_notes.md, pain 96).
    tuner.oracle.max_consecutive_failed_trials = None
    return tuner

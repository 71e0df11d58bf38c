"""The choice of a tuner, and the tuners of Keras Tuner."""

import contextlib
import math
import numbers
import pathlib
import warnings
from collections.abc import Iterator
from typing import Any

import keras_tuner

from keras_mtl.tuning._request import Request
from keras_mtl.tuning._weighted_tasks import WeightedTasks

_TUNERS = {
    "bayesian": keras_tuner.BayesianOptimization,
    "grid": keras_tuner.GridSearch,
    "hyperband": keras_tuner.Hyperband,
    "random": keras_tuner.RandomSearch,
}
OPTUNA_TUNERS = ("tpe", "nsga2")
_MAX_TPE_TRIALS = 100


def choose_tuner(request: Request, num_objectives: int) -> str:
    """Chooses the tuner, unless the user did.

    Keras Tuner has no search for several objectives (docs/keras_notes.md, pain 47), and Optuna
    does. TPE learns from few trials; NSGA-II needs some generations of them.

    Raises:
        ValueError: If the tuner takes one objective, and there are several.
    """
    kind = request.tuner
    if kind is None:
        if num_objectives == 1 and request.workers == 1 and not request.stop_poor_trials:
            return "bayesian"
        return "tpe" if (request.max_trials or 0) <= _MAX_TPE_TRIALS else "nsga2"
    if num_objectives > 1 and kind in _TUNERS:
        raise ValueError(
            f"tuner={kind!r} takes one objective; received {num_objectives}. Choose one of "
            f"{list(OPTUNA_TUNERS)}, or leave the choice to the search."
        )
    return kind


def check_choices(request: Request) -> None:
    """Checks the arguments of a search that are numbers, and the kind of tuner.

    Raises:
        TypeError: If a number that has to be whole is not.
        ValueError: If the tuner is unknown, `ratio` is not above 1 and finite, a number is too
            small, `max_trials` is missing for a tuner that never ends by itself, or an option
            does not belong to the tuner.
    """
    kind, ratio = request.tuner, request.ratio
    if kind not in _TUNERS and kind not in OPTUNA_TUNERS:
        known = sorted([*_TUNERS, *OPTUNA_TUNERS])
        raise ValueError(f"tuner must be one of {known}; received {kind!r}.")
    if not isinstance(ratio, numbers.Real) or not 1 < float(ratio) < math.inf:
        raise ValueError(
            "ratio is the largest ratio between two task weights, a finite number above 1; "
            f"received {ratio!r}."
        )
    if request.max_trials is None and kind not in ("grid", "hyperband"):
        raise ValueError(f"tuner={kind!r} never ends by itself: pass max_trials.")
    check_whole("executions_per_trial", request.executions_per_trial, 1)
    check_whole("seed", request.seed, 0)
    check_whole("workers", request.workers, 1)
    if request.max_trials is not None:
        check_whole("max_trials", request.max_trials, 1)
    if kind in OPTUNA_TUNERS:
        return
    for name, wanted in (
        ("workers", request.workers > 1),
        ("stop_poor_trials", request.stop_poor_trials),
        ("reference", request.reference is not None),
    ):
        if wanted:
            raise ValueError(
                f"{name} belongs to several objectives, or to tuner='tpe' and tuner='nsga2'; "
                f"received tuner={kind!r}."
                + (" It stops poor trials by itself." if kind == "hyperband" else "")
            )


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


def make_tuner(request: Request, model: WeightedTasks, folder: pathlib.Path) -> Any:
    """Makes a tuner of Keras Tuner for a hypermodel; it resumes the trials that `folder` holds.

    Args:
        request: The arguments of the search: the kind of tuner, the largest number of trials,
            and the largest number of epochs per trial, which only Hyperband uses here.
        model: The hypermodel.
        folder: The folder of the search.

    Returns:
        A `keras_tuner.Tuner`.
    """
    kind, max_trials = str(request.tuner), request.max_trials
    arguments: dict[str, Any] = {"max_trials": max_trials}
    if kind == "hyperband":
        arguments = {"max_epochs": request.fit_arguments["epochs"]}
    if kind == "bayesian":
        # By default Keras Tuner draws three random trials per parameter (docs/keras_notes.md,
        # pain 80). With few trials in all, none would be left that learns from them: at most half
        # of the trials are random.
        default = 3 * (len(model.tasks) - 1)
        arguments["num_initial_points"] = max(3, min(default, (max_trials or 0) // 2))
    tuner = _TUNERS[kind](
        model,
        objective=keras_tuner.Objective(model.goals[0].name, model.goals[0].mode),
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

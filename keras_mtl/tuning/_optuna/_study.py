"""The study of a search: it lives in the folder, and several processes work on it."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from keras_mtl.tuning._optuna._plan import Plan
from keras_mtl.tuning._optuna._require import require_optuna
from keras_mtl.tuning._space import Space
from keras_mtl.tuning._workers._identity import identify, is_alive

PROCESS, REASON, ATTEMPT, PARAMETERS = "process", "reason", "attempt", "parameters"
_MAX_ATTEMPTS = 3  # at the same hyper-parameters, if processes end
_POPULATION = 20  # of NSGA-II
_PATIENCE = 5.0  # seconds that an ending process of an earlier search gets


def open_study(plan: Plan) -> Any:
    """Opens the study in the folder of a search, or begins it with equal weights.

    A journal is a file to which lines are appended, under a lock: several processes can write to
    it, and one that is killed leaves a line or none. (SQLite is not made for that, optuna#820.)
    """
    optuna = require_optuna()
    folder = plan.folder / "trials"
    folder.mkdir(parents=True, exist_ok=True)
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "journal.log"))
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name="search",
        directions=[f"{goal.mode}imize" for goal in plan.aims.goals],
        load_if_exists=True,
    )
    return study


def begin_with_equal_weights(study: Any, plan: Plan) -> None:
    """Makes equal weights the first trial, so that the front never falls short of them."""
    center = plan.space.center() if isinstance(plan.space, Space) else {}
    if center and not study.get_trials(deepcopy=False):
        study.enqueue_trial(center, user_attrs={PARAMETERS: center})


def claim_trial(study: Any, plan: Plan) -> Any:
    """Claims a trial for this process.

    Each trial is drawn with the seed of its number. One seed for the whole search would repeat
    the same draws when a search is resumed, and in each of its processes.

    Returns:
        The trial; `None` if there is nothing left to do.
    """
    with _lock(plan):
        trials = study.get_trials(deepcopy=False)
        if sum(map(_counts, trials)) >= plan.max_trials:
            return None
        study.sampler = _make_sampler(plan, plan.seed + len(trials))
        trial = study.ask()
        trial.set_user_attr(PROCESS, identify())
        return trial


def take_back_trials(study: Any, plan: Plan) -> int:
    """Takes back trials whose process has ended, and tries the same hyper-parameters again.

    Returns:
        The number of trials that another process works on.
    """
    with _lock(plan):
        running = [
            trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "RUNNING"
        ]
        for trial in running:
            process = trial.user_attrs.get(PROCESS)
            if process is None or process == identify() or not is_alive(process):
                _take_back(study, trial)
        return sum(trial.state.name == "RUNNING" for trial in study.get_trials(deepcopy=False))


def claim_folder(study: Any, plan: Plan) -> None:
    """Takes back the trials of an earlier search in this folder.

    Raises:
        RuntimeError: If another process is at work in the folder.
    """
    deadline = time.monotonic() + _PATIENCE
    while take_back_trials(study, plan):
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"{str(plan.folder)!r} is being searched by another process. Wait until it ends, "
                "choose another directory, or use workers to search with several processes."
            )
        time.sleep(0.1)


def is_killed(trial: Any) -> bool:
    """Returns whether the process of a trial ended before the trial did."""
    return bool(trial.state.name == "FAIL" and REASON not in trial.user_attrs)


def check_attempts(trial: Any) -> str | None:
    """Returns the reason for which a trial is not tried again, if there is one."""
    attempt = trial.user_attrs.get(ATTEMPT, 1)
    if attempt <= _MAX_ATTEMPTS:
        return None
    return (
        f"the process ended {attempt - 1} times while it trained with these hyper-parameters "
        "(perhaps it ran out of memory)"
    )


def _take_back(study: Any, trial: Any) -> None:
    study.tell(trial.number, state=require_optuna().trial.TrialState.FAIL)
    if REASON in trial.user_attrs:
        return  # It had failed by itself, and its process ended before it could say so.
    # What had been proposed, and what had not yet been asked for in an earlier attempt.
    parameters = {**trial.user_attrs.get(PARAMETERS, {}), **trial.params}
    if parameters:
        attempt = trial.user_attrs.get(ATTEMPT, 1) + 1
        attributes = {ATTEMPT: attempt, PARAMETERS: parameters}
        study.enqueue_trial(parameters, user_attrs=attributes)


def _counts(trial: Any) -> bool:
    """Returns whether a trial counts towards the number of trials: it began and was not killed."""
    return trial.state.name != "WAITING" and not is_killed(trial)


def _make_sampler(plan: Plan, seed: int) -> Any:
    samplers = require_optuna().samplers
    if plan.sampler == "nsga2":
        return samplers.NSGAIISampler(population_size=_POPULATION, seed=seed)
    # At most half of the trials are random: with few trials, none would be left that learns.
    return samplers.TPESampler(
        n_startup_trials=max(3, min(10, plan.max_trials // 2)),
        multivariate=True,
        # Hyper-parameters of conditions are proposed together where they occur together.
        group=True,
        constant_liar=True,
        seed=seed,
    )


@contextlib.contextmanager
def _lock(plan: Plan) -> Iterator[None]:
    """Lets one process at a time count and claim trials."""
    journal = require_optuna().storages.journal
    lock = journal.JournalFileOpenLock(str(plan.folder / "trials" / "claim"))
    lock.acquire()
    try:
        yield
    finally:
        lock.release()

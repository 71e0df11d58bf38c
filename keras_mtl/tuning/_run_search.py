"""The search behind both public functions: checks, and the choice of an engine."""

import dataclasses
from typing import Any

import keras_tuner
import tensorflow as tf

from keras_mtl._tasks import check_tasks
from keras_mtl.training._quiet_tracing import quiet_tracing
from keras_mtl.tuning._data_checks import check_data, read_fit_arguments
from keras_mtl.tuning._engine import (
    OPTUNA_TUNERS,
    check_choices,
    choose_tuner,
    make_tuner,
    quiet_threads,
)
from keras_mtl.tuning._folder import describe_search, open_folder
from keras_mtl.tuning._fronts._aims import Aims, make_aims
from keras_mtl.tuning._fronts._read_front import read_front
from keras_mtl.tuning._objectives import check_logged, get_goals, logged_modes, read_names
from keras_mtl.tuning._optuna._plan import Plan
from keras_mtl.tuning._optuna._read_study import read_study
from keras_mtl.tuning._optuna._require import quiet_optuna, require_optuna
from keras_mtl.tuning._optuna._run_trials import run_trials
from keras_mtl.tuning._optuna._study import begin_with_equal_weights, claim_folder, open_study
from keras_mtl.tuning._pareto_result import ParetoResult
from keras_mtl.tuning._request import Request
from keras_mtl.tuning._result import SearchResult, read_result
from keras_mtl.tuning._space import GivenWeights, SearchedWeights, Space
from keras_mtl.tuning._weighted_tasks import WeightedTasks
from keras_mtl.tuning._workers._pool import run_workers


def run_search(request: Request) -> SearchResult | ParetoResult:
    """Runs a search with Keras Tuner or with Optuna."""
    request = _normalize(request)
    tasks, fit_arguments = request.tasks, request.fit_arguments
    train, validation = _call(request.train), _call(request.validation)
    check_data(tasks, train, validation, fit_arguments)
    goals = get_goals(request.objective, tasks, request.baselines)
    request = dataclasses.replace(request, tuner=choose_tuner(request, len(goals)))
    check_choices(request)
    uses_optuna = request.tuner in OPTUNA_TUNERS
    if uses_optuna:
        require_optuna()
        aims = make_aims(goals, tasks, request.baselines, request.reference)
    model = WeightedTasks(request.build, tasks, _make_space(request), goals, int(request.seed))
    model.executions = int(request.executions_per_trial)
    if not (model.takes_hp or request.weights):
        raise TypeError(
            "With weights=False there is nothing to search for build(tasks): write "
            "build(tasks, hp), and ask hp for values."
        )
    if not set(read_names(goals)) <= set(logged_modes(tasks)):
        _check_names(model, validation)
    # One task without further hyper-parameters has one point to try.
    if len(tasks) == 1 and not model.takes_hp:
        tuner = request.tuner if uses_optuna else "random"
        request = dataclasses.replace(request, tuner=tuner, max_trials=1)
    settings = describe_search(model, str(request.tuner), fit_arguments, train, validation)
    if uses_optuna:
        reference = dict(zip(aims.titles, aims.reference, strict=True))
        settings |= {"reference": reference, "stop_poor_trials": request.stop_poor_trials}
    folder = open_folder(request.directory, settings, request.overwrite)
    if uses_optuna:
        return _search_with_optuna(request, model, aims, folder, (train, validation))
    # Each trial trains a new model, which is traced anew.
    with quiet_threads(), quiet_tracing():
        engine = make_tuner(request, model, folder)
        # A dataset keeps its own order, and Keras warns of its default (docs/keras_notes.md,
        # pain 76).
        engine.search(train, validation_data=validation, shuffle=False, **fit_arguments)
        return read_result(engine, tasks, model.space)


def _normalize(request: Request) -> Request:
    return dataclasses.replace(
        request,
        tasks=check_tasks(request.tasks),
        fit_arguments=read_fit_arguments(request.fit_arguments),
    )


def _call(data: Any) -> Any:
    """Returns the dataset that a function of the user's makes, or the one that was passed."""
    return data() if callable(data) and not isinstance(data, tf.data.Dataset) else data


def _make_space(request: Request) -> SearchedWeights:
    tasks = request.tasks
    if not request.weights:
        return GivenWeights({task.name: float(task.weight) for task in tasks})
    names = tuple(sorted(task.name for task in tasks))
    return Space(names, float(request.ratio), grid=request.tuner == "grid")


def _search_with_optuna(
    request: Request, model: WeightedTasks, aims: Aims, folder: Any, data: tuple[Any, Any]
) -> ParetoResult:
    plan = Plan(
        request.build,
        request.tasks,
        model.space,
        aims,
        str(request.tuner),
        int(request.max_trials or 0),
        folder,
        request.fit_arguments,
        int(request.seed),
        int(request.executions_per_trial),
        request.stop_poor_trials,
    )
    with quiet_optuna(), quiet_tracing():
        study = open_study(plan)
        claim_folder(study, plan)
        begin_with_equal_weights(study, plan)
        if request.workers > 1:
            run_workers(study, plan, request.train, request.validation, request.workers)
        else:
            run_trials(study, plan, *data)
        trials = read_study(study, request.tasks, aims)
        return read_front(trials, request.tasks, aims, study)


def _check_names(model: WeightedTasks, validation: tf.data.Dataset) -> None:
    """Checks the names of an objective that the tasks do not know, on a network for one batch."""
    network = model.build(keras_tuner.HyperParameters())
    logs = network.evaluate(validation.take(1), verbose=0, return_dict=True)
    check_logged(read_names(model.goals), [f"val_{name}" for name in logs])

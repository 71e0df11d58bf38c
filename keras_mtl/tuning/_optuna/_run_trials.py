"""Trains the network of one trial after the other."""

import copy
import gc
from typing import Any

import keras
import keras_tuner

from keras_mtl.tuning._fronts._poor_trials import goals_by_task
from keras_mtl.tuning._optuna._hyper_parameters import ProposedHyperParameters
from keras_mtl.tuning._optuna._plan import Plan
from keras_mtl.tuning._optuna._record_epochs import RecordEpochs, read_curve
from keras_mtl.tuning._optuna._require import require_optuna
from keras_mtl.tuning._optuna._study import REASON, check_attempts, claim_trial
from keras_mtl.tuning._result import of_user
from keras_mtl.tuning._weighted_tasks import WeightedTasks


def run_trials(study: Any, plan: Plan, train: Any, validation: Any) -> None:
    """Works on the trials of a study until none is left.

    Raises:
        Exception: What stops a whole search, such as a network that lacks an output.
    """
    model = plan.make_model()
    while (trial := claim_trial(study, plan)) is not None:
        _run_trial(study, trial, plan, model, (train, validation))


def _run_trial(study: Any, trial: Any, plan: Plan, model: WeightedTasks, data: Any) -> None:
    """Trains the network of a trial, and tells the study how it ended."""
    states = require_optuna().trial.TrialState
    begun = 0
    try:
        if reason := check_attempts(trial):
            raise keras_tuner.errors.FailedTrialError(reason)
        hp = ProposedHyperParameters(trial)
        for execution in range(plan.executions):
            recorder = _make_recorder(trial, execution, plan)
            try:
                _train(hp, plan, model, data, recorder)
            finally:
                begun += recorder.begun
                trial.set_user_attr("epochs", begun)
            if recorder.stopped:
                study.tell(trial, state=states.PRUNED)
                model.execution = 0
                return
        curve = read_curve(trial.user_attrs)
        values = plan.aims.values(curve[plan.aims.choose_epoch(curve)])
    except Exception as error:
        trial.set_user_attr(REASON, _describe(error))
        study.tell(trial, state=states.FAIL)
        if isinstance(error, keras_tuner.errors.FatalError):
            raise
        return
    study.tell(trial, values)


def _train(
    hp: ProposedHyperParameters, plan: Plan, model: WeightedTasks, data: Any, recorder: RecordEpochs
) -> None:
    # As Keras Tuner does before each trial, so that names and memory do not grow.
    keras.backend.clear_session()
    gc.collect()
    network = model.build(hp)
    recorder.trial.set_user_attr("weights", plan.space.weights(hp.values))
    recorder.trial.set_user_attr("hyperparameters", of_user(hp.values))
    train, validation = data
    arguments = {**plan.fit_arguments, "callbacks": copy.deepcopy(plan.fit_arguments["callbacks"])}
    model.train(
        hp,
        network,
        train,
        validation_data=validation,
        # A dataset keeps its order, and Keras warns of its default (docs/keras_notes.md, pain 76).
        shuffle=False,
        last=(recorder,),
        **arguments,
    )


def _make_recorder(trial: Any, execution: int, plan: Plan) -> RecordEpochs:
    poor = goals_by_task(plan.tasks, plan.aims) if plan.stop_poor_trials else None
    return RecordEpochs(trial, execution, plan.aims, poor)


def _describe(error: Exception) -> str:
    """Returns the message of an error; its kind says nothing if a trial failed on purpose."""
    if isinstance(error, keras_tuner.errors.FailedTrialError):
        return str(error)
    return f"{type(error).__name__}: {error}"

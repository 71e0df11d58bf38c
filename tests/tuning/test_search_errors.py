"""Errors of the search for task weights, before its trials and after them."""

import math

import keras
import pytest
from small_search import TASKS, build, rows, search

import keras_mtl as mtl
from keras_mtl.tuning import search_task_weights


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tuner": "annealing"}, "one of"),
        ({"ratio": 1.0}, "a finite number above 1; received 1.0"),
        ({"ratio": math.inf}, "a finite number above 1; received inf"),
        ({"ratio": "10"}, "a finite number above 1; received '10'"),
        ({"max_trials": 0}, "max_trials must be at least 1"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"executions_per_trial": 0}, "executions_per_trial must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"max_trials": None}, "never ends by itself"),
    ],
)
def test_impossible_choices_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        search(**arguments)


def test_a_dataset_of_unknown_length_is_refused():
    train, validation = rows(["z"]), rows(["z"], seed=1)
    objective = mtl.monitor(TASKS[0], "mae")
    unknown = train.filter(lambda x, y: True)
    with pytest.raises(ValueError, match="train cannot be used: the number of batches is unknown"):
        search_task_weights(build, TASKS[:1], unknown, validation, objective=objective)
    with pytest.raises(ValueError, match="steps_per_epoch"):
        search_task_weights(build, TASKS[:1], train.repeat(), validation, objective=objective)
    with pytest.raises(ValueError, match="same dataset"):
        search_task_weights(build, TASKS[:1], train, train, objective=objective)
    with pytest.raises(TypeError, match="validation cannot be used"):
        search_task_weights(build, TASKS[:1], train, ({}, {}), objective=objective)
    endless = search_task_weights(
        build, TASKS[:1], train.repeat(), validation, objective=objective, steps_per_epoch=3
    )
    assert math.isfinite(endless.score)


def test_arguments_of_fit_that_a_search_sets_itself_are_refused():
    with pytest.raises(TypeError, match=r"received \['initial_epoch'\]"):
        search(initial_epoch=3)


def test_build_must_return_a_compiled_model():
    def uncompiled(tasks):
        return keras.Model(*[keras.Input((3,))] * 2)

    with pytest.raises(TypeError, match=r"compiled keras\.Model"):
        search(build=uncompiled)
    with pytest.raises(TypeError, match=r"build\(tasks\) or build\(tasks, hp\)"):
        search(build=lambda tasks, hp, more: None)


def test_a_search_whose_trials_all_fail_reports_the_first_error():
    class Fail(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            raise ArithmeticError("the third disk is full")

    with pytest.raises(RuntimeError, match="the third disk is full"):
        search(callbacks=[Fail()])


def test_a_trial_without_a_number_has_no_score():
    class Spoil(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_z_mae"] = math.nan

    with pytest.raises(RuntimeError, match=r"all 2 failed\. Trial 0: epoch 1: val_z_mae is nan"):
        search(callbacks=[Spoil()])

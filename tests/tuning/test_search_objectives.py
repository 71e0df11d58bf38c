"""Objectives and baselines of the search for task weights."""

import math

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from small_search import TASKS, build, search

import keras_mtl as mtl
from keras_mtl.tuning import search_task_weights


def test_the_better_metric_wins_where_the_loss_would_choose_another_trial():
    tasks = [mtl.Task.regression("small"), mtl.Task.regression("big")]
    random = np.random.default_rng(0)

    def data(count):
        x = random.normal(size=(count, 3)).astype("float32")
        y = {"small": x[:, 0], "big": 5 * x[:, 1] + random.normal(0, 3, count)}
        return tf.data.Dataset.from_tensor_slices((x, y)).batch(16)

    result = search_task_weights(
        build,
        tasks,
        data(128),
        data(64),
        objective=mtl.monitor(tasks[1], "mae"),
        tuner="grid",
        max_trials=None,
    )
    trials = result.tuner.oracle.trials.values()
    by_loss = min(trials, key=lambda trial: trial.metrics.get_best_value("val_loss"))
    weights = [trial.weights["big"] for trial in result.trials]
    assert by_loss.hyperparameters.values["weight/big"] == pytest.approx(0.1)
    assert result.weights["big"] == max(weights) > 1.8
    assert result.score < by_loss.score - 0.1


def test_the_mean_relative_gain_is_the_mean_over_tasks_of_signed_relative_improvements():
    logged = []

    class RecordLogs(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logged.append(dict(logs))

    result = search(
        [mtl.Task.binary("z", metrics=["accuracy", "mae"]), mtl.Task.regression("a")],
        objective="mean_relative_gain",
        baselines={"z": {"accuracy": 0.8, "mae": 0.5}, "a": 0.4},
        epochs=2,
        callbacks=[RecordLogs()],
    )
    gains = []
    for logs in logged:
        of_z = (logs["val_z_accuracy"] - 0.8) / 0.8, (0.5 - logs["val_z_mae"]) / 0.5
        gains.append(((of_z[0] + of_z[1]) / 2 + (0.4 - logs["val_a_mae"]) / 0.4) / 2)
    best_epochs = [max(gains[:2]), max(gains[2:])]
    scores = sorted(trial.score for trial in result.trials)
    np.testing.assert_allclose(scores, sorted(best_epochs), atol=1e-6)
    assert result.score == scores[-1]


def test_user_callbacks_can_follow_the_mean_relative_gain():
    stop = keras.callbacks.EarlyStopping("val_mean_relative_gain", mode="max", patience=1)
    result = search(
        TASKS[:1],
        objective="mean_relative_gain",
        baselines={"z": 0.5},
        epochs=2,
        callbacks=[stop],
    )
    assert math.isfinite(result.score)


@pytest.mark.parametrize("name", ["val_loss", "loss"])
@pytest.mark.parametrize("kind", [tuple, keras_tuner.Objective, str])
def test_a_loss_that_the_weights_multiply_is_refused(name, kind):
    objective = {tuple: (name, "min"), str: name}.get(kind) or kind(name, "min")
    with pytest.raises(ValueError, match="smallest weights would win"):
        search(objective=objective)


@pytest.mark.parametrize(
    ("objective", "error", "message"),
    [
        (("z_mae", "min"), ValueError, "measured on the validation data"),
        (("val_z_mae", "auto"), ValueError, "'min' or 'max'"),
        ("val_z_mae", ValueError, "'min' or 'max'"),
        (None, TypeError, "objective is keras_mtl.monitor"),
        (
            [("val_z_mae", "min"), ("val_m_mae", "min"), ("val_a_accuracy", "max")],
            TypeError,
            "received",
        ),
    ],
)
def test_an_unclear_objective_is_refused(objective, error, message):
    with pytest.raises(error, match=message):
        search(objective=objective)


def test_a_metric_that_is_not_logged_stops_the_search_with_the_names_that_are():
    with pytest.raises(ValueError, match=r"needs \['val_z_auc'\].*val_z_mae"):
        search(objective=("val_z_auc", "max"))


@pytest.mark.parametrize(
    ("baselines", "message"),
    [
        (None, "task 'z': 'mean_relative_gain' needs what"),
        ({"z": 1.0, "a": 0.5}, "task 'm': 'mean_relative_gain' needs what"),
        ({"z": 1.0, "a": 0.5, "m": 0.0}, "task 'm': no gain can be relative"),
        ({"z": 1.0, "a": {"f1": 0.5}, "m": 1.0}, "task 'a' has no metric 'f1'"),
        ({"z": 1.0, "a": 0.5, "m": 1.0, "zz": 1.0}, r"\['zz'\], which are no tasks"),
    ],
)
def test_baselines_must_fit_the_tasks(baselines, message):
    with pytest.raises(ValueError, match=message):
        search(objective="mean_relative_gain", baselines=baselines)


def test_baselines_without_the_gain_are_refused():
    with pytest.raises(ValueError, match="belong to objective='mean_relative_gain'"):
        search(baselines={"z": 1.0})

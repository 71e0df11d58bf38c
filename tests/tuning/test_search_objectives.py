"""Objectives and baselines of the search for task weights."""

import math

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from small_search import TASKS, build, search, warned

import keras_mtl as mtl
from keras_mtl.tuning import search_task_weights


def test_the_better_metric_wins_where_the_loss_would_choose_another_trial():
    tasks = [mtl.Task.regression("small"), mtl.Task.regression("big")]
    random = np.random.default_rng(0)

    def data(count):
        x = random.normal(size=(count, 3)).astype("float32")
        y = {"small": x[:, 0], "big": 5 * x[:, 1] + random.normal(0, 3, count)}
        return tf.data.Dataset.from_tensor_slices((x, y)).batch(16)

    with warned(r"ratio=10\).*'big': 1.82, 'small': 0.182") as warnings:
        result = search_task_weights(
            build,
            tasks,
            data(128),
            data(64),
            objective=mtl.monitor(tasks[1], "mae"),
            tuner="grid",
            max_trials=None,
            ratio=10,
        )
    trials = result.tuner.oracle.trials.values()
    by_loss = min(trials, key=lambda trial: trial.metrics.get_best_value("val_loss"))
    weights = {trial.number: trial.weights["big"] for trial in result.trials}
    assert weights[int(by_loss.trial_id)] == min(weights.values()) == pytest.approx(2 / 11)
    assert result.weights["big"] == max(weights.values()) > 1.8
    assert result.score < by_loss.score - 0.1
    # The best weights lie on the bound, and both the warning and the result say so.
    assert result.at_bound == ("big", "small")
    assert warnings[0].filename == __file__


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
        ([("val_z_mae", "min"), None], TypeError, "received"),
        (["val_z_mae", ("val_m_mae", "min")], ValueError, "'min' or 'max'"),
        ([("val_z_mae", "min"), ("val_loss", "min")], ValueError, "smallest weights would win"),
        ([("val_z_mae", "min"), ("val_m_mae", "min")], ValueError, "no default reference"),
        ([], ValueError, "takes 1 to 4 objectives"),
    ],
)
def test_an_unclear_objective_is_refused(objective, error, message):
    with pytest.raises(error, match=message):
        search(objective=objective)


@pytest.mark.parametrize(
    ("objective", "error", "message"),
    [
        (("val_z_mea", "min"), ValueError, r"needs \['val_z_mea'\].*Is 'val_z_mae' meant\?"),
        (("val_q_mae", "min"), ValueError, r"needs \['val_q_mae'\].*'val_m_mae', .*'val_z_mae'"),
        (("val_accuracy", "max"), ValueError, r"Is 'val_a_accuracy' meant\?"),
        (("val_mean_relative_gain", "max"), ValueError, "which the network does not log"),
        (("z_mae", "min"), ValueError, r"received 'z_mae'. The tasks log .*'val_z_mae'"),
        (("val_z_mae", "max"), ValueError, "better low, so the mode is 'min'; received 'max'"),
        (("val_a_accuracy", "min"), ValueError, "better high, so the mode is 'max'"),
        (("val_z_loss", "max"), ValueError, "'val_z_loss' is better low"),
        (("val_z_weight", "min"), ValueError, "'val_z_weight' is a task weight, not a result"),
        ((TASKS[0], "mae"), TypeError, r"objective is keras_mtl.monitor\(task, metric\)"),
        ([keras_tuner.Objective("val_z_mae", "min")] * 2, ValueError, "names 'val_z_mae' twice"),
    ],
)
def test_a_wrong_name_or_direction_is_refused_before_training(objective, error, message):
    class Train(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            pytest.fail("a network was trained")

    with pytest.raises(error, match=message):
        search(objective=objective, callbacks=[Train()])


def test_a_metric_that_only_the_network_knows_can_be_the_objective():
    def with_metric(tasks):
        network = build(tasks)
        arguments = mtl.compile_args(tasks)
        network.compile("sgd", run_eagerly=True, **arguments, metrics={"z": ["mse"]})
        return network

    result = search(TASKS[:2], with_metric, objective=("val_z_mse", "min"))
    by_loss = search(TASKS[:2], objective=mtl.monitor(TASKS[0], "loss"))
    assert result.score == pytest.approx(by_loss.score, rel=1e-6)


def test_a_task_metric_that_the_network_was_not_compiled_with_stops_the_search():
    def without_metrics(tasks):
        x = keras.Input((3,))
        network = keras.Model(x, {task.name: task.output(x) for task in tasks})
        weights = {task.name: task.weight for task in tasks}
        loss = {task.name: task.make_loss() for task in tasks}
        network.compile("sgd", loss=loss, loss_weights=weights, run_eagerly=True)
        return network

    with pytest.raises(ValueError, match=r"needs \['val_z_mae'\].*compile_args\(tasks\)"):
        search(TASKS[:2], without_metrics)


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

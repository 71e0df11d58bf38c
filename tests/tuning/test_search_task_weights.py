"""Weights are searched by a metric of the validation data, with each tuner of Keras Tuner."""

import gc
import math

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.tuning import SearchResult, search_task_weights

TASKS = [
    mtl.Task.regression("z"),
    mtl.Task.binary("a", metrics=["accuracy"]),
    mtl.Task.regression("m"),
]


@pytest.fixture(autouse=True)
def cheap_trials(monkeypatch):
    """Keras Tuner collects garbage twice a trial, which here takes longer than the training."""
    monkeypatch.setattr(gc, "collect", lambda: 0)


def rows(names, count=8, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 3)).astype("float32")
    y = {name: (x[:, 0] > 0).astype("float32") for name in names}
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(8)


def build(tasks):
    # Eager steps: two steps a trial are fewer than it takes to trace one.
    x = keras.Input((3,))
    network = keras.Model(x, {task.name: task.output(x) for task in tasks})
    network.compile("sgd", run_eagerly=True, **mtl.compile_args(tasks))
    return network


def search(tasks=TASKS, build=build, **arguments):
    names = [task.name for task in tasks]
    arguments = {
        "objective": mtl.monitor(tasks[0], tasks[0].metric_names[0]),
        "tuner": "random",
        "max_trials": 2,
        **arguments,
    }
    return search_task_weights(build, tasks, rows(names), rows(names, seed=1), **arguments)


@pytest.mark.parametrize(
    ("tuner", "max_trials", "epochs"),
    [("bayesian", 4, 1), ("random", 2, 1), ("hyperband", 4, 3), ("grid", 2, 1)],
)
def test_each_tuner_returns_the_best_of_its_trials(tuner, max_trials, epochs):
    result = search(tuner=tuner, max_trials=max_trials, epochs=epochs, bounds=(0.5, 8.0))
    assert isinstance(result, SearchResult)
    assert isinstance(result.tuner, keras_tuner.Tuner)
    assert len(result.trials) == max_trials
    scores = [trial.score for trial in result.trials]
    assert result.score == scores[0] == min(scores)
    assert result.weights == result.trials[0].weights
    assert {task.name: task.weight for task in result.tasks} == result.weights
    assert [task.name for task in result.tasks] == ["z", "a", "m"]
    for trial in result.trials:
        assert sum(trial.weights.values()) == pytest.approx(3)
        for name in ("a", "m"):
            assert 0.5 - 1e-9 <= trial.weights[name] / trial.weights["z"] <= 8 + 1e-9
    assert len({trial.weights["m"] for trial in result.trials}) > 1


def test_hyperband_trains_the_best_trial_on_from_where_it_was():
    begun = []

    class Note(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            moments = self.model.optimizer.variables[2:]
            begun.append((self.model.get_weights()[0], sum(np.abs(m).sum() for m in moments)))

    def with_adam(tasks):
        network = build(tasks)
        network.compile("adam", run_eagerly=True, **mtl.compile_args(tasks))
        return network

    result = search(build=with_adam, tuner="hyperband", max_trials=4, epochs=3, callbacks=[Note()])
    trials = result.tuner.oracle.trials
    first, last = trials["0"], trials["3"]
    assert last.hyperparameters.values["tuner/initial_epoch"] == 1
    assert last.hyperparameters.values["tuner/trial_id"] in ("0", "1", "2")
    assert first.hyperparameters.values["tuner/epochs"] == 1
    np.testing.assert_array_equal(begun[0][0], begun[1][0])
    assert not np.array_equal(begun[0][0], begun[3][0])
    assert [bool(moments > 0) for _, moments in begun] == [False, False, False, True]


def test_ratios_are_spread_evenly_on_a_logarithmic_scale():
    result = search(TASKS[:2], tuner="grid", max_trials=None)
    ratios = sorted(trial.weights["a"] / trial.weights["z"] for trial in result.trials)
    np.testing.assert_allclose(ratios, [0.1, 10**-0.5, 1, 10**0.5, 10], rtol=1e-6)


def test_the_network_is_built_with_the_weights_of_the_trial():
    seen = []

    def noting(tasks):
        seen.append({task.name: task.weight for task in tasks})
        return build(tasks)

    result = search(build=noting)
    assert all(trial.weights in seen for trial in result.trials)
    assert all(task.weight == 1 for task in TASKS)


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

    class Note(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logged.append(dict(logs))

    result = search(
        [mtl.Task.binary("z", metrics=["accuracy", "mae"]), mtl.Task.regression("a")],
        objective="mean_relative_gain",
        baselines={"z": {"accuracy": 0.8, "mae": 0.5}, "a": 0.4},
        epochs=2,
        callbacks=[Note()],
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


@pytest.mark.parametrize("tuner", ["bayesian", "random", "hyperband", "grid"])
def test_one_task_is_measured_once_with_a_weight_of_one(tuner):
    epochs = []

    class Count(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            epochs.append(epoch)

    only = mtl.Task.binary("only", metrics=["accuracy"], weight=7.0)
    result = search([only], tuner=tuner, epochs=3, max_trials=4, callbacks=[Count()])
    assert result.weights == {"only": 1.0}
    assert len(result.trials) == 1
    assert epochs == [0, 1, 2]
    assert 0 <= result.score <= 1


def test_build_may_search_hyper_parameters_of_its_own():
    def wider(tasks, hp):
        x = keras.Input((3,))
        h = keras.layers.Dense(hp.Choice("units", [2, 4]))(x)
        network = keras.Model(x, {task.name: task.output(h) for task in tasks})
        network.compile("sgd", run_eagerly=True, **mtl.compile_args(tasks))
        return network

    result = search(build=wider, max_trials=3)
    assert result.tuner.get_best_hyperparameters()[0].get("units") in (2, 4)
    alone = search(TASKS[:1], build=wider, max_trials=3)
    assert len(alone.trials) == 2 and alone.weights == {"z": 1.0}


def test_a_balanced_model_can_be_searched():
    def balanced(tasks):
        network = mtl.architectures.hard_sharing(keras.Input((3,)), tasks, shared=(2,), tower=())
        model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
        model.compile("adam")
        return model

    result = search(TASKS[::2], build=balanced, tuner="hyperband", epochs=3, max_trials=4)
    assert len(result.trials) == 4 and result.trials[-1].score is not None


def test_a_strategy_belongs_inside_build():
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope(), pytest.raises(ValueError, match="open the scope inside build"):
        search()

    def distributed(tasks):
        with strategy.scope():
            return build(tasks)

    assert search(build=distributed).trials == search().trials


def test_the_same_seed_searches_the_same_and_another_one_does_not():
    first, again, other = search(seed=0), search(seed=0), search(seed=1)
    assert first.trials == again.trials
    assert first.trials[0].weights != other.trials[0].weights


def test_trials_begin_alike_and_executions_of_a_trial_do_not():
    begun = []

    def noting(tasks):
        network = build(tasks)
        begun.append(np.concatenate([v.numpy().ravel() for v in network.variables[:6]]))
        return network

    search(build=noting, executions_per_trial=2)
    first, second, third, fourth = begun[-4:]
    np.testing.assert_array_equal(first, third)
    np.testing.assert_array_equal(second, fourth)
    assert not np.array_equal(first, second)


def test_the_dtype_policy_lasts_through_the_search():
    policies = []

    def noting(tasks):
        policies.append(keras.config.dtype_policy().name)
        return build(tasks)

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        search(build=noting)
    finally:
        keras.config.set_dtype_policy("float32")
    assert set(policies) == {"mixed_bfloat16"}


class Stopped(BaseException):
    """As a keyboard interrupt: no trial ends by it."""


def test_a_stopped_search_goes_on_where_it_stopped(tmp_path):
    fits = []

    class Count(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            fits.append(1)
            if len(fits) == 2:
                raise Stopped

    arguments = {"directory": tmp_path / "search", "max_trials": 3, "callbacks": [Count()]}
    with pytest.raises(Stopped):
        search(**arguments)
    stopped = search(**arguments)
    assert len(fits) == 1 + 1 + 2
    assert stopped.trials == search(directory=tmp_path / "straight", max_trials=3).trials
    assert search(**arguments).trials == stopped.trials
    assert len(fits) == 4


def test_a_directory_holds_one_search_only(tmp_path):
    search(directory=tmp_path, max_trials=1)
    other = mtl.monitor(TASKS[1], "accuracy")
    with pytest.raises(ValueError, match="holds another search, whose objective"):
        search(directory=tmp_path, objective=other)
    with pytest.raises(ValueError, match="holds another search, whose epochs"):
        search(directory=tmp_path, epochs=2)
    forgotten = search(directory=tmp_path, objective=other, max_trials=1, overwrite=True)
    assert len(forgotten.trials) == 1 and 0 <= forgotten.score <= 1


def test_nothing_is_written_or_printed_where_no_directory_is_given(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    search()
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().out == ""


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tuner": "annealing"}, "one of"),
        ({"bounds": (0.0, 1.0)}, "0 < low < high"),
        ({"bounds": (2.0, 1.0)}, "0 < low < high"),
        ({"max_trials": 0}, "at least 1"),
        ({"max_trials": None}, "never ends by itself"),
    ],
)
def test_choices_that_lead_nowhere_are_refused(arguments, message):
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


def test_a_search_whose_trials_all_fail_says_why():
    class Fail(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            raise ArithmeticError("the third disk is full")

    with pytest.raises(RuntimeError, match="the third disk is full"):
        search(callbacks=[Fail()])


@pytest.mark.filterwarnings("ignore:All-NaN:RuntimeWarning")
def test_a_trial_without_a_number_has_no_score():
    class Spoil(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_z_mae"] = math.nan

    with pytest.raises(RuntimeError, match="never a number"):
        search(callbacks=[Spoil()])

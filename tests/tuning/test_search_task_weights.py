"""The search finds weights by a validation metric, with each tuner of Keras Tuner."""

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from small_search import TASKS, build, search

import keras_mtl as mtl
from keras_mtl.tuning import SearchResult


@pytest.mark.filterwarnings("ignore:The best task weights lie on the bound")
@pytest.mark.parametrize(
    ("tuner", "max_trials", "epochs"),
    [
        ("bayesian", 4, 1),
        pytest.param("random", 2, 1, marks=pytest.mark.slow),
        pytest.param("hyperband", 4, 3, marks=pytest.mark.slow),
        ("grid", 2, 1),
    ],
)
def test_each_tuner_returns_the_best_of_its_trials(tuner, max_trials, epochs):
    result = search(tuner=tuner, max_trials=max_trials, epochs=epochs, ratio=8.0)
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
        assert max(trial.weights.values()) <= 8.000001 * min(trial.weights.values())
    assert len({trial.weights["m"] for trial in result.trials}) > 1


@pytest.mark.slow
def test_hyperband_continues_the_training_of_the_best_trial():
    starts = []

    class RecordStart(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            moments = self.model.optimizer.variables[2:]
            starts.append((self.model.get_weights()[0], sum(np.abs(m).sum() for m in moments)))

    def with_adam(tasks):
        network = build(tasks)
        network.compile("adam", run_eagerly=True, **mtl.compile_args(tasks))
        return network

    result = search(
        build=with_adam, tuner="hyperband", max_trials=4, epochs=3, callbacks=[RecordStart()]
    )
    trials = result.tuner.oracle.trials
    first, last = trials["0"], trials["3"]
    assert last.hyperparameters.values["tuner/initial_epoch"] == 1
    assert last.hyperparameters.values["tuner/trial_id"] in ("0", "1", "2")
    assert first.hyperparameters.values["tuner/epochs"] == 1
    np.testing.assert_array_equal(starts[0][0], starts[1][0])
    assert not np.array_equal(starts[0][0], starts[3][0])
    assert [bool(moments > 0) for _, moments in starts] == [False, False, False, True]


@pytest.mark.filterwarnings("ignore:The best task weights lie on the bound")
def test_ratios_are_spread_evenly_on_a_logarithmic_scale():
    result = search(TASKS[:2], tuner="grid", max_trials=None, ratio=10)
    ratios = sorted(trial.weights["a"] / trial.weights["z"] for trial in result.trials)
    np.testing.assert_allclose(ratios, [0.1, 10**-0.5, 1, 10**0.5, 10], rtol=1e-6)


def test_the_network_is_built_with_the_weights_of_the_trial():
    built = []

    def recording(tasks):
        built.append({task.name: task.weight for task in tasks})
        return build(tasks)

    result = search(build=recording)
    assert all(trial.weights in built for trial in result.trials)
    assert all(task.weight == 1 for task in TASKS)


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


def test_build_may_search_further_hyper_parameters():
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


@pytest.mark.slow
def test_a_balanced_model_can_be_searched():
    def balanced(tasks):
        network = mtl.architectures.hard_sharing(keras.Input((3,)), tasks, shared=(2,), tower=())
        model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
        model.compile("adam")
        return model

    result = search(TASKS[::2], build=balanced, tuner="hyperband", epochs=3, max_trials=4)
    assert len(result.trials) == 4 and result.trials[-1].score is not None


@pytest.mark.slow
def test_a_strategy_is_opened_inside_build():
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope(), pytest.raises(ValueError, match="open the scope inside build"):
        search()

    def distributed(tasks):
        with strategy.scope():
            return build(tasks)

    assert search(build=distributed).trials == search().trials

"""A task is dropped if steps of training without it leave the main task better."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from test_drop_task import TASKS, data, fit, held_back, make

import keras_mtl as mtl
from keras_mtl.analysis._probing._trials import Trials, check_trials
from keras_mtl.callbacks import DropTask

STATE = [mtl.Task.regression("b"), mtl.Task.binary("a")]


def stateful(seed=0, optimizer=None, balancer=None):
    """Builds a model with all kinds of state: moments, averages, seeds, weights between steps."""
    keras.utils.set_random_seed(seed)
    x = keras.Input((4,))
    body = keras.layers.Dropout(0.3)(keras.layers.BatchNormalization()(keras.layers.Dense(6)(x)))
    outputs = {"b": keras.layers.Dense(1, name="b")(body)}
    outputs["a"] = keras.layers.Dense(1, activation="sigmoid", name="a")(body)
    network = keras.Model(x, outputs)
    every = 2 if balancer is None else 1
    balancer = balancer or mtl.balancers.CRMOGM(mtl.balancers.MGDA())
    model = mtl.BalancedModel(network, STATE, balancer, every=every)
    model.compile(optimizer or keras.optimizers.Adam(0.01, use_ema=True))
    return model


def two(seed):
    x = np.random.default_rng(seed).normal(size=(96, 4)).astype("float32")
    return x, {"b": x[:, 0], "a": (x[:, 1] > 0).astype("float32")}


def rows_of_two(batches=8):
    return tf.data.Dataset.from_tensor_slices(two(1)).batch(12).take(batches)


def values(model):
    kept = [*model.variables, *model.optimizer.variables]
    return [np.array(v) for v in {id(v): v for v in kept}.values()]


@pytest.mark.parametrize("seed", range(4))
def test_a_harmful_task_is_dropped_and_a_helpful_one_stays_on_each_seed(seed):
    x, y = data(10 + seed)
    rows = tf.data.Dataset.from_tensor_slices(data(20 + seed)).batch(16).take(16)
    drop = DropTask(TASKS, rows, main="main", by="validation")
    options = {"epochs": 3, "batch_size": 64, "shuffle": False, "verbose": 0}
    logs = make().fit(x, y, callbacks=[drop], **options).history
    assert drop.dropped == {"harms": 1}
    assert logs["gain/helps"][0] > 0 > logs["gain/harms"][0]


def test_a_run_that_goes_on_remembers_what_was_dropped(tmp_path):
    whole, parts = make(), make()
    fit(whole, DropTask(TASKS, held_back(), main="main", by="validation"), 4)
    files = {"main": "main", "by": "validation", "file": tmp_path / "records"}
    fit(parts, DropTask(TASKS, held_back(), **files), 2)
    again = DropTask(TASKS, held_back(), **files)
    fit(parts, again, 4, initial_epoch=2)
    assert again.dropped == {"harms": 1}
    for one, other in zip(whole.network.variables, parts.network.variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_trials_leave_no_trace_of_themselves():
    histories, states = [], []
    for callbacks in ([], [DropTask(STATE, rows_of_two(), main="b", by="validation", patience=9)]):
        model = stateful()
        x, y = two(0)
        options = {"epochs": 2, "batch_size": 32, "shuffle": False, "verbose": 0}
        history = model.fit(x, y, callbacks=callbacks, **options).history
        histories.append({k: v for k, v in history.items() if k not in ("a_dropped", "gain/a")})
        states.append(values(model))
    assert histories[0] == histories[1]
    for one, other in zip(*states, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_gain_is_that_of_two_trainings_with_and_without_the_task():
    batches = [data(seed) for seed in (3, 4)]
    x, y = data(5)
    losses = []
    for without in ((), ("helps",)):
        model = make()
        model.set_active([task.name for task in TASKS if task.name not in without])
        for rows in batches:
            model.train_on_batch(*rows)
        losses.append(np.mean((np.array(model.network(x)["main"]).ravel() - y["main"]) ** 2))
    model = make()
    drop = DropTask(TASKS, held_back(), main="main", by="validation")
    drop.set_model(model)
    drop.on_train_begin()
    trials = Trials(model, drop.probe, "main")
    gains = trials.gains([(*rows, {}) for rows in batches], [(x, y, {})], ["helps"])
    np.testing.assert_allclose(gains, [(losses[1] - losses[0]) / losses[1]], rtol=1e-2)


def test_a_task_without_labels_is_neither_dropped_nor_an_error():
    none = {name: np.zeros(256, "float32") for name in ("helps", "harms")}
    weights = {"main": np.ones(256, "float32"), **none}
    rows = tf.data.Dataset.from_tensor_slices((*data(1), weights)).batch(32)
    drop = DropTask(TASKS, rows, main="main", by="validation")
    logs = fit(make(), drop, 2)
    assert drop.dropped == {}
    assert logs["gain/harms"] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda: stateful(balancer=mtl.balancers.AutoLambda()),
            "no balance_data for the steps of AutoLambda, which needs a second batch",
        ),
        (
            lambda: stateful(optimizer=keras.optimizers.Adam(gradient_accumulation_steps=4)),
            "gathers gradients over 4 steps",
        ),
    ],
)
def test_steps_that_cannot_be_taken_on_trial_are_refused(model, message):
    drop = DropTask(STATE, rows_of_two(), main="b", by="validation")
    drop.set_model(model())
    with pytest.raises(ValueError, match=message):
        drop.on_train_begin()


def test_a_way_that_is_unknown_is_named():
    with pytest.raises(ValueError, match=r"by is 'cosine'; expected one of \['look ahead'"):
        DropTask(TASKS, held_back(), main="main", by="cosine")


def test_replicas_are_refused():
    two = types.SimpleNamespace(num_replicas_in_sync=2)
    with pytest.raises(ValueError, match=r"takes steps on one device, and this model has 2"):
        check_trials(types.SimpleNamespace(distribute_strategy=two))

"""Heads that are trained again on the trunk of the best epoch, and on no other."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import watched_problem as problem

import keras_mtl as mtl
from keras_mtl import callbacks
from keras_mtl.callbacks._refitting._best_heads import BestHeads
from keras_mtl.callbacks._refitting._heads_network import make_heads_network
from keras_mtl.callbacks._refitting._refit import refit
from keras_mtl.callbacks._watching._watched_metrics import read_metrics

VALIDATION = problem.FIT["validation_data"]
TRAIN = tf.data.Dataset.from_tensor_slices((problem.FIT["x"], problem.FIT["y"])).batch(16)
REFIT = callbacks.RefitHeads(TRAIN, VALIDATION, epochs=8, patience=3, learning_rate=0.02)
KEYS = {"click": "click_auc", "price": "price_mae"}


def fit(folder, door="balanced", **options):
    model, remember = problem.make(door), problem.Remember()
    keep = callbacks.KeepBest(problem.TASKS, folder / "best.weights.h5", keep=REFIT, **options)
    model.fit(**problem.FIT, epochs=8, callbacks=[remember, keep])
    return model, remember, keep


def heads_and_trunk(model, values):
    heads, trunk = {}, []
    for variable, value in zip(model.weights, values, strict=True):
        names = [name for name in KEYS if variable.path.startswith(f"{name}_")]
        if names:
            heads.setdefault(names[0], []).append(value)
        elif variable.path.startswith("shared"):
            trunk.append(value)
    return heads, trunk


def equal(some, expected):
    return all(np.array_equal(a, b) for a, b in zip(some, expected, strict=True))


@pytest.mark.parametrize("door", ["plain", pytest.param("balanced", marks=pytest.mark.slow)])
def test_heads_are_trained_on_the_trunk_of_the_best_epoch_and_come_from_no_other(tmp_path, door):
    model, remember, keep = fit(tmp_path, door)
    heads, trunk = heads_and_trunk(model, model.get_weights())
    kept_heads, kept_trunk = heads_and_trunk(model, remember.weights[keep.best_epoch])
    assert len(trunk) == 2
    assert equal(trunk, kept_trunk)
    # A head is the one of that epoch, or one that no epoch of training had: the popular mixture
    # takes it from the epoch at which its task was best, on another trunk.
    changed = [name for name in KEYS if not equal(heads[name], kept_heads[name])]
    assert changed
    for name in changed:
        for weights in remember.weights:
            assert not equal(heads[name], heads_and_trunk(model, weights)[0][name])
    # What it says of them holds for a new model with the weights in the file, and is no worse.
    new = problem.make(door)
    new.optimizer.build(new.trainable_variables)
    new.load_weights(keep.path())
    scores = new.evaluate(*VALIDATION, return_dict=True, verbose=0)
    for name, sign in (("click", 1), ("price", -1)):
        before, after = keep.refitted[name]
        np.testing.assert_allclose(
            before, remember.logs[keep.best_epoch][f"val_{KEYS[name]}"], rtol=1e-6
        )
        np.testing.assert_allclose(after, scores[KEYS[name]], rtol=1e-6)
        assert sign * after >= sign * before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.weights.h5",
        "best.weights.h5.json",
    ]


@pytest.mark.slow
def test_a_refit_that_was_interrupted_begins_again(tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir(), (tmp_path / "broken").mkdir()
    model, _, keep = fit(tmp_path / "whole")
    expected, refitted = model.get_weights(), keep.refitted
    end = BestHeads.on_epoch_end

    def fail(self, epoch, logs=None):
        end(self, epoch, logs)
        if epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(BestHeads, "on_epoch_end", fail)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "broken")
    # Training is over: `fit` goes on at its last epoch, and takes none.
    model = problem.make()
    keep = callbacks.KeepBest(problem.TASKS, tmp_path / "broken" / "best.weights.h5", keep=REFIT)
    model.fit(**problem.FIT, initial_epoch=8, epochs=8, callbacks=[keep])
    assert keep.refitted == refitted
    for variable, value, wanted in zip(model.weights, model.get_weights(), expected, strict=True):
        if "/step" not in variable.path:
            np.testing.assert_array_equal(value, wanted, err_msg=variable.path)
    assert not list((tmp_path / "broken").glob("unfitted*"))


@pytest.mark.slow
def test_a_process_that_is_killed_in_its_refit_ends_as_one_that_was_not(tmp_path):
    script = Path(__file__).with_name("killed_run.py")

    def run(folder, *arguments, code):
        command = [sys.executable, str(script), "--folder", str(tmp_path / folder), "--refit"]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=300)
        assert done.returncode == code, done.stderr[-2000:]

    run("whole", code=0)
    run("killed", "--kill-refit-at", "2", code=-9)
    assert (tmp_path / "killed" / "unfitted-best.weights.h5").exists()
    run("killed", code=0)
    whole, killed = (np.load(tmp_path / name / "out.npz") for name in ("whole", "killed"))
    for name in sorted(set(whole) - {"stopped"}):
        np.testing.assert_array_equal(whole[name], killed[name], err_msg=name)


@pytest.mark.slow
def test_without_restore_the_last_weights_stay(tmp_path):
    model, remember, keep = fit(tmp_path, restore=False)
    assert equal(model.get_weights(), remember.weights[-1])
    keep.load()
    assert equal(
        heads_and_trunk(model, model.get_weights())[1],
        heads_and_trunk(model, remember.weights[keep.best_epoch])[1],
    )
    assert not equal(model.get_weights(), remember.weights[keep.best_epoch])


def adam(features, labels, kernel, bias, epochs, rate):
    """Yields kernels and biases after each full-batch epoch of Adam, in float64."""
    values = np.concatenate([kernel.ravel(), bias.ravel()]).astype(np.float64)
    inputs = np.column_stack([features, np.ones(len(features))]).astype(np.float64)
    mean, square = np.zeros_like(values), np.zeros_like(values)
    for step in range(1, epochs + 1):
        gradient = 2 * inputs.T @ (inputs @ values - labels) / len(labels)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        scale = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        values = values - scale * mean / (np.sqrt(square) + 1e-7)
        yield values


@pytest.mark.parametrize("joint", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_each_head_is_that_of_adam_on_the_frozen_features_of_its_task_alone(joint):
    tasks = [mtl.Task.regression("b", metrics=["mae"]), mtl.Task.regression("a", metrics=["mae"])]
    inputs = keras.Input((5,))
    hidden = keras.layers.Dense(6, activation="tanh")(inputs)
    hidden = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(hidden))
    if joint:
        towers = mtl.layers.Towers((1,))([hidden, hidden])
        outputs = dict(zip(("b", "a"), towers, strict=True))
    else:
        outputs = {name: keras.layers.Dense(1)(hidden) for name in ("b", "a")}
    network = keras.Model(
        inputs, {name: keras.layers.Identity(name=name)(out) for name, out in outputs.items()}
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 5)).astype("float32")
    y = {"b": np.sin(x[:, 0]) + 1, "a": 0.3 * rng.normal(size=40) - x[:, 1] + 1}
    train = x[:24], {name: labels[:24] for name, labels in y.items()}
    validation = x[24:], {name: labels[24:] for name, labels in y.items()}
    features = keras.Model(inputs, hidden).predict(x, verbose=0)
    heads = make_heads_network(network, tasks).heads
    before = {name: heads[name].values() for name in y}
    shared = [np.array(variable.value) for variable in network.layers[1].weights]
    statistics = [np.array(variable.value) for variable in network.layers[2].weights]

    settings = callbacks.RefitHeads(
        train, validation, epochs=30, patience=2, learning_rate=0.05, batch_size=24
    )
    refit(network, tasks, read_metrics(tasks, None, 0.0, None), settings)
    stopped = {}
    for name in y:
        best, wait, chosen = np.inf, 0, None
        values = [np.concatenate([part.ravel() for part in before[name]])]
        values += list(adam(features[:24], y[name][:24], *before[name], 30, 0.05))
        for epoch, value in enumerate(values):
            error = np.abs(features[24:] @ value[:-1] + value[-1] - y[name][24:]).mean()
            best, wait, chosen = (error, 0, value) if error < best else (best, wait + 1, chosen)
            if wait == 2:
                stopped[name] = epoch
                break
        result = np.concatenate([part.ravel() for part in heads[name].values()])
        np.testing.assert_allclose(result, chosen, rtol=1e-4, atol=1e-5, err_msg=name)
    assert len({stopped.get(name, 30) for name in y}) == 2  # each has its own end
    for variable, value in zip(network.layers[1].weights, shared, strict=True):
        np.testing.assert_array_equal(variable.value, value)
    for variable, value in zip(network.layers[2].weights, statistics, strict=True):
        np.testing.assert_array_equal(variable.value, value)


def told(patience, aucs, maes):
    class Nothing:
        trained = (1,)

        def values(self):
            return []

    metrics = read_metrics(problem.TASKS, None, 0.0, None)
    best = BestHeads({name: Nothing() for name in KEYS}, metrics, patience)
    best.set_model(type("Model", (), {"stop_training": False})())
    rows = [
        {"val_click_auc": auc, "val_price_mae": mae} for auc, mae in zip(aucs, maes, strict=True)
    ]
    best.begin(rows[0])
    for epoch, row in enumerate(rows[1:]):
        best.on_epoch_end(epoch, row)
        if best.model.stop_training:
            return best, epoch
    return best, None


def test_a_value_that_is_not_finite_is_never_better():
    nan = float("nan")
    best, _ = told(9, [nan, nan, 0.6, nan], [1.0, nan, float("-inf"), 0.9])
    assert best.scores == {"click": 0.6, "price": 0.9}
    assert best.epochs == {"click": 2, "price": 3}


def test_a_head_that_has_stalled_is_done_though_others_go_on():
    best, end = told(2, [0.6, 0.7, 0.7, 0.7, 0.9, 0.9, 0.9], [5.0, 4.0, 3.0, 2.0, 1.0, 1.0, 1.0])
    assert best.scores == {"click": 0.7, "price": 1.0}
    assert best.epochs == {"click": 1, "price": 4}
    assert end == 5


def test_networks_without_heads_are_refused(tmp_path):
    names = ["c", "b", "a"]
    tasks = [mtl.Task.regression(name) for name in names]

    def check(network, message, watched=tasks):
        network.compile("adam", **mtl.compile_args(tasks))
        keep = callbacks.KeepBest(watched, tmp_path / "best.keras", keep=REFIT)
        keep.set_model(network)
        with pytest.raises(ValueError, match=message):
            keep.on_train_begin()

    inputs = keras.Input((4,))
    check(mtl.architectures.single_task(inputs, tasks), "share no trainable layer")
    check(mtl.architectures.film(inputs, tasks), "call one layer behind their own")
    check(mtl.architectures.joint_network(inputs, tasks), "none of the tasks .* has trainable")
    check(mtl.architectures.hard_sharing(inputs, tasks), "no task for the output", tasks[:2])
    for arguments, message in (
        ({"epochs": 0}, "epochs is 0"),
        ({"patience": 0.5}, "patience is 0.5"),
        ({"learning_rate": 0}, "learning_rate is 0; expected a finite number > 0"),
    ):
        with pytest.raises(ValueError, match=message):
            callbacks.RefitHeads(TRAIN, VALIDATION, **arguments)

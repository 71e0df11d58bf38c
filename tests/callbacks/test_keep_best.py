"""The weights that are kept are those of the epoch that the logs show to be the best."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import watched_problem as problem

from keras_mtl import callbacks

DOORS = [pytest.param("plain", marks=pytest.mark.slow), "balanced"]
KEYS = {"click": ("val_click_auc", 1), "price": ("val_price_mae", -1)}
BASELINES = {"click": 0.8, "price": 1.0}


def best_epoch(logs, name):
    key, sign = KEYS[name]
    return int(np.argmax([sign * row[key] for row in logs]))


def best_by_gain(logs):
    gains = [
        np.mean(
            [sign * (row[key] - BASELINES[k]) / BASELINES[k] for k, (key, sign) in KEYS.items()]
        )
        for row in logs
    ]
    return int(np.argmax(gains))


def assert_weights(model, expected):
    for value, wanted in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(value, wanted)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("suffix", [".weights.h5", pytest.param(".keras", marks=pytest.mark.slow)])
def test_one_file_of_all_tasks(tmp_path, door, suffix):
    model, remember = problem.make(door), problem.Remember()
    keep = callbacks.KeepBest(problem.TASKS, tmp_path / f"best{suffix}", baselines=BASELINES)
    model.fit(**problem.FIT, epochs=10, callbacks=[remember, keep])
    expected = best_by_gain(remember.logs)
    assert keep.best_epoch == expected < 9  # otherwise the last weights would do
    assert_weights(model, remember.weights[expected])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"best{suffix}",
        f"best{suffix}.json",
    ]
    # From the file, in a new model.
    new = problem.make(door)
    new.optimizer.build(new.trainable_variables)  # a file of a compiled model has its state
    new.load_weights(tmp_path / f"best{suffix}")
    assert_weights(new, remember.weights[expected])


@pytest.mark.parametrize("door", DOORS)
def test_one_file_per_task(tmp_path, door):
    model, remember = problem.make(door), problem.Remember()
    keep = callbacks.KeepBest(problem.TASKS, tmp_path / "{task}.weights.h5", keep="each")
    model.fit(**problem.FIT, epochs=10, callbacks=[remember, keep])
    assert_weights(model, remember.weights[-1])  # nothing is restored
    epochs = {name: best_epoch(remember.logs, name) for name in KEYS}
    assert len({*epochs.values(), 9}) == 3  # all differ
    for name, epoch in epochs.items():
        assert keep.best[name][0] == epoch
        keep.load(name)
        assert_weights(model, remember.weights[epoch])
    with pytest.raises(ValueError, match="task is 'age'; expected one of"):
        keep.load("age")


@pytest.mark.slow
def test_without_restore_the_last_weights_stay(tmp_path):
    model, remember = problem.make(), problem.Remember()
    keep = callbacks.KeepBest(problem.TASKS, tmp_path / "best.weights.h5", restore=False)
    model.fit(**problem.FIT, epochs=10, callbacks=[remember, keep])
    assert_weights(model, remember.weights[-1])
    keep.load()
    assert_weights(model, remember.weights[keep.best_epoch])


def test_with_one_task_it_is_keras_own_choice(tmp_path):
    task = problem.TASKS[0]
    model, remember = problem.make("plain"), problem.Remember()
    ours = callbacks.KeepBest([task], tmp_path / "ours.weights.h5", restore=False)
    stop = callbacks.StopByTasks([task], patience=2)
    theirs = keras.callbacks.EarlyStopping(
        "val_click_auc", mode="max", patience=2, restore_best_weights=True
    )
    model.fit(**problem.FIT, epochs=12, callbacks=[remember, ours, stop, theirs])
    assert stop.stopped_epoch == theirs.stopped_epoch
    assert ours.best_epoch == theirs.best_epoch
    restored = model.get_weights()
    ours.load()
    assert_weights(model, restored)


def test_a_network_that_diverges_keeps_what_was_finite(tmp_path):
    class Diverge(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch in (0, 3):
                logs["val_click_auc"] = float("nan")
            elif epoch == 2:
                logs["val_click_auc"] = 0.999  # the best number there is

    model, remember = problem.make(), problem.Remember()
    keep = callbacks.KeepBest(problem.TASKS[:1], tmp_path / "best.weights.h5")
    model.fit(**problem.FIT, epochs=5, callbacks=[Diverge(), remember, keep])
    assert keep.best == {"click": (2, 0.999)}
    assert_weights(model, remember.weights[2])


def test_a_training_of_no_epoch_changes_nothing(tmp_path):
    model = problem.make()
    keep = callbacks.KeepBest(problem.TASKS, tmp_path / "best.weights.h5", restore=True)
    model.fit(**problem.FIT, epochs=2, callbacks=[keep])
    weights = [value + 1 for value in model.get_weights()]
    model.set_weights(weights)
    with pytest.warns(UserWarning, match="saw no validation metrics"):
        model.fit(**problem.FIT, epochs=0, callbacks=[keep])
    assert_weights(model, weights)


def test_wrong_paths_are_refused(tmp_path):
    for path, keep, message in (
        ("best.h5", "aggregate", "expected it to end in one of"),
        ("{task}.keras", "aggregate", "in it for keep='each'"),
        ("best.keras", "each", "in it for keep='each'"),
        ("best.keras", "all", "keep is 'all'"),
    ):
        with pytest.raises(ValueError, match=message):
            callbacks.KeepBest(problem.TASKS, tmp_path / path, keep=keep)
    with pytest.raises(ValueError, match="baselines belong to keep='aggregate'"):
        callbacks.KeepBest(
            problem.TASKS, tmp_path / "{task}.keras", keep="each", baselines=BASELINES
        )


@pytest.mark.slow
@pytest.mark.parametrize("killed_at", [1, 3, 5])
def test_a_killed_run_keeps_and_stops_as_one_that_was_not(tmp_path, killed_at):
    script = Path(__file__).with_name("killed_run.py")

    def run(folder, *arguments, code):
        command = [sys.executable, str(script), "--folder", str(tmp_path / folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == code, done.stderr[-2000:]

    run("whole", code=0)
    run("killed", "--kill-at", str(killed_at), code=-9)
    run("killed", code=0)
    whole, resumed = (np.load(tmp_path / name / "out.npz") for name in ("whole", "killed"))
    assert sorted(whole) == sorted(resumed)
    assert int(whole["stopped"]) > killed_at
    for name in whole:
        np.testing.assert_array_equal(whole[name], resumed[name], err_msg=name)

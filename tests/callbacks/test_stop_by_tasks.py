"""When training stops: golden values, Keras's own rule, and what users pass."""

import json
import math

import keras
import numpy as np
import pytest

from keras_mtl import Task, callbacks

TASKS = [Task.binary("a", metrics=["auc"]), Task.regression("b", metrics=["mae"])]
A = [0.60, 0.66, 0.70, 0.69, 0.71, 0.70, 0.70, 0.70, 0.70]
B = [1.0, 0.8, 0.7, 0.72, 0.73, 0.74, 0.75, 0.76, 0.77]


class FakeModel:
    """Stands for the model of a callback, which only sets `stop_training`."""

    stop_training = False


def stopped(callback, *curves, first=0, keys=("val_a_auc", "val_b_mae")):
    """Returns the epoch at which a callback stops, when it is told these curves."""
    model = FakeModel()
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, values in enumerate(zip(*curves, strict=True)):
        if epoch >= first:
            callback.on_epoch_begin(epoch)
            callback.on_epoch_end(epoch, dict(zip(keys, values, strict=True)))
        if model.stop_training:
            return epoch
    return None


def test_golden_waits_and_epochs():
    waits = []
    callback = callbacks.StopByTasks(TASKS, patience=99)
    callback.set_model(FakeModel())
    callback.on_train_begin()
    for epoch, (a, b) in enumerate(zip(A, B, strict=True)):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {"val_a_auc": a, "val_b_mae": b})
        waits.append(callback.waits)
    assert [row["a"] for row in waits] == [0, 0, 0, 1, 0, 1, 2, 3, 4]
    assert [row["b"] for row in waits] == [0, 0, 0, 1, 2, 3, 4, 5, 6]
    assert callback.best == {"a": (4, 0.71), "b": (2, 0.7)}
    assert stopped(callbacks.StopByTasks(TASKS, stop="any"), A, B) == 5
    assert stopped(callbacks.StopByTasks(TASKS, stop="all"), A, B) == 7
    by_gain = callbacks.StopByTasks(TASKS, stop="aggregate", baselines={"a": 0.65, "b": 0.8})
    assert stopped(by_gain, A, B) == 5
    best, gain = by_gain._progress.best_of_all
    assert best == 2
    np.testing.assert_allclose(gain, 0.1010, atol=5e-5)
    assert by_gain.reason == "no improvement in 3 epochs: all tasks together"
    # In the form in which `search_task_weights` takes them.
    baselines = {"a": {"auc": 0.65}, "b": {"mae": 0.8, "loss": 9.0}}
    by_metric = callbacks.StopByTasks(TASKS, stop="aggregate", baselines=baselines)
    assert stopped(by_metric, A, B) == 5
    assert by_metric._progress.best_of_all == by_gain._progress.best_of_all


def test_the_aggregate_without_baselines_is_the_mean_rank():
    callback = callbacks.StopByTasks(TASKS, stop="aggregate")
    # Ranks among the epochs so far: epoch 2 is the last one with the best mean.
    assert stopped(callback, A, B) == 5
    assert callback._progress.best_of_all == (2, 1.0)


@pytest.mark.parametrize("stop", ["all", "any"])
@pytest.mark.parametrize("patience", [1, 2, 4])
@pytest.mark.parametrize("min_delta", [0.0, 0.05])
def test_with_one_task_it_is_keras_early_stopping(stop, patience, min_delta):
    rng = np.random.default_rng(0)
    for mode, metric, task in (("max", "auc", TASKS[0]), ("min", "mae", TASKS[1])):
        name = f"val_{task.name}_{metric}"
        for _ in range(20):
            curve = np.round(rng.uniform(0.4, 0.9, 12), 2).tolist()
            ours = callbacks.StopByTasks([task], stop=stop, patience=patience, min_delta=min_delta)
            theirs = keras.callbacks.EarlyStopping(name, min_delta, patience, mode=mode)
            expected = stopped(theirs, curve, keys=[name])
            assert stopped(ours, curve, keys=[name]) == expected
            assert ours.stopped_epoch == expected


def test_the_order_of_the_tasks_changes_nothing():
    for stop in ("all", "any", "aggregate"):
        forward = callbacks.StopByTasks(TASKS, stop=stop)
        backward = callbacks.StopByTasks(TASKS[::-1], stop=stop)
        assert stopped(forward, A, B) == stopped(backward, A, B)
        assert forward.best == backward.best


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_never_better(broken):
    for curves in (([broken, *A[1:]], B), (A, [*B[:2], broken, *B[3:]])):
        for stop in ("all", "any", "aggregate"):
            callback = callbacks.StopByTasks(TASKS, stop=stop)
            stopped(callback, *curves)
            for epoch, value in callback.best.values():
                assert math.isfinite(value)
                assert value == curves["ab".index("a" if value in A else "b")][epoch]
    never = callbacks.StopByTasks(TASKS, stop="any")
    assert stopped(never, [broken] * 9, B) == 2
    assert "a" not in never.best
    assert never.reason == "no improvement in 3 epochs: a"


@pytest.mark.parametrize("stop", ["all", "any", "aggregate"])
@pytest.mark.parametrize("killed_after", range(6))
def test_a_run_that_goes_on_stops_where_it_would_have(tmp_path, stop, killed_after):
    def make(name):
        return callbacks.StopByTasks(TASKS, stop=stop, state_file=tmp_path / name)

    whole = make("whole.json")
    expected = stopped(whole, A, B)
    assert stopped(make("killed.json"), A[: killed_after + 1], B[: killed_after + 1]) in (
        None,
        killed_after,
    )
    # The backup may be of the epoch before: then its epoch is run once more.
    for first in (killed_after, killed_after + 1):
        resumed = make("killed.json")
        if first <= expected:
            assert stopped(resumed, A, B, first=first) == expected
            assert resumed.best == whole.best
    assert json.loads((tmp_path / "killed.json").read_text())["logs"] == ["val_a_auc", "val_b_mae"]


def test_a_new_training_begins_anew(tmp_path):
    callback = callbacks.StopByTasks(TASKS, stop="any", state_file=tmp_path / "state.json")
    assert stopped(callback, A, B) == stopped(callback, A, B) == 5
    other = callbacks.StopByTasks(TASKS[:1], state_file=tmp_path / "state.json")
    with pytest.raises(ValueError, match=r"is the state of a run that watched .*val_b_mae"):
        stopped(other, A, first=3, keys=["val_a_auc"])
    missing = callbacks.StopByTasks(TASKS, state_file=tmp_path / "none.json")
    with pytest.warns(UserWarning, match="goes on at epoch 4, but there is no"):
        stopped(missing, A, B, first=3)


def test_epochs_without_validation_are_not_counted():
    callback = callbacks.StopByTasks(TASKS, stop="any", patience=2)
    model = FakeModel()
    callback.set_model(model)
    callback.on_train_begin()
    for epoch in range(8):
        callback.on_epoch_begin(epoch)
        logs = {"val_a_auc": 0.5, "val_b_mae": 1.0} if epoch % 3 == 2 else {"a_auc": 0.5}
        callback.on_epoch_end(epoch, logs)
    assert callback.waits == {"a": 1, "b": 1}
    assert not model.stop_training


def test_wrong_arguments_and_logs_are_refused():
    make = callbacks.StopByTasks
    for arguments, message in (
        ({"stop": "both"}, "stop is 'both'"),
        ({"patience": 0}, "patience is 0"),
        ({"patience": 1.5}, "patience is 1.5"),
        ({"patience": None}, "patience is None"),
        ({"min_delta": "small"}, "task 'a': min_delta is 'small'"),
        (
            {"stop": "aggregate", "baselines": {"a": None, "b": 1.0}},
            "task 'a': its baseline is None",
        ),
        (
            {"stop": "aggregate", "baselines": {"a": {"loss": 0.4}, "b": 1.0}},
            r"task 'a': its metric 'auc' is watched, and baselines has \['loss'\]",
        ),
        ({"metrics": {"c": "auc"}}, r"metrics names \['c'\], which are no tasks"),
        ({"metrics": "auc"}, "task 'b' has no metric 'auc'"),
        ({"min_delta": {"a": -0.1}}, "task 'a': min_delta is -0.1"),
        ({"baselines": {"a": 1.0, "b": 1.0}}, "baselines belong to stop='aggregate'"),
        ({"stop": "aggregate", "baselines": {"a": 1.0}}, r"no number for \['b'\]"),
        ({"stop": "aggregate", "baselines": {"a": 0.0, "b": 1.0}}, "task 'a': .* baseline of 0"),
    ):
        with pytest.raises(ValueError, match=message):
            make(TASKS, **arguments)
    with pytest.raises(ValueError, match=r"watches \['val_b_mae'\], which are not logged"):
        stopped(make(TASKS), A, B, keys=("val_a_auc", "val_b_auc"))
    with pytest.warns(UserWarning, match="saw no validation metrics"):
        callback = make(TASKS)
        stopped(callback, [0.5], keys=["a_auc"])
        callback.on_train_end()


def test_metrics_are_chosen_by_task():
    custom = Task.regression("c", metrics=[keras.metrics.MeanSquaredError(name="mse")])
    callback = callbacks.StopByTasks(
        [*TASKS, custom], metrics={"a": "loss", "c": ("mse", "min")}, min_delta={"b": 0.5}
    )
    watched = {metric.task: (metric.log, metric.mode) for metric in callback._metrics}
    assert watched == {
        "a": ("val_a_mean_loss", "min"),
        "b": ("val_b_mae", "min"),
        "c": ("val_c_mse", "min"),
    }
    assert [metric.min_delta for metric in callback._metrics] == [0.0, 0.5, 0.0]
    plain = callbacks.StopByTasks([Task.regression("d", metrics=())])
    assert plain._metrics[0].log == "val_d_mean_loss"

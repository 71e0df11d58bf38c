"""What TensorBoard reads back is what was logged, for any number of tasks."""

import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import watched_problem as problem
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import metadata, plugin_data_pb2
from tensorboard.util import tensor_util

import keras_mtl as mtl
from keras_mtl.callbacks import AffinityMonitor, ConflictMonitor, TensorBoardTasks


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    return events


def curves(folder):
    """Returns the values of each scalar by step, in a list to see a step that comes twice."""
    events = read(folder)
    return {
        tag: [
            (e.step, tensor_util.make_ndarray(e.tensor_proto).item()) for e in events.Tensors(tag)
        ]
        for tag in events.Tags()["tensors"]
        if events.SummaryMetadata(tag).plugin_data.plugin_name == "scalars"
    }


def assert_curve(curve, values, first=0):
    assert [step for step, _ in curve] == list(range(first, first + len(values)))
    np.testing.assert_allclose([value for _, value in curve], values, rtol=1e-6)


def layout(folder):
    tensor = read(folder).Tensors("custom_scalars__config__")[-1].tensor_proto
    parsed = layout_pb2.Layout.FromString(tensor_util.make_ndarray(tensor).item())
    return {
        category.title: {chart.title: list(chart.multiline.tag) for chart in category.chart}
        for category in parsed.category
    }


@pytest.mark.parametrize("door", ["balanced", pytest.param("plain", marks=pytest.mark.slow)])
def test_curves_are_those_of_the_history_and_training_is_the_same(tmp_path, door):
    weights = []
    for callbacks in ([], [TensorBoardTasks(problem.TASKS, tmp_path)]):
        model = problem.make(door)
        history = model.fit(**problem.FIT, epochs=2, callbacks=callbacks).history
        weights.append([*model.get_weights(), *(np.array(v) for v in model.optimizer.variables)])
    for without, beside in zip(*weights, strict=True):
        np.testing.assert_array_equal(without, beside)
    train, validation = (curves(tmp_path / "tasks" / run) for run in ("train", "validation"))
    tags = {"loss/click", "loss/price", "metric/click", "metric/price"}
    assert validation.keys() == tags
    balanced = {"weight/click", "weight/price"} if door == "balanced" else set()
    assert train.keys() == tags | balanced
    for run, part in ((train, ""), (validation, "val_")):
        for task in ("click", "price"):
            assert_curve(run[f"loss/{task}"], history[f"{part}{task}_mean_loss"])
        assert_curve(run["metric/price"], history[f"{part}price_mae"])
    for tag in balanced:
        assert_curve(train[tag], history[f"{tag.removeprefix('weight/')}_weight"])
    charts = layout(tmp_path / "tasks")
    assert charts["loss"].keys() == charts["metric"].keys() == {"click", "price"}
    for task in ("click", "price"):
        (pattern,) = charts["loss"][task]
        assert [tag for tag in train if re.match(pattern, tag)] == [f"loss/{task}"]


def test_a_run_that_goes_on_shows_each_epoch_once(tmp_path):
    model = problem.make()
    histories = []
    # Epoch 2 is trained twice, as after a kill between the callback and the backup.
    for first, stop in ((0, 3), (2, 4)):
        callback = TensorBoardTasks(problem.TASKS, tmp_path, hparams={"rate": 0.2})
        fit = {**problem.FIT, "initial_epoch": first, "epochs": stop, "callbacks": [callback]}
        histories.append(model.fit(**fit).history["price_mean_loss"])
    expected = [*histories[0][:2], *histories[1]]
    assert_curve(curves(tmp_path / "tasks" / "train")["loss/price"], expected)
    assert layout(tmp_path / "tasks")["loss"].keys() == {"click", "price"}


@pytest.mark.slow
def test_a_process_that_was_killed_goes_on_and_shows_each_epoch_once(tmp_path):
    script = pathlib.Path(__file__).with_name("killed_monitors.py")
    shown = []
    for name, kills in (("whole", [-1]), ("killed", [2, 3, -1])):
        (tmp_path / name).mkdir()
        for kill in kills:
            command = [sys.executable, str(script), "--folder", str(tmp_path / name)]
            done = subprocess.run(
                [*command, "--kill-at", str(kill)], capture_output=True, text=True, check=False
            )
            assert done.returncode == (0 if kill < 0 else -9), done.stderr[-2000:]
        board = tmp_path / name / "board" / "tasks"
        shown.append({**curves(board), **curves(board / "train")})
    whole, killed = shown
    assert "weight/price" in whole and "cosine/price/click" in whole
    assert list(whole) == list(killed)
    for tag, curve in whole.items():
        assert [step for step, _ in curve] == [0, 1, 2, 3], tag
        assert [step for step, _ in killed[tag]] == [0, 1, 2, 3], tag
        np.testing.assert_allclose(killed[tag], curve, rtol=1e-6, err_msg=tag)


def test_hyperparameters_are_in_the_table_or_text(tmp_path):
    values = {"rate": np.float32(0.5), "name": "pcgrad", "deep": True, "units": (4, 2), "no": None}
    values["limit"] = float("inf")
    callback = TensorBoardTasks(problem.TASKS, tmp_path, hparams=values, trial_id="one")
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    callback.on_train_end()
    events = read(tmp_path / "tasks")

    def content(tag):
        plugin = events.SummaryMetadata(tag).plugin_data.content
        return plugin_data_pb2.HParamsPluginData.FromString(plugin)

    start = content(metadata.SESSION_START_INFO_TAG).session_start_info
    assert start.group_name == "one" and start.hparams.keys() == {"rate", "name", "deep"}
    assert start.hparams["rate"].number_value == 0.5
    experiment = content(metadata.EXPERIMENT_TAG).experiment
    assert {info.name for info in experiment.hparam_infos} == {"rate", "name", "deep"}
    shown = [(info.name.group, info.name.tag) for info in experiment.metric_infos]
    assert shown == [("validation", "metric/click"), ("validation", "metric/price")]
    texts = {
        tag: tensor_util.make_ndarray(events.Tensors(tag)[0].tensor_proto).item()
        for tag in events.Tags()["tensors"]
        if tag.startswith("hparams/")
    }
    assert texts == {"hparams/units": b"(4, 2)", "hparams/no": b"None", "hparams/limit": b"inf"}


def many(num_tasks):
    """Returns tasks whose names are not in order, a compiled network, and rows."""
    keras.utils.set_random_seed(1)
    tasks = [mtl.Task.regression(f"t{num_tasks - k}.x") for k in range(num_tasks)]
    network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(4,), tower=())
    network.compile("sgd", **mtl.compile_args(tasks))
    rng = np.random.default_rng(0)
    y = {task.name: rng.normal(size=16).astype("float32") for task in tasks}
    return tasks, network, (rng.normal(size=(16, 4)).astype("float32"), y)


@pytest.mark.parametrize("num_tasks", [1, pytest.param(50, marks=pytest.mark.slow)])
def test_any_number_of_tasks(tmp_path, num_tasks):
    tasks, network, (x, y) = many(num_tasks)
    callback = TensorBoardTasks(tasks, tmp_path)
    history = network.fit(x, y, callbacks=[callback], verbose=0).history
    train = curves(tmp_path / "tasks" / "train")
    assert len([tag for tag in train if tag.startswith("loss/")]) == num_tasks
    for task in tasks:
        assert_curve(train[f"loss/{task.name}"], history[f"{task.name}_mean_loss"])
    assert not (tmp_path / "tasks" / "validation").exists()


def test_pairs_of_nine_tasks_are_an_image(tmp_path):
    tasks, network, (x, y) = many(9)
    rows = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
    monitor = ConflictMonitor(tasks, rows, every=2, permute=False)
    callback = TensorBoardTasks(tasks, tmp_path, monitors=[monitor])
    fit = network.fit(x, y, epochs=2, callbacks=[monitor, callback], verbose=0)
    train = curves(tmp_path / "tasks" / "train")
    # Epoch 0 has no measurement.
    for name in ("mean", "min"):
        assert_curve(train[f"cosine/{name}"], fit.history[f"cosine/{name}"][1:], first=1)
    cosines = np.array(monitor.records[1]["cosines"], float)[np.triu_indices(9, 1)]
    cosines = cosines[~np.isnan(cosines)]
    assert_curve(train["cosine/share_below_0"], [(cosines < 0).mean()], first=1)
    assert len([tag for tag in train if tag.startswith("cosine/")]) == 3
    events = read(tmp_path / "tasks" / "train")
    (image,) = events.Tensors("cosine/matrix")
    width, height, png = tensor_util.make_ndarray(image.tensor_proto)
    assert (width, height, png[:4]) == (b"800", b"700", b"\x89PNG") and image.step == 1
    with pytest.raises(ValueError, match="ConflictMonitor has no record of epoch 0"):
        network.fit(x, y, callbacks=[callback, ConflictMonitor(tasks, rows)], verbose=0)


def test_columns_of_a_balanced_task_are_an_image_too(tmp_path):
    keras.utils.set_random_seed(1)
    tasks = [mtl.Task.regression("genes", columns=[f"g{k}" for k in range(9)])]
    network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(4,), tower=())
    model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
    model.compile("sgd")
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(16, size)).astype("float32") for size in (4, 9))
    rows = tf.data.Dataset.from_tensor_slices((x, {"genes": y})).batch(8)
    monitor = AffinityMonitor(tasks, rows, method="first order")
    callback = TensorBoardTasks(tasks, tmp_path, monitors=[monitor])
    history = model.fit(rows, callbacks=[monitor, callback], verbose=0).history
    train = curves(tmp_path / "tasks" / "train")
    assert_curve(train["loss/genes"], history["genes_mean_loss"])
    assert_curve(train["weight/genes"], history["genes_weight"])
    assert_curve(train["affinity/min"], history["affinity/min"])
    assert {"affinity/matrix", "relatedness/matrix"} <= {
        *read(tmp_path / "tasks" / "train").Tags()["tensors"]
    }


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="monitors holds 'x'"):
        TensorBoardTasks(problem.TASKS, tmp_path, monitors=["x"])
    tasks = [*problem.TASKS, mtl.Task.binary("absent")]
    with pytest.raises(ValueError, match="task 'absent': none of"):
        problem.make().fit(**problem.FIT, callbacks=[TensorBoardTasks(tasks, tmp_path)])

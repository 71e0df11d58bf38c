"""What trackers of experiments receive: plain logs, with numbers that are Python's floats."""

import math
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import callbacks

TASKS = [
    mtl.Task.regression("price", metrics=["mae"], weight=keras.Variable(0.5)),
    mtl.Task.multilabel("tox", columns=["a", "b", "c"], metrics=["auc"]),
]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 6)).astype("float32")
Y = {"price": X[:, 0], "tox": (X[:, :3] > 0).astype("float32")}


class Tracker(keras.callbacks.Callback):
    """Receives logs as the callbacks of MLflow and of Weights & Biases do."""

    def on_train_begin(self, logs=None):
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(dict(logs))


def watchers(folder):
    rows = (X[:32], {name: labels[:32] for name, labels in Y.items()})
    batches = tf.data.Dataset.from_tensor_slices(rows).batch(16)
    return [
        callbacks.ConflictMonitor(TASKS, batches, every=2),
        callbacks.AffinityMonitor(TASKS, batches, every=2),
        callbacks.GateMonitor(TASKS, batches, every=2),
        callbacks.StopByTasks(TASKS, metrics="loss"),
        callbacks.KeepBest(TASKS, folder / "best.weights.h5", metrics="loss"),
        callbacks.PauseTasks(TASKS, patience={"price": 1}, metrics="loss"),
    ]


def fit(folder, *trackers):
    keras.utils.set_random_seed(0)
    network = mtl.architectures.mmoe(keras.Input((6,)), TASKS, num_experts=2, expert=(4,))
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.UPGrad())
    model.compile("adam")
    listed = [*watchers(folder), *trackers]
    model.fit(X, Y, validation_data=(X, Y), epochs=2, callbacks=listed, verbose=0)


def fit_with_mlflow(folder, tracker):
    """Returns what MLflow keeps in a local store, by log; `None` where it is not installed."""
    try:
        import mlflow
        from mlflow.tensorflow import MlflowCallback
    except ImportError:
        fit(folder, tracker)
        return None
    mlflow.set_tracking_uri(f"sqlite:///{folder}/runs.db")
    mlflow.create_experiment("tasks", artifact_location=f"file://{folder}/artifacts")
    mlflow.set_experiment("tasks")
    with mlflow.start_run() as run:
        fit(folder, tracker, MlflowCallback(run))
        mlflow.flush_async_logging()
    client = mlflow.MlflowClient()
    names = client.get_run(run.info.run_id).data.metrics
    return {name: client.get_metric_history(run.info.run_id, name) for name in names}


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """Trains once; returns the logs of the epochs, and what MLflow keeps."""
    tracker = Tracker()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of MLflow, and of what it imports
        curves = fit_with_mlflow(tmp_path_factory.mktemp("tracked"), tracker)
    return tracker.epochs, curves


@pytest.mark.slow
def test_every_log_is_a_float_under_the_same_name_in_all_epochs(tracked):
    epochs, _ = tracked
    assert len(epochs) == 2 and sorted(epochs[0]) == sorted(epochs[1])
    for logs in epochs:
        wrong = {name: type(value) for name, value in logs.items() if type(value) is not float}
        assert not wrong
    for prefix in ("cosine/", "affinity/", "gate/", "price_paused", "tox_weight", "val_price_mae"):
        assert any(name.startswith(prefix) for name in epochs[0]), prefix
    assert math.isnan(epochs[0]["cosine/mean"]) and math.isfinite(epochs[1]["cosine/mean"])


@pytest.mark.slow
def test_the_keras_callback_of_mlflow_keeps_every_log(tracked):
    pytest.importorskip("mlflow")
    epochs, curves = tracked
    for name in epochs[0]:
        by_step = {metric.step: metric.value for metric in curves[name]}
        assert [by_step[0], by_step[1]] == pytest.approx(
            [logs[name] for logs in epochs], rel=1e-6, nan_ok=True
        )

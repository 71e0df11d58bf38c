"""Steps that do not wait: who may take part, and what the workers of one machine do."""

import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import balancers
from keras_mtl.training._asynchronous._callbacks import EpochCallbacks, split_callbacks
from keras_mtl.training._asynchronous._parameter_servers import _read
from keras_mtl.training._asynchronous._rules import check_absent, check_rule, standing
from keras_mtl.training._asynchronous._worker_step import check_staleness, step_of

SCRIPT = pathlib.Path(__file__).with_name("async_run.py")
ALLOWED = (
    *("Equal", "ScaleInvariant", "GeometricMean", "UncertaintySoftmax", "RandomWeighting"),
    *("PCGrad", "CAGrad", "MGDA", "IMTLG", "AlignedMTL", "UPGrad", "DualProj", "ConFIG"),
    "NashMTL",
)
WARNED = (
    *("Uncertainty", "IMTLL", "GradNorm", "GradVac", "DWA", "CoV", "MoCo", "MConFIG"),
    *("MetaBalance", "DBMTL"),
)
REFUSED = ("FAMO", "AutoLambda", "MOML", "FORUM")


@pytest.mark.parametrize(
    ("names", "expected"), [(ALLOWED, "allowed"), (WARNED, "warned"), (REFUSED, "refused")]
)
def test_the_needs_of_a_rule_say_how_it_stands(names, expected):
    for name in names:
        rule = getattr(balancers, name)()
        rule.build(3)
        assert standing(rule) == expected, name
        if expected == "refused":
            with pytest.raises(ValueError, match=f"{name} compares the losses"):
                check_rule(rule, problem.network())
        if expected == "warned":
            with pytest.warns(UserWarning, match=f"{name} has a state"):
                check_rule(rule, problem.network())


def test_batch_statistics_are_warned_of():
    x = keras.Input((4,))
    network = keras.Model(x, keras.layers.BatchNormalization(name="norm")(x))
    rule = balancers.Equal()
    rule.build(2)
    with pytest.warns(UserWarning, match=r"\['norm'\] normalize batches"):
        check_rule(rule, network)


def test_tasks_that_rest_are_refused_where_others_update_meanwhile():
    tasks = problem.tasks()
    plain, names = problem.dataset().element_spec, [task.name for task in tasks]
    weighted = (*plain[:2], {names[1]: tf.TensorSpec([None])})
    model = problem.balanced(balancers.Equal())
    check_absent(model, plain[:2])
    with pytest.raises(ValueError, match=rf"the tasks \['{names[1]}'\] may have no label"):
        check_absent(model, weighted)
    check_absent(problem.balanced(balancers.Equal(), absent="drift"), weighted)
    masked = keras.Input((None,), dtype="int64")
    words = keras.layers.Embedding(9, 4, mask_zero=True)(masked)
    heads = [mtl.Task.tagging("tags", 3), mtl.Task.tagging("names", 2)]
    network = keras.Model(
        masked, {task.name: keras.layers.Dense(2, name=task.name)(words) for task in heads}
    )
    model = mtl.BalancedModel(network, heads, balancers.Equal())
    with pytest.raises(ValueError, match=r"the tasks \['tags', 'names'\] may have no label"):
        check_absent(model, plain[:2])


def test_what_was_switched_off_is_refused_where_others_update_meanwhile():
    model = problem.balanced(balancers.Equal(), absent="drift")
    model.set_active(["z", "b"])
    with pytest.raises(ValueError, match="tasks or variables of this model have been switched off"):
        check_absent(model, problem.dataset().element_spec)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "TF_CONFIG is not set"),
        ("{", "TF_CONFIG is '{'"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}',
            "has the jobs",
        ),
        (
            '{"cluster": {"chief": ["a:1"], "worker": ["b:2"], "ps": ["c:3"]}, '
            '"task": {"type": "worker", "index": 1}}',
            "expected one of the cluster",
        ),
    ],
)
def test_a_cluster_without_chief_workers_and_servers_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        _read({"TF_CONFIG": text})


def test_the_delay_bounds_the_rate():
    def result(*taus):
        return mtl.training.Asynchronous({}, 3, {7: list(taus)})

    assert result(0).stable_rate(2.0) == pytest.approx(1.0)  # descent without delay: 2 / L
    # The roots of z^(tau + 1) - z^tau + rate L lie on the unit circle at the bound.
    for tau in (1, 4, 16):
        rate = result(0, tau).stable_rate(1.0)
        for factor, stable in ((0.999, True), (1.001, False)):
            roots = np.roots([1, -1, *[0] * (tau - 1), factor * rate])
            assert (abs(roots).max() < 1) == stable


@pytest.mark.parametrize("optimizer", [keras.optimizers.SGD(0.1), keras.optimizers.AdamW(0.1)])
def test_a_stale_step_is_scaled_by_its_staleness(optimizer):
    """As if three others came between the reading of the variables and the update."""

    def variables_after(scaled):
        model = problem.balanced(
            balancers.PCGrad(), optimizer=optimizer.from_config(optimizer.get_config())
        )
        before = problem.values(model.trainable_variables)
        version = tf.Variable(5, dtype=tf.int64)
        train_step = model.train_step

        def overtaken(element):
            version.assign_add(3)
            return train_step(element)

        model.train_step = overtaken
        worker, staleness = step_of(model, version, scaled)(iter([(7, problem.batch())]))
        assert (worker, int(staleness), int(version)) == (7, 3, 9)
        assert "apply_gradients" not in vars(model.optimizer)
        after = problem.values(model.trainable_variables)
        return [new - old for new, old in zip(after, before, strict=True)]

    whole, scaled = variables_after(False), variables_after(True)
    assert all(np.abs(change).max() > 1e-4 for change in whole)
    for change, expected in zip(scaled, whole, strict=True):
        np.testing.assert_allclose(change, expected / 4, atol=3e-7)


class Batches(keras.callbacks.Callback):
    def on_test_batch_begin(self, batch, logs=None):
        """Is what no worker waits for."""


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (Batches(), "Batches looks at batches"),
        (keras.callbacks.TerminateOnNaN(), "TerminateOnNaN looks at batches"),
        (keras.callbacks.ModelCheckpoint("x.keras", save_freq=3), "ModelCheckpoint looks at"),
        (keras.callbacks.LambdaCallback(on_train_batch_end=print), "LambdaCallback looks at"),
        (print, "expected callbacks of Keras"),
        (mtl.training.Backup("x", every=3), "the backup has every=3"),
        (keras.callbacks.EarlyStopping(restore_best_weights=True), "keeps weights in memory"),
    ],
)
def test_callbacks_that_cannot_work_are_refused(callback, message):
    with pytest.raises(ValueError, match=message):
        split_callbacks([callback, mtl.training.Backup("y")][: 1 + ("memory" in message)])


def test_callbacks_of_epochs_are_taken():
    backup = mtl.training.Backup("x")
    listed = [
        keras.callbacks.EarlyStopping(restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau(),
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.1),
        keras.callbacks.ModelCheckpoint("x.keras"),
        keras.callbacks.CSVLogger("x.csv"),
        keras.callbacks.LambdaCallback(on_epoch_end=print),
        mtl.callbacks.StopByTasks(problem.tasks()),
    ]
    assert split_callbacks(listed) == (listed, None)
    assert split_callbacks([*listed[1:], backup]) == (listed[1:], backup)
    with pytest.raises(ValueError, match=r"received 2 training\.Backup"):
        split_callbacks([backup, backup])


def test_a_callback_that_switches_tasks_off_is_refused():
    model = problem.balanced(balancers.Equal())
    switch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: model.set_active(["z", "b"])
    )
    listed = EpochCallbacks([switch], model)
    listed.call("train_begin")
    with pytest.raises(ValueError, match="switched tasks or variables off"):
        listed.call("epoch_end", 0, {})


@pytest.mark.parametrize("staleness", [-1, 1.5, True, "scaled", "0"])
def test_another_staleness_is_refused(staleness):
    with pytest.raises(ValueError, match="expected None, a number of steps"):
        check_staleness(staleness, keras.optimizers.SGD())


def test_several_learning_rates_are_not_scaled():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    with pytest.raises(ValueError, match="received a LossScaleOptimizer"):
        check_staleness("scale", optimizer)
    check_staleness(3, optimizer)


def run(folder, *arguments, seconds=200):
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "keras_mtl.launch", "--workers", "2", "--servers", "1"]
    command += ["--seconds", str(seconds), str(SCRIPT), str(folder), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=seconds + 60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads((folder / "result.json").read_text())


@pytest.mark.slow
def test_no_step_is_lost_when_a_worker_is_killed_and_comes_back(tmp_path):
    output, result = run(tmp_path, "--kill", "--steps", "200")
    assert "[launch] worker 1 ended with signal 9" in output
    # One more if the worker died between its update and its answer: the step is taken again.
    assert result["steps"] == result["iterations"] and 400 <= result["steps"] <= 401
    losses = result["history"]["val_loss"]
    assert result["finite"] and losses[-1] < losses[0]
    assert sum(len(taus) for taus in result["staleness"].values()) == 200
    assert (tmp_path / "export" / "2" / "saved_model.pb").exists()
    # The checkpoint: the same command goes on behind its epochs.
    _, more = run(tmp_path, "--epochs", "3", "--steps", "200")
    assert more["steps"] == result["steps"] + 200 and len(more["history"]["val_loss"]) == 1
    assert more["history"]["val_loss"][0] < losses[0]


@pytest.mark.slow
def test_no_step_is_staler_than_the_bound(tmp_path):
    _, result = run(tmp_path, "--staleness", "1")
    taus = [tau for of_worker in result["staleness"].values() for tau in of_worker]
    assert len(taus) == 60 and max(taus) <= 1
    assert result["history"]["max_staleness"][-1] == max(taus)


@pytest.mark.slow
def test_scaled_steps_train_and_callbacks_end_it(tmp_path):
    _, result = run(tmp_path, "--staleness", "scale", "--epochs", "5", "--delta", "9.0")
    losses = result["history"]["val_loss"]
    # EarlyStopping takes the first epoch as the best one, and ends training after the second.
    assert len(losses) == 2 and losses[1] < losses[0] and result["finite"]
    assert result["steps"] == result["iterations"] == 120
    taus = [tau for of_worker in result["staleness"].values() for tau in of_worker]
    assert max(taus) > 0  # something was scaled
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert len(rows) == 3 and "val_loss" in rows[0]

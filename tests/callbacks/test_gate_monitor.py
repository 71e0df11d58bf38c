"""The monitor of gates measures what analysis measures, changes nothing, and goes on."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.analysis import gate_use
from keras_mtl.architectures import hard_sharing, mmoe
from keras_mtl.callbacks import GateMonitor

TASKS = [mtl.Task.binary("zeta"), mtl.Task.regression("age")]
RNG = np.random.default_rng(3)
X = RNG.normal(size=(60, 4)).astype("float32")
Y = {"zeta": (X[:, 0] > 0).astype("float32"), "age": X[:, 1] * X[:, 2]}
ROWS = (X[:20], {"zeta": np.where(X[:20, 3] > 0, np.nan, Y["zeta"][:20]), "age": Y["age"][:20]})


def make(balancer=None):
    keras.utils.set_random_seed(1)

    features = keras.layers.Dense(6, activation="tanh")(keras.Input((4,)))
    features = keras.layers.Dropout(0.3)(keras.layers.BatchNormalization()(features))
    network = mmoe(features, TASKS, num_experts=3, expert=(4,), tower=())
    model = network if balancer is None else mtl.BalancedModel(network, TASKS, balancer)
    if balancer is None:
        model.compile("adam", **mtl.compile_args(TASKS))
    else:
        model.compile("adam")
    return model


def fit(model, callbacks, epochs=2, start=0):
    return model.fit(
        X, Y, batch_size=16, epochs=epochs, initial_epoch=start, callbacks=callbacks, verbose=0
    )


def end_of_epoch(monitor, model, epoch=0):
    """Calls a monitor as `fit` does, and returns its logs."""
    logs = {}
    monitor.set_model(model)
    monitor.on_train_begin()
    monitor.on_epoch_begin(epoch)
    monitor.on_epoch_end(epoch, logs)
    return logs


@pytest.mark.parametrize("balanced", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_training_is_the_same_to_the_last_bit(balanced):
    states = []
    for callbacks in ([], [GateMonitor(TASKS, ROWS, ablation=True)]):
        model = make(mtl.balancers.RandomWeighting() if balanced else None)
        fit(model, callbacks)
        variables = [*model.variables, *model.optimizer.variables]
        states.append([keras.ops.convert_to_numpy(variable.value) for variable in variables])
    assert callbacks[0].last.rows == 20
    for without, beside in zip(*states, strict=True):
        np.testing.assert_array_equal(without, beside)


class AtEnds(keras.callbacks.Callback):
    """Measures by `gate_use` at the end of each epoch."""

    def on_epoch_end(self, epoch, logs=None):
        """Measures."""
        self.results = [*getattr(self, "results", []), gate_use(self.model, ROWS, TASKS)]


def test_logs_and_records_are_those_of_analysis(tmp_path):
    model, ends = make(), AtEnds()
    monitor = GateMonitor(TASKS, ROWS, every=2, ablation=True, file=tmp_path / "gates")
    history = fit(model, [monitor, ends], epochs=4).history
    loads = history["gate/age_gate/shared_experts/1"]
    assert np.isnan(loads[::2]).all()
    for epoch in (1, 3):
        use = ends.results[epoch]
        assert loads[epoch] == pytest.approx(use.gates["age_gate"].load[1], rel=1e-6)
        effective = [gate.effective_experts for gate in use.gates.values()]
        assert history["gates/effective/min"][epoch] == pytest.approx(min(effective))
        assert history["gates/effective/mean"][epoch] == pytest.approx(np.mean(effective))
        assert history["gates/collapsed"][epoch] == 0
        gate = monitor.records[epoch]["gates"]["zeta_gate"]
        np.testing.assert_allclose(gate["load"], use.gates["zeta_gate"].load, rtol=1e-6)
        np.testing.assert_allclose(gate["rise"]["zeta"], use.gates["zeta_gate"].rise["zeta"], 1e-4)
        np.testing.assert_allclose(
            monitor.records[epoch]["divergence"], use.divergence, rtol=1e-5, atol=1e-7
        )
    assert loads[1] != loads[3]
    assert [record["gates"] is None for record in monitor.records] == [True, False] * 2
    lines = (tmp_path / "gates").read_text().splitlines()
    assert [json.loads(line) for line in lines] == monitor.records


@pytest.mark.slow
def test_a_run_that_goes_on_has_the_records_of_one_that_did_not_stop(tmp_path):
    model = make()
    whole = GateMonitor(TASKS, ROWS, file=tmp_path / "whole")
    fit(model, [whole], epochs=3)
    model = make()
    fit(model, [GateMonitor(TASKS, ROWS, file=tmp_path / "parts")], epochs=2)
    with (tmp_path / "parts").open("a") as file:  # of the epoch in which it was killed
        file.write(json.dumps({"epoch": 2, "tasks": []}) + '\n{"epoch": 3, "ta')
    parts = GateMonitor(TASKS, ROWS, file=tmp_path / "parts")
    fit(model, [parts], epochs=3, start=2)
    assert [record["epoch"] for record in parts.records] == [0, 1, 2]
    assert parts.records[:2] == whole.records[:2]
    assert (tmp_path / "parts").read_text().count("\n") == 3
    other = GateMonitor(TASKS[::-1], ROWS, file=tmp_path / "parts")
    with pytest.raises(ValueError, match="is of a run with the tasks"):
        end_of_epoch(other, model, epoch=3)
    with pytest.warns(UserWarning, match="training goes on at epoch 4, but there is no"):
        end_of_epoch(GateMonitor(TASKS, ROWS, file=tmp_path / "b"), model, epoch=3)


def test_many_gates_are_summarized():
    tasks = [mtl.Task.regression(f"t{i}", metrics=()) for i in range(9)]
    network = mmoe(keras.Input((4,)), tasks, num_experts=2, expert=(3,))
    y = {task.name: X[:, 0] for task in tasks}
    logs = end_of_epoch(GateMonitor(tasks, (X, y)), network)
    assert set(logs) == {"gates/effective/mean", "gates/effective/min", "gates/collapsed"}


def test_errors():
    shuffled = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(60).batch(10)
    with pytest.raises(ValueError, match="seem to be shuffled"):
        end_of_epoch(GateMonitor(TASKS, shuffled), make())
    with pytest.raises(ValueError, match="has no gate"):
        end_of_epoch(GateMonitor(TASKS, ROWS), hard_sharing(keras.Input((4,)), TASKS))
    with pytest.raises(ValueError, match="every is 0"):
        GateMonitor(TASKS, ROWS, every=0)

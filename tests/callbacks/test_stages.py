"""Stages train what they name and nothing else, and go on after a killed run as if nothing was."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_mtl as mtl
from keras_mtl.callbacks import Stage, Stages

ROWS, EPOCHS = 16, 5
SCRIPT = pathlib.Path(__file__).with_name("stages_run.py")


def tasks():
    return [mtl.Task.binary("first"), mtl.Task.regression("after")]


def make(balancer=mtl.balancers.Equal, optimizer=None):
    keras.utils.set_random_seed(0)
    network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks(), shared=(6,), tower=(4,))
    model = mtl.BalancedModel(network, tasks(), balancer())
    model.compile(optimizer or keras.optimizers.Adam(0.01), run_eagerly=True)
    return model


def data():
    x = np.random.default_rng(0).normal(size=(ROWS, 4)).astype("float32")
    return x, {"first": (x[:, 0] > 0).astype("float32"), "after": x[:, 1]}


def stages(**options):
    listed = [
        Stage(["first"], "shared_*|first*", epochs=2, name="first"),
        Stage(["after"], "after*", epochs=2, learning_rate=0.05),
        Stage(learning_rate=0.001, epochs=1, name="all"),
    ]
    return Stages(listed, **options)


class Watch(keras.callbacks.Callback):
    def __init__(self, fail_at=None):
        super().__init__()
        self.fail_at, self.moved, self.rates, self.longest = fail_at, [], [], []

    def values(self):
        return {v.path: np.array(v) for v in self.model.network.trainable_variables}

    def on_epoch_begin(self, epoch, logs=None):
        self.before = self.values()
        self.rates.append(round(float(self.model.optimizer.learning_rate), 6))

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.fail_at:
            raise InterruptedError
        after = self.values()
        moves = {path: np.abs(after[path] - old).max() for path, old in self.before.items()}
        self.moved.append(sorted({path.split("/")[0] for path, move in moves.items() if move}))
        self.longest.append(max(moves.values()))


def fit(model, *callbacks, epochs=EPOCHS, **options):
    return model.fit(*data(), epochs=epochs, verbose=0, callbacks=list(callbacks), **options)


def test_each_stage_trains_what_it_names_at_its_rate():
    model, watch = make(), Watch()
    history = fit(model, stages(), watch).history
    assert [names[0][:5] for names in watch.moved] == ["first", "first", "after", "after", "after"]
    assert all(not name.startswith("after") for name in watch.moved[0])
    assert all(name.startswith("after") for name in watch.moved[2])
    assert any(name.startswith("shared") for name in watch.moved[4])
    assert watch.rates == [0.01, 0.01, 0.05, 0.05, 0.001]
    assert history["stage"] == [0, 0, 1, 1, 2]
    # Adam's first step is as long as the rate: also that of what has just woken up.
    assert watch.longest[2] == pytest.approx(0.05, rel=0.01)
    assert watch.longest[4] == pytest.approx(0.001, rel=0.01)
    assert model.active_tasks == ["first", "after"]
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)
    kept = Watch()
    fit(make(), stages(reset_optimizer=False), kept)
    # Zero moments corrected as if they were averages of three steps: .1 / (1 - .9^3) and so on.
    corrected = 0.1 / (1 - 0.9**3) / np.sqrt(0.001 / (1 - 0.999**3))
    assert kept.longest[2] == pytest.approx(0.05 * corrected, rel=0.01)


def test_a_stage_ends_when_its_value_stalls(tmp_path):
    until = mtl.monitor(tasks()[0], "loss", mode="min")
    listed = [
        Stage(["first"], "first*", until=("val_never", "max"), patience=2),
        Stage(["after"], epochs=1),
    ]
    watched = [Stage(["first"], "first*", until=until, epochs=2), listed[1]]

    class Never(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_never"] = 1.0

    callback = Stages(listed)
    history = fit(make(), Never(), callback, epochs=9)
    assert history.history["stage"] == [0, 0, 0, 1]
    assert callback.starts == [0, 3]
    with pytest.raises(ValueError, match="stage 0 watches 'val_never', which is not logged"):
        fit(make(), Stages(listed), epochs=9)
    with pytest.warns(UserWarning, match="ended before .*stage 1"):
        fit(make(), Stages(watched), epochs=2, validation_data=data(), steps_per_epoch=1)


def test_a_killed_run_goes_on_bit_by_bit(tmp_path):
    whole = make()
    fit(whole, stages())
    for fail_at in (2, 3):
        folder = tmp_path / f"{fail_at}"
        broken = make()
        options = {"state_file": folder.with_suffix(".json")}

        def backup(folder=folder):
            return keras.callbacks.BackupAndRestore(folder)

        with pytest.raises(InterruptedError):
            fit(broken, stages(**options), Watch(fail_at), backup())
        model, watch = make(), Watch()
        fit(model, stages(**options), backup(), watch)
        assert len(watch.moved) == EPOCHS - fail_at
        for one, other in zip(
            model.variables + model.optimizer.variables,
            whole.variables + whole.optimizer.variables,
            strict=True,
        ):
            np.testing.assert_array_equal(one, other, err_msg=one.path)


BAD = {
    "no layer with variables matches 'trunk_'; the network has": [Stage(layers="trunk_", epochs=5)],
    r"stage 1 \(b\) trains nothing: no layer that it names is reached by the tasks \['after'\]": [
        Stage(epochs=4),
        Stage(["after"], "first*", epochs=1, name="b"),
    ],
    r"trains the task\(s\) \['after'\]": [Stage(["first"], epochs=5)],
    r"stage 0: \['last'\] are no tasks": [Stage(["last"], epochs=5)],
    "have 4 epochs in all, .*fit was called with epochs=5": [Stage(epochs=1), Stage(epochs=3)],
    "stage 0: PCGrad balances the variables that tasks share": [Stage(layers="*s*t*_*", epochs=5)],
}


@pytest.mark.parametrize("message", BAD)
def test_stages_that_do_not_fit_are_refused_by_name(message):
    model = make(mtl.balancers.PCGrad if "PCGrad" in message else mtl.balancers.Equal)
    with pytest.raises(ValueError, match=message):
        fit(model, Stages(BAD[message]))


def test_bad_arguments_are_refused_with_a_sentence():
    with pytest.raises(ValueError, match="stages must be a list of Stage objects"):
        Stages([])
    with pytest.raises(ValueError, match="stage 0 has no end: pass epochs"):
        Stages([Stage()])
    with pytest.raises(ValueError, match="stage 0: tasks must be a list of names; received 'a'"):
        Stages([Stage("a", epochs=1)])
    with pytest.raises(ValueError, match=r"stage 0 \(x\): learning_rate is 0"):
        Stages([Stage(learning_rate=0, epochs=1, name="x")])
    with pytest.raises(ValueError, match="until must be"):
        Stages([Stage(until="val_loss")])
    network = make().network
    network.compile("adam", **mtl.compile_args(tasks()))
    with pytest.raises(ValueError, match="Stages needs a BalancedModel; received Functional"):
        fit(network, stages())
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    with pytest.raises(ValueError, match="follows a schedule; compile with a number"):
        fit(make(optimizer=keras.optimizers.Adam(schedule)), stages())


def test_several_optimizers_keep_the_ratios_of_their_rates():
    class Rates(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append([round(float(o.learning_rate), 6) for o in self.model.optimizer.optimizers])

    seen = []
    network = make().network
    optimizer = mtl.transfer.discriminative(keras.optimizers.Adam(0.01), network, factor=2.0)
    model = mtl.BalancedModel(network, tasks(), mtl.balancers.Equal())
    model.compile(optimizer)
    fit(model, Stages([Stage(epochs=1), Stage(epochs=1, learning_rate=0.001)]), Rates(), epochs=2)
    assert len(seen[0]) > 1 and max(seen[0]) == 0.01 and min(seen[0]) < 0.01
    np.testing.assert_allclose(seen[1], np.array(seen[0]) / 10)


def test_the_stage_whose_rate_cannot_be_set_is_named():
    schedule = keras.optimizers.schedules.CosineDecay(0.01, 10)
    with pytest.raises(ValueError, match=r"stage 1 has a learning_rate, .* follows a schedule"):
        fit(make(optimizer=keras.optimizers.Adam(schedule)), stages())
    with pytest.raises(ValueError, match="stage 1 has a learning_rate, and that of Adam is 0"):
        fit(make(optimizer=keras.optimizers.Adam(0.0)), stages())


def test_a_task_that_waits_for_its_stage_is_not_taken_for_a_starved_one():
    fit(make(mtl.balancers.Uncertainty), stages())  # a warning is an error here


@pytest.mark.slow
def test_two_replicas_go_through_stages_as_one_device(tmp_path):
    for replicas in (1, 2):
        command = [sys.executable, str(SCRIPT), str(replicas), str(tmp_path / f"{replicas}.npz")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    with np.load(tmp_path / "1.npz") as one, np.load(tmp_path / "2.npz") as two:
        assert one.files == two.files and len(one.files) > 20
        for name in one.files:
            np.testing.assert_allclose(two[name], one[name], atol=1e-6)

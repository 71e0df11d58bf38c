"""A training that was ended goes on from its backup as if it had not been ended."""

import os
import signal

import keras
import numpy as np
import pytest
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.training._backup._state_file import NAME, SavedState, read_state, write_state

EPOCHS = 3


def build(**options):
    """Builds a small network with dropout and a balancer with state, compiled with Adam."""
    keras.utils.set_random_seed(0)
    tasks = problem.tasks()
    network = mtl.architectures.hard_sharing(
        keras.Input((4,)),
        tasks,
        shared=lambda features: keras.layers.Dropout(0.3)(
            keras.layers.Dense(8, activation="tanh")(features)
        ),
        tower=(4,),
    )
    model = mtl.BalancedModel(network, tasks, mtl.balancers.DWA(), **options)
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)  # tracing takes longer
    return model


def data():
    rows = tf.data.Dataset.from_tensor_slices(problem.arrays())
    return rows.shuffle(80, seed=3).batch(problem.BATCH)


class Lost(Exception):
    """Ends a training in the middle, as an error of the machine would."""


class Stopper(keras.callbacks.Callback):
    """Does something in the second epoch after its second step."""

    def __init__(self, act):
        super().__init__()
        self.act = act
        self.epoch = -1

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (1, 2):
            self.act()


def lose():
    raise Lost


def reduce_rate():
    return keras.callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=9.0, verbose=0)


def train(model, folder, *, act=None, every=2, epochs=EPOCHS, backup=None, **arguments):
    """Trains with a backup; returns it and the history."""
    backup = backup or mtl.training.Backup(folder, every=every)
    callbacks = [backup, reduce_rate()] + ([Stopper(act)] if act else [])
    x = arguments.pop("x", None)
    history = model.fit(
        data() if x is None else x, epochs=epochs, callbacks=callbacks, verbose=0, **arguments
    )
    return backup, history.history


def end_of(model):
    return [np.array(v) for v in (*model.variables, *model.optimizer.variables)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Returns variables and logs of a training that was not interrupted."""
    keras.utils.set_random_seed(0)
    model = build()
    backup, history = train(model, tmp_path_factory.mktemp("whole"))
    assert backup.resumed is None
    return end_of(model), history


@pytest.fixture(scope="module")
def lost(tmp_path_factory):
    """Returns the folder of a training that an error has ended after a step without a save."""
    folder = tmp_path_factory.mktemp("lost")
    with pytest.raises(Lost):
        train(build(), folder, act=lose)
    return folder


@pytest.fixture
def folder(lost, tmp_path):
    """Returns a copy of the folder of a training that was lost."""
    (tmp_path / NAME).write_bytes((lost / NAME).read_bytes())
    return tmp_path


def test_it_goes_on_in_mid_epoch_and_ends_bit_by_bit_as_the_whole_one(folder, whole):
    model = build()
    backup, history = train(model, folder)
    assert backup.resumed == (1, 2)
    values, logs = whole
    for actual, expected in zip(end_of(model), values, strict=True):
        np.testing.assert_array_equal(actual, expected)
    assert {*history} == {*logs}
    for name, of_epochs in logs.items():  # also the epoch of which a part was trained before
        np.testing.assert_array_equal(history[name], of_epochs[1:], err_msg=name)
    # A training that was over is not repeated.
    again, nothing = train(model, folder)
    assert again.resumed == (EPOCHS, 0) and nothing == {}


def test_sigterm_saves_at_once_and_leaves(folder, whole):
    model = build()
    with pytest.raises(SystemExit) as left:
        train(model, folder, every=None, act=lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert left.value.code == 143
    state = read_state(folder)
    assert (state.epoch, state.step) == (1, 3)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    backup, _ = train(model, folder)  # the same model: its step is traced, and skips again
    assert backup.resumed == (1, 3)
    for actual, expected in zip(end_of(model), whole[0], strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"description": {"data": "b"}}, "data: None is saved, 'b' is here"),
        ({"at": "representation"}, "at: 'parameters' is saved, 'representation' is here"),
        ({"damage": lambda b: b[:-900]}, "is no backup, or is damaged"),
        ({"damage": lambda b: b[:-900] + bytes([b[-900] ^ 1]) + b[-899:]}, "or is damaged"),
    ],
)
def test_a_backup_that_does_not_fit_is_refused(folder, options, message):
    damage = options.pop("damage", None)
    if damage:
        (folder / NAME).write_bytes(damage((folder / NAME).read_bytes()))
    backup = mtl.training.Backup(folder, description=options.pop("description", None))
    model = build(**options)
    with pytest.raises(ValueError, match=message):
        train(model, folder, backup=backup)
    assert int(model.optimizer.iterations) == 0


def test_a_backup_of_other_variables_is_refused(folder):
    model = mtl.BalancedModel(problem.network(), problem.tasks(), mtl.balancers.DWA())
    model.compile("adam")
    with pytest.raises(ValueError, match=r"belongs to another model: .* is saved"):
        train(model, folder)


def test_data_without_a_position_are_refused(tmp_path):
    model = build()
    x, y, w = problem.arrays()
    with pytest.raises(ValueError, match="arrays that fit shuffles: pass shuffle=False"):
        train(model, tmp_path, x=x, y=y, sample_weight=w)
    with pytest.raises(ValueError, match="a stream of another kind"):
        train(model, tmp_path, x=(b for b in [problem.batch()] * 99), steps_per_epoch=2)
    with pytest.raises(ValueError, match="keeps weights in memory"):
        stop = keras.callbacks.EarlyStopping("loss", restore_best_weights=True)
        model.fit(data(), callbacks=[mtl.training.Backup(tmp_path), stop], verbose=0)
    plain = problem.network()
    plain.compile("adam", **mtl.compile_args(problem.tasks()))
    with pytest.raises(ValueError, match="received a Functional"):
        plain.fit(data(), callbacks=[mtl.training.Backup(tmp_path)], shuffle=False, verbose=0)
    assert not [*tmp_path.iterdir()]


def test_data_that_end_before_the_position_are_refused(folder):
    with pytest.raises(ValueError, match="the data end before the batch"):
        train(build(), folder, x=problem.dataset(1))


def test_a_file_keeps_every_dtype(tmp_path):
    half = np.array([1.5, -2.0]).astype(tf.bfloat16.as_numpy_dtype)
    arrays = [half, np.array(7, "uint32"), np.ones((2, 0)), np.array([True])]
    write_state(tmp_path, SavedState(1, 2, arrays, {"data": "ä"}, [{"best": float("inf")}]))
    state = read_state(tmp_path)
    assert (state.epoch, state.step, state.description) == (1, 2, {"data": "ä"})
    assert state.callbacks == [{"best": float("inf")}]
    for actual, expected in zip(state.arrays, arrays, strict=True):
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["arrays", "steps"])
def test_other_data_go_on_as_well(tmp_path, kind):
    x, y, w = problem.arrays()
    arguments = {
        "arrays": {"x": x, "y": y, "sample_weight": w, "shuffle": False, "batch_size": 16},
        "steps": {"steps_per_epoch": 5},
    }[kind]
    whole = build()
    train(whole, tmp_path / "whole", **arguments)
    with pytest.raises(Lost):
        train(build(), tmp_path / "lost", act=lose, **arguments)
    model = build()
    backup, _ = train(model, tmp_path / "lost", **arguments)
    assert backup.resumed == (1, 2)
    for actual, expected in zip(end_of(model), end_of(whole), strict=True):
        np.testing.assert_array_equal(actual, expected)

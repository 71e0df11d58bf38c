"""A training that was ended goes on from its backup as if it had not been ended."""

import os
import random
import signal

import keras
import numpy as np
import pandas
import pytest
import scipy.sparse
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.training._backup._known_order import KnownOrder, shuffled_arrays
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


class Batches(keras.utils.PyDataset):
    """Yields the five batches, whose rows it turns by two at the end of each epoch."""

    def __init__(self, endless=False, **options):
        super().__init__(**options)
        self.endless = endless
        self.turned = 0
        self.read = []

    @property
    def num_batches(self):
        return None if self.endless else 5

    def __getitem__(self, index):
        self.read.append(index)
        rows = np.roll(np.arange(problem.BATCH), self.turned)[: problem.BATCH - index % 5]
        return keras.tree.map_structure(lambda a: a[rows], problem.batch(index % 5))

    def on_epoch_end(self):
        if not self.endless:  # those are read ahead
            self.turned += 2


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
    with pytest.raises(ValueError, match="cannot repeat shuffle='batch'; expected True or False"):
        train(model, tmp_path, x=x, y=y, sample_weight=w, shuffle="batch")
    with pytest.raises(ValueError, match="received a generator, which cannot be read again"):
        train(model, tmp_path, x=(b for b in [problem.batch()] * 99), steps_per_epoch=2)
    with pytest.raises(ValueError, match="whole epochs of a Batches, which has 5 batches"):
        train(model, tmp_path, x=Batches(), steps_per_epoch=2)
    with pytest.raises(ValueError, match=r"a Batches yields .* itself; leave out y"):
        train(model, tmp_path, x=Batches(), y=y)
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


def arrays_of(rows=80, **arguments):
    x, y, w = keras.tree.map_structure(lambda array: array[:rows], problem.arrays())
    return {"x": x, "y": y, "sample_weight": w, "batch_size": 16, **arguments}


KINDS = {
    "arrays": lambda: arrays_of(75),
    "batches": lambda: {"x": Batches()},
    "arrays in order": lambda: arrays_of(shuffle=False),
    "steps of a dataset": lambda: {"steps_per_epoch": 5},
    "steps of arrays": lambda: arrays_of(batch_size=None, steps_per_epoch=4),
    "arrays without the last": lambda: arrays_of(validation_split=0.25, batch_size=10),
    "batches in order": lambda: {"x": Batches(), "shuffle": False},
    "batches of threads": lambda: {"x": Batches(workers=2)},
    "batches without end": lambda: {"x": Batches(endless=True), "steps_per_epoch": 4},
}
SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in [*KINDS][2:]]


@pytest.mark.parametrize("kind", ["arrays", "batches", *SLOW])
def test_other_data_go_on_as_well(tmp_path, kind):
    def run(model, name, act=None):
        return train(model, tmp_path / name, act=act, epochs=2, **KINDS[kind]())

    whole = build()
    _, expected = run(whole, "whole")
    with pytest.raises(Lost):
        run(build(), "lost", lose)
    model = build()
    random.seed(7)  # a process that starts again may draw other numbers
    backup, history = run(model, "lost")
    assert backup.resumed == (1, 2)
    for actual, variable in zip(end_of(model), end_of(whole), strict=True):
        np.testing.assert_array_equal(actual, variable)
    assert {*history} == {*expected}
    for name, of_epochs in expected.items():
        np.testing.assert_array_equal(history[name], of_epochs[1:], err_msg=name)


def arguments_of(x, **changed):
    names = ("y", "sample_weight", "batch_size", "steps_per_epoch", "validation_data")
    empty = dict.fromkeys((*names, "validation_batch_size"))
    return {**empty, "x": x, "validation_split": 0.0, "shuffle": True, **changed}


def test_each_epoch_has_every_row_once_in_an_order_of_its_own():
    numbers = np.arange(10.0, dtype="float32")
    dense = np.stack([numbers, -numbers], axis=1)
    x = {"dense": dense, "sparse": scipy.sparse.csr_matrix(dense), "frame": pandas.Series(numbers)}
    arguments = arguments_of(x, y={"z": 2 * numbers}, batch_size=4)

    def epochs(seed):
        changed = shuffled_arrays(arguments, seed, epoch=0)
        assert changed["y"] is None and not changed["shuffle"]
        assert changed["x"].num_batches == 3
        for _ in range(2):
            yield list(changed["x"].get_tf_dataset())
            changed["x"].on_epoch_end()

    orders = []
    for epoch in (*epochs(3), *epochs(3), *epochs(4)):
        for features, labels in epoch:
            sparse = tf.sparse.to_dense(tf.sparse.reorder(features["sparse"]))
            np.testing.assert_array_equal(features["dense"], sparse)
            np.testing.assert_array_equal(features["dense"][:, 0], np.ravel(features["frame"]))
            np.testing.assert_array_equal(2 * features["dense"][:, 0], labels["z"])
        orders.append([float(n) for _, labels in epoch for n in labels["z"] / 2])
        assert sorted(orders[-1]) == numbers.tolist() != orders[-1]
    assert orders[:2] == orders[2:4] and len({*map(tuple, orders)}) == 4


def test_batches_of_keras_have_an_order_for_each_epoch():
    data = Batches()
    order = KnownOrder(data, shuffled=True)
    order.begin(seed=3, epoch=0)
    epochs = []
    for _ in range(3):
        order.on_epoch_begin()
        epochs.append([float(order[i][0].sum()) for i in range(5)])
        order.on_epoch_end()
    indices = [data.read[5 * i : 5 * i + 5] for i in range(3)]
    assert all(sorted(numbers) == [0, 1, 2, 3, 4] for numbers in indices)
    assert len({*map(tuple, indices)}) == 3
    later = KnownOrder(Batches(), shuffled=True)
    later.begin(seed=3, epoch=2)
    assert [float(later[i][0].sum()) for i in range(5)] == epochs[2]
    other = KnownOrder(Batches(), shuffled=True)
    other.begin(seed=4, epoch=0)
    assert [float(other[i][0].sum()) for i in range(5)] != epochs[0]

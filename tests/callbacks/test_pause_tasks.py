"""A paused task changes nothing but its own metrics, and its tower stays as it is."""

import keras
import numpy as np
import pytest
import watched_problem as problem

import keras_mtl as mtl
from keras_mtl import callbacks
from keras_mtl._keras_internals import slots_of
from keras_mtl.callbacks._watching._pauses import Pauses
from keras_mtl.callbacks._watching._watched_metrics import read_metrics

A = [0.60, 0.66, 0.70, 0.69, 0.71, 0.70, 0.70, 0.70, 0.70]
B = [1.0, 0.8, 0.7, 0.72, 0.73, 0.74, 0.75, 0.76, 0.77]


def make_tasks():
    return [
        mtl.Task.regression("price", metrics=["mae"], weight=keras.Variable(0.5)),
        mtl.Task.binary("click", weight=keras.Variable(2.0)),
        mtl.Task.regression("age", metrics=["mae"]),
    ]


def make(door, tasks, joint=False):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((5,))
    hidden = keras.layers.Dense(8, activation="relu", name="shared")(inputs)
    towers = [hidden] * len(tasks)
    if joint:
        towers = mtl.layers.Towers((4,), name="joint")(towers)
    outputs = {}
    for task, features in zip(tasks, towers, strict=True):
        features = keras.layers.BatchNormalization(name=f"{task.name}_norm")(features)
        outputs[task.name] = task.head(features, name=task.name)
    network = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.AdamW(0.05, weight_decay=0.1, amsgrad=True)
    if door == "plain":
        network.compile(optimizer, **mtl.compile_args(tasks))
        return network
    model = mtl.BalancedModel(network, tasks, mtl.balancers.PCGrad())
    model.compile(optimizer)
    return model


LABELS = {**problem.Y, "age": problem.X[:, 3] + 1}
TRAIN = problem.X[:64], {name: labels[:64] for name, labels in LABELS.items()}
VALIDATION = problem.X[64:], {name: labels[64:] for name, labels in LABELS.items()}
FIT = {"batch_size": 16, "shuffle": False, "verbose": 0, "validation_data": VALIDATION}


class Tell(keras.callbacks.Callback):
    """Replaces the metric of one task, so that it stalls and falls when the test says so."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["val_price_mae"] = self.values[epoch]


class Watch(keras.callbacks.Callback):
    """Remembers everything after each step."""

    def on_train_begin(self, logs=None):
        self.states = []

    def on_train_batch_end(self, batch, logs=None):
        optimizer = self.model.optimizer
        state = {v.path: np.array(v.value) for v in self.model.weights}
        for variable in self.model.trainable_variables:
            for i, slot in enumerate(slots_of(optimizer, variable)):
                state[f"{variable.path}/slot {i}"] = np.array(slot.value)
        self.states.append(state)


def of_price(path):
    return "price" in path


def assert_equal(some, expected, paths, **tolerance):
    assert paths
    for path in paths:
        np.testing.assert_allclose(some[path], expected[path], err_msg=path, **tolerance)


@pytest.mark.parametrize("door", ["plain", pytest.param("balanced", marks=pytest.mark.slow)])
def test_a_paused_task_is_absent_and_its_tower_rests_until_it_is_woken(door):
    tasks = make_tasks()
    model, watch = make(door, tasks), Watch()
    pause = callbacks.PauseTasks(tasks, patience={"price": 1}, tolerance=0.5)
    values = [1.0, 2.0, 2.4, 2.6, 0.1]  # paused after epoch 1, woken after epoch 3
    history = model.fit(*TRAIN, **FIT, epochs=5, callbacks=[Tell(values), pause, watch]).history
    assert history["price_paused"] == [0, 1, 1, 0, 0]
    states = watch.states[3::4]  # after each epoch of 4 steps
    tower = [path for path in states[0] if of_price(path)]
    # Kernel, bias, scale and shift with 3 slots of AdamW with amsgrad each; moving statistics.
    assert len(tower) == 4 * 4 + 2
    for state in watch.states[8:16]:
        assert_equal(state, watch.states[7], tower, rtol=0)
    assert any(not np.array_equal(states[4][path], states[3][path]) for path in tower)
    assert [float(task.weight) for task in tasks] == [0.5, 2.0, 1.0]

    # By another road: the labels of the task are missing from epoch 2 on.
    tasks = make_tasks()
    model, absent = make(door, tasks), Watch()
    model.fit(*TRAIN, **FIT, epochs=2)
    missing = {task.name: np.full(64, task.name != "price", "float32") for task in tasks}
    model.fit(*TRAIN, **FIT, initial_epoch=2, epochs=4, sample_weight=missing, callbacks=[absent])
    rest = [
        p for p in states[0] if not of_price(p) and not p.startswith(("balanced_model/", "pc_grad"))
    ]
    for state, expected in zip(watch.states[8:16], absent.states, strict=True):
        assert_equal(state, expected, rest, rtol=1e-6, atol=1e-7)
    # Without anything put back, the tower would have moved.
    assert any(not np.array_equal(absent.states[-1][p], states[1][p]) for p in tower)


@pytest.mark.slow
def test_a_tower_inside_of_a_joint_layer_rests():
    tasks = make_tasks()
    model, watch = make("balanced", tasks, joint=True), Watch()
    pause = callbacks.PauseTasks(tasks, patience={"price": 1})
    model.fit(*TRAIN, **FIT, epochs=4, callbacks=[Tell([1.0, 2.0, 2.0, 2.0]), pause, watch])
    joint = [path for path in watch.states[0] if path.startswith("joint/")]
    assert len(joint) == 8
    for path in joint:
        before, after = watch.states[7][path], watch.states[15][path]
        np.testing.assert_array_equal(after[0], before[0], err_msg=path)
        assert not np.array_equal(after[1], before[1])
        assert not np.array_equal(after[2], before[2])


def test_golden_curves_pause_and_wake():
    tasks = [mtl.Task.binary("a", metrics=["auc"]), mtl.Task.regression("b", metrics=["mae"])]
    metrics = read_metrics(tasks, None, 0.0, None)

    def paused(a, b, tolerance=(), patience=(("a", 3), ("b", 3))):
        pauses = Pauses(metrics, dict(patience), dict(tolerance))
        states = []
        for values in zip(a, b, strict=True):
            pauses.add(dict(zip("ab", values, strict=True)))
            states.append("".join(sorted(pauses.paused)))
        return states

    assert paused(A, B) == ["", "", "", "", "", "b", "b", "ab", "ab"]
    assert paused(A, B, patience=[("a", 1)]) == ["", "", "", "a", "a", "a", "a", "a", "a"]
    # b is paused at .74, and woken when it is worse than that by more than the tolerance; its
    # patience begins anew.
    assert paused(A, B, [("b", 0.025)]) == ["", "", "", "", "", "b", "b", "ab", "a"]
    assert paused(A, B, [("b", 0.015)]) == ["", "", "", "", "", "b", "b", "a", "a"]
    nan = float("nan")
    assert paused([nan] * 4, [nan, 1.0, nan, nan], [("a", 0.0), ("b", 0.0)]) == ["", "", "a", "a"]


BEST_FIRST = Tell([1.0, 2.0, 2.4, 2.6, 2.6])  # paused after epoch 2, of which epoch 0 was best


def test_a_task_exits_at_its_best_weights():
    tasks = make_tasks()
    model, watch = make("plain", tasks), Watch()
    pause = callbacks.PauseTasks(tasks, patience={"price": 2}, restore_best=True)
    history = model.fit(*TRAIN, **FIT, epochs=4, callbacks=[BEST_FIRST, pause, watch]).history
    assert history["price_paused"] == [0, 0, 1, 1]
    best, before, after = watch.states[3], watch.states[11], watch.states[12]
    tower = [path for path in best if of_price(path)]  # with slots and moving statistics
    assert all(not np.array_equal(before[path], best[path]) for path in tower if "slot 2" in path)
    assert_equal(after, best, tower, rtol=0)
    assert_equal(watch.states[-1], best, tower, rtol=0)
    shared = [path for path in best if path.startswith("shared/")]
    assert any(not np.array_equal(watch.states[-1][path], before[path]) for path in shared)


@pytest.mark.slow
def test_a_run_that_goes_on_exits_at_the_best_weights_of_before(tmp_path):
    def run(name, *spans):
        for first, last in spans:
            tasks = make_tasks()
            model, watch = make("balanced", tasks), Watch()
            file = tmp_path / f"{name}.json"
            pause = callbacks.PauseTasks(
                tasks, patience={"price": 2}, restore_best=True, state_file=file
            )
            backup = keras.callbacks.BackupAndRestore(
                str(tmp_path / name), delete_checkpoint=last == 5
            )
            kept = [BEST_FIRST, pause, watch, backup]
            history = model.fit(*TRAIN, **FIT, epochs=last, callbacks=kept)
            assert history.epoch == list(range(first, last))
        return watch.states[-1]

    expected = run("whole", (0, 5))
    of_layers = [p for p in expected if not p.startswith(("balanced_model", "pc_grad"))]
    assert_equal(run("resumed", (0, 2), (2, 5)), expected, of_layers, rtol=0)
    (tmp_path / "resumed.towers.npz").unlink()
    pause = callbacks.PauseTasks(
        tasks := make_tasks(),
        patience={"price": 2},
        restore_best=True,
        state_file=tmp_path / "resumed.json",
    )
    pause.set_model(make("plain", tasks))
    pause.on_train_begin()
    with pytest.warns(UserWarning, match=r"best epochs of .'price'. are not known"):
        pause.on_epoch_begin(2)


@pytest.mark.slow
def test_a_run_that_goes_on_pauses_the_same_tasks(tmp_path):
    def run(name, *spans):
        for first, last in spans:
            tasks = make_tasks()
            model, watch = make("balanced", tasks), Watch()
            pause = callbacks.PauseTasks(
                tasks, patience={"price": 1}, state_file=tmp_path / f"{name}.json"
            )
            backup = keras.callbacks.BackupAndRestore(
                str(tmp_path / name), delete_checkpoint=last == 5
            )
            told = Tell([1.0, 2.0, 2.0, 2.0, 2.0])
            history = model.fit(*TRAIN, **FIT, epochs=last, callbacks=[told, pause, watch, backup])
            assert history.epoch == list(range(first, last))
        return history.history["price_paused"], watch.states[-1]

    whole, expected = run("whole", (0, 5))
    resumed, state = run("resumed", (0, 3), (3, 5))
    assert (whole, resumed) == ([0, 1, 1, 1, 1], [1, 1])
    of_layers = [p for p in state if not p.startswith(("balanced_model", "pc_grad"))]
    assert_equal(state, expected, of_layers, rtol=0)


@pytest.mark.slow
def test_training_stops_when_all_tasks_are_paused():
    tasks = make_tasks()[:2]
    model = make("plain", tasks)
    pause = callbacks.PauseTasks(tasks, patience=1, min_delta=99.0)
    x, y = problem.X, {task.name: LABELS[task.name] for task in tasks}
    fit = {"epochs": 5, "validation_data": (x, y), "callbacks": [pause], "verbose": 0}
    history = model.fit(x, y, **fit)
    assert history.epoch == [0, 1]
    assert history.history["click_paused"] == history.history["price_paused"] == [0, 1]
    assert [float(task.weight) for task in tasks] == [0.5, 2.0]


def test_what_does_not_fit_is_refused():
    tasks = make_tasks()
    for arguments, message in (
        ({}, "task 'age': its weight is 1.0, which cannot become 0"),
        ({"patience": {"price": 0}}, "task 'price': patience is 0"),
        ({"patience": {"wage": 2}}, "patience names .'wage'., which are no tasks"),
        ({"patience": {"price": 2}, "tolerance": -1}, "task 'price': tolerance is -1"),
    ):
        with pytest.raises(ValueError, match=message):
            callbacks.PauseTasks(tasks, **arguments)
    nothing = mtl.Task.regression("price", weight=keras.Variable(0.0))
    with pytest.raises(ValueError, match="task 'price': its weight is 0, so that"):
        callbacks.PauseTasks([nothing])
    pause = callbacks.PauseTasks(make_tasks(), patience={"price": 2})
    for door in ("plain", "balanced"):
        pause.set_model(make(door, tasks))
        with pytest.raises(ValueError, match="task 'price': the model does not read its weight"):
            pause.on_train_begin()

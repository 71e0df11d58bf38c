"""A trial that diverged is never the best; it fails, with its number and the reason."""

import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_search import build, warned

import keras_mtl as mtl
from keras_mtl.tuning import search_task_weights
from keras_mtl.tuning._result import read_result
from keras_mtl.tuning._space import Space

TASKS = [
    mtl.Task.regression("z"),
    mtl.Task.binary("a", metrics=["accuracy"]),
    mtl.Task.regression("m"),
]
RATES = {"nan": math.nan, "huge": 1e15}


def rows(seed):
    """Makes rows whose binary label is 0, so that the accuracy of NaN predictions is 1."""
    x = np.random.default_rng(seed).normal(size=(16, 3)).astype("float32")
    y = {"z": x[:, 0], "a": np.zeros(16), "m": x[:, 1]}
    return x, y


def search(tasks, build, objective, **arguments):
    """Runs a search of two trials of a grid: the first one diverges if `build` wants so."""
    sets = []
    for seed in (0, 1):
        x, y = rows(seed)
        labels = {task.name: y[task.name] for task in tasks}
        sets.append(tf.data.Dataset.from_tensor_slices((x, labels)).batch(8))
    arguments = {"tuner": "grid", "max_trials": 2, "epochs": 2, **arguments}
    return search_task_weights(build, tasks, *sets, objective=objective, **arguments)


def diverging(door, kind="nan"):
    """Returns a function that builds a network which diverges in the first of two trials."""

    def build(tasks, hp):
        rate = RATES[kind] if hp.Choice("rate", ["bad", "good"]) == "bad" else 0.01
        network = mtl.architectures.hard_sharing(
            keras.Input((3,)), tasks, shared=(4,), tower=(), activation="tanh"
        )
        if kind == "huge":
            network = mtl.architectures.hard_sharing(keras.Input((3,)), tasks, shared=(16,))
        if door == "plain":
            arguments = mtl.compile_args(tasks)
            network.compile(keras.optimizers.SGD(rate), run_eagerly=True, **arguments)
            return network
        model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
        model.compile(keras.optimizers.SGD(rate), run_eagerly=True)
        return model

    return build


def objective_of(name, tasks):
    """Returns an objective and the baselines that it needs, as arguments of a search."""
    if name == "gain":
        baselines = {"z": 0.5, "a": {"accuracy": 0.5}, "m": 0.5}
        baselines = {task.name: baselines[task.name] for task in tasks}
        return {"objective": "mean_relative_gain", "baselines": baselines}
    task = tasks[1] if name == "accuracy" and len(tasks) > 1 else tasks[0]
    return {"objective": mtl.monitor(task, name)}


TABLE = [
    # The door, the number of tasks, the objective, and how the trial diverges.
    ("plain", 3, "gain", "huge"),
    ("plain", 1, "accuracy", "nan"),
    ("balanced", 3, "loss", "nan"),
]
MORE = [
    (door, num_tasks, objective, kind)
    for door in ("plain", "balanced")
    for num_tasks in (1, 3)
    for objective in ("loss", "mae", "accuracy", "gain")
    for kind in ("nan", "huge")
    # One binary task saturates at a huge rate, and its loss is finite: an honest result.
    if not (num_tasks == 1 and objective == "accuracy" and kind == "huge")
]


@pytest.mark.parametrize(
    ("door", "num_tasks", "objective", "kind"),
    [*TABLE, *(pytest.param(*row, marks=pytest.mark.slow) for row in MORE if row not in TABLE)],
)
def test_a_diverged_trial_is_never_the_best(door, num_tasks, objective, kind):
    tasks = TASKS[:num_tasks]
    if num_tasks == 1 and objective == "accuracy":
        tasks = TASKS[1:2]
    with warned(r"1 of 2 trials of the search failed.*Trial 0: epoch "):
        result = search(tasks, diverging(door, kind), **objective_of(objective, tasks))
    best, failed = result.trials
    assert result.tuner.get_best_hyperparameters()[0].get("rate") == "good"
    assert (best.number, best.reason) == (1, None) and math.isfinite(result.score)
    assert (failed.number, failed.score) == (0, None)
    assert failed.reason.startswith("epoch ")


class ChangeLogs(keras.callbacks.Callback):
    """Writes other values of the objective into the logs, epoch by epoch."""

    def __init__(self, *values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["val_a_accuracy"] = self.values[epoch]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_one_epoch_that_is_not_finite_fails_the_trial(value):
    objective = mtl.monitor(TASKS[1], "accuracy")
    with pytest.raises(
        RuntimeError, match=rf"all 2 failed\. Trial 0: epoch 2: val_a_accuracy is {value}. Trial 1"
    ):
        search(TASKS[1:], build, objective, callbacks=[ChangeLogs(0.5, value)])


@keras.saving.register_keras_serializable(package="test_diverged_trials")
class Nothing(keras.metrics.Metric):
    """Has no value, as a metric that divides 0 by 0."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts nothing."""

    def result(self):
        """Returns NaN."""
        return keras.ops.convert_to_tensor(math.nan)


def test_a_callback_cannot_make_a_number_of_an_objective_that_is_none():
    class Hide(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_z_nothing"] = 1.0

    task = mtl.Task("z", head=TASKS[0].head, loss="mse", metrics=[Nothing(name="nothing")])
    objective = mtl.monitor(task, "nothing", mode="max")
    with pytest.raises(RuntimeError, match="Trial 0: epoch 1: val_z_nothing is nan"):
        search([task], build, objective, callbacks=[Hide()])


@pytest.mark.parametrize("direction", ["min", "max"])
def test_an_infinite_score_that_keras_tuner_kept_is_a_failed_trial(direction):
    space = Space(("a", "z"), 100.0)
    values = {"task_weights/axis_0": 0.5}
    scores = {"0": math.inf, "1": 0.5, "2": -math.inf}
    trials = [
        SimpleNamespace(
            trial_id=number,
            status="COMPLETED",
            score=score,
            message=None,
            hyperparameters=SimpleNamespace(values=values),
        )
        for number, score in scores.items()
    ]
    trials.sort(key=lambda trial: trial.score, reverse=direction == "max")
    oracle = SimpleNamespace(trials=scores, get_best_trials=lambda count: trials[:count])
    with warned(r"2 of 3 .* Trial 0: the score is inf\. Trial 2: the score is -inf\."):
        result = read_result(SimpleNamespace(oracle=oracle), TASKS[:2], space)
    assert (result.score, result.trials[0].number) == (0.5, 1)


class Spoil(keras.callbacks.Callback):
    """Makes a variable NaN after the second epoch, and hides that from the logs."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            variable = self.model.trainable_variables[0]
            variable.assign(keras.ops.full_like(variable, math.nan))
            logs["val_a_accuracy"] = 1.0


def test_a_network_that_is_not_finite_fails_whatever_the_logs_say():
    objective = mtl.monitor(TASKS[1], "accuracy")
    with pytest.raises(RuntimeError, match=r"epoch 2: the variable \S+/kernel is not finite"):
        search(TASKS, build, objective, epochs=3, callbacks=[Spoil()])


class Inflate(keras.callbacks.Callback):
    """Makes predictions whose squared error overflows, and logs the best loss there can be."""

    def on_epoch_end(self, epoch, logs=None):
        for variable in self.model.trainable_variables:
            variable.assign(keras.ops.full_like(variable, 1e25))
        logs["val_z_mean_loss"] = 0.0


def test_a_loss_that_is_not_finite_fails_whatever_the_logs_say():
    objective = mtl.monitor(TASKS[0], "loss")
    with pytest.raises(
        RuntimeError, match="epoch 1: the loss of task 'z' on a validation batch is inf"
    ):
        search(TASKS, build, objective, callbacks=[Inflate()])


class HideLosses(keras.callbacks.Callback):
    """Logs the best losses there can be."""

    def on_epoch_end(self, epoch, logs=None):
        logs.update({name: 0.0 for name in logs if name.endswith("loss")})


@pytest.mark.parametrize("tasks", [TASKS, TASKS[:1]], ids=len)
def test_a_loss_on_a_later_validation_batch_fails_whatever_callbacks_log(tasks):
    x, y = rows(0)
    y = {task.name: y[task.name] for task in tasks}
    train = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
    # The square of the error overflows in the second batch, and the absolute error does not.
    far = {**y, "z": np.where(np.arange(16) < 8, y["z"], 1e25).astype("float32")}
    validation = tf.data.Dataset.from_tensor_slices((x, far)).batch(8)
    with pytest.raises(RuntimeError, match=r"epoch 1: val_(z_mean_|z_)?loss is inf"):
        search_task_weights(
            build,
            tasks,
            train,
            validation,
            objective=mtl.monitor(tasks[0], "mae"),
            tuner="random",
            max_trials=2,
            callbacks=[HideLosses()],
        )


def test_diverged_trials_in_a_row_do_not_stop_the_search():
    counts = []

    def late(tasks):
        counts.append(1)
        network = build(tasks)
        # The first call is Keras Tuner's look at the hyper-parameters.
        if len(counts) <= 5:
            network.compile(
                keras.optimizers.SGD(math.nan), run_eagerly=True, **mtl.compile_args(tasks)
            )
        return network

    with warned("4 of 5 trials of the search failed"):
        result = search(TASKS[:2], late, mtl.monitor(TASKS[0], "mae"), max_trials=5, epochs=1)
    assert [trial.number for trial in result.trials] == [4, 0, 1, 2, 3]


def test_the_trial_after_a_diverged_one_begins_with_the_same_initial_values():
    initial = []

    def recording(tasks):
        network = build(tasks)
        initial.append(network.get_weights()[0])
        if len(initial) == 2:  # the first training; the call before it is Keras Tuner's look
            variable = network.trainable_variables[0]
            variable.assign(keras.ops.full_like(variable, math.nan))
        return network

    with warned("1 of 2 trials of the search failed"):
        search(TASKS[:2], recording, mtl.monitor(TASKS[0], "mae"), epochs=1, executions_per_trial=2)
    _, diverged, first, second = initial
    np.testing.assert_array_equal(first, diverged)
    assert not np.array_equal(second, first)


def test_three_errors_in_a_row_stop_the_search():
    counts = []

    def broken(tasks):
        counts.append(1)
        if len(counts) > 2:
            raise ArithmeticError("the disk\nis full")
        return build(tasks)

    with pytest.raises(RuntimeError, match=r"3 trials in a row .* was ArithmeticError: the disk"):
        search(TASKS[:2], broken, mtl.monitor(TASKS[0], "mae"), max_trials=9, tuner="random")
    assert len(counts) == 5


def test_the_checks_leave_the_training_as_it_is():
    class Noise(keras.layers.Layer):
        """Draws at inference, too, so that one more call would change later draws."""

        def __init__(self):
            super().__init__()
            self.seed = keras.random.SeedGenerator(3)
            self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, inputs):
            self.calls.assign_add(1.0)
            return inputs + keras.random.normal(keras.ops.shape(inputs), seed=self.seed)

    def noisy(tasks):
        x = keras.Input((3,))
        h = Noise()(keras.layers.BatchNormalization()(x))
        network = keras.Model(x, {task.name: task.output(h) for task in tasks})
        network.compile("sgd", run_eagerly=True, **mtl.compile_args(tasks))
        return network

    class Remember(keras.callbacks.Callback):
        last = None

        def on_train_end(self, logs=None):
            Remember.last = [variable.numpy() for variable in self.model.variables]

        def __deepcopy__(self, memo):
            return self

    only = TASKS[:1]
    search(only, noisy, mtl.monitor(TASKS[0], "mae"), callbacks=[Remember()])
    keras.utils.set_random_seed(0)
    network = noisy([mtl.Task.regression("z")])
    network.optimizer.build(network.trainable_variables)
    sets = []
    for seed in (0, 1):
        x, y = rows(seed)
        sets.append(tf.data.Dataset.from_tensor_slices((x, {"z": y["z"]})).batch(8))
    network.fit(sets[0], validation_data=sets[1], epochs=2, verbose=0, shuffle=False)
    for expected, seen in zip(network.variables, Remember.last, strict=True):
        np.testing.assert_array_equal(seen, expected.numpy())

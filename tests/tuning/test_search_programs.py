"""Programs that users bring to the search: exact, or refused with a sentence before training."""

import functools
import json

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from small_search import TASKS, build, search, warned

import keras_mtl as mtl
from keras_mtl.tuning import search_task_weights


def shared(tasks):
    """Builds a network whose tasks share a layer."""
    return mtl.architectures.hard_sharing(keras.Input((3,)), tasks, shared=(2,), tower=())


def compiled(network, tasks, optimizer="sgd", **changes):
    """Compiles a network; `None` drops an argument of `compile_args`."""
    arguments = {**mtl.compile_args(tasks), **changes}
    arguments = {name: value for name, value in arguments.items() if value is not None}
    network.compile(optimizer, run_eagerly=True, **arguments)
    return network


def balanced(tasks, balancer=mtl.balancers.Equal):
    """Builds and compiles a balanced model."""
    model = mtl.BalancedModel(shared(tasks), tasks, balancer())
    model.compile("sgd", run_eagerly=True)
    return model


OTHER = [mtl.Task.regression("p"), mtl.Task.regression("z")]


@functools.cache
def one_network():
    """Returns the same network at each call."""
    return shared(TASKS)


@functools.cache
def one_optimizer():
    """Returns the same optimizer at each call."""
    return keras.optimizers.SGD()


class HyperModel(keras_tuner.HyperModel):
    """Stands for a program of Keras Tuner's own kind."""

    def build(self, hp):
        """Builds a network; a search never calls it."""


REFUSED = {
    "not compiled": (shared, TypeError, r"must return a compiled keras\.Model: call"),
    "nothing": (lambda tasks: None, TypeError, r"compiled keras\.Model: .*received None"),
    "weights of other tasks": (
        lambda tasks: compiled(shared(tasks), TASKS),
        ValueError,
        r"other task weights, {'z': 1.0, 'a': 1.0, 'm': 1.0}, than .*compile_args\(tasks\)",
    ),
    "weights of other tasks in a balanced model": (
        lambda tasks: balanced(TASKS),
        ValueError,
        r"other task weights, .* to BalancedModel\(network, tasks, balancer\)",
    ),
    "another weight in a list": (
        lambda tasks: compiled(
            keras.Model(x := keras.Input((3,)), [task.output(x) for task in tasks]),
            tasks,
            loss=[task.make_loss() for task in tasks],
            loss_weights=[1.0, 1.0, 2.0],
            weighted_metrics=[task.make_metrics() for task in tasks],
        ),
        ValueError,
        r"other task weights, \[1.0, 1.0, 2.0\]",
    ),
    "no weights": (
        lambda tasks: compiled(shared(tasks), tasks, loss_weights=None),
        ValueError,
        "validation losses to the last digit, so the weights have no effect",
    ),
    "another list of tasks": (
        lambda tasks: compiled(shared(OTHER), OTHER),
        ValueError,
        r"without an output for task 'a', 'm'; its outputs are \['p', 'z'\].*\['z', 'a', 'm'\]",
    ),
    "fewer outputs": (
        lambda tasks: balanced(tasks[:2]),
        ValueError,
        "without an output for task 'm'",
    ),
    "one network for all trials": (
        lambda tasks: compiled(one_network(), tasks),
        ValueError,
        "shares 'shared_body_0/kernel' with that of its last call",
    ),
    "one optimizer for all trials": (
        lambda tasks: compiled(shared(tasks), tasks, one_optimizer()),
        ValueError,
        "shares 'SGD' with that of its last call",
    ),
    "only hp": (lambda hp: None, TypeError, r"build\(tasks, hp\); it takes \['hp'\]"),
    "hp first": (lambda hp, tasks: None, TypeError, r"it takes \['hp', 'tasks'\]"),
    "hp by keyword": (lambda tasks, *, hp: None, TypeError, r"it takes \['tasks', 'hp'\]"),
    "a hypermodel": (HyperModel(), TypeError, "build must be a function of tasks"),
}


@pytest.mark.parametrize(("program", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_a_program_that_cannot_be_searched_is_refused(program, error, message):
    with pytest.raises(error, match=message):
        search(build=program)


def numpy_weights(tasks):
    """Compiles with weights of NumPy."""
    weights = {task.name: np.float32(task.weight) for task in tasks}
    return compiled(build(tasks), tasks, loss_weights=weights)


def variable_weights(tasks):
    """Compiles with weights that are variables."""
    weights = {task.name: keras.Variable(task.weight) for task in tasks}
    return compiled(build(tasks), tasks, loss_weights=weights)


def list_outputs(tasks):
    """Builds a network with a list of outputs."""
    x = keras.Input((3,))
    return compiled(keras.Model(x, [task.output(x) for task in tasks]), tasks)


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Keeps the learning rate, and has no config, as a class of a user's."""

    def __call__(self, step):
        return 0.01


def own_schedule(tasks):
    """Compiles with an optimizer that cannot be saved."""
    return compiled(build(tasks), tasks, keras.optimizers.SGD(Schedule()))


class Subclassed(keras.Model):
    """Holds the network of `build`, whose outputs Keras cannot know before it is called."""

    def __init__(self, tasks):
        super().__init__()
        self.network = build(tasks)

    def call(self, inputs):
        return self.network(inputs)


SAME = {
    "NumPy weights": numpy_weights,
    "variables as weights": variable_weights,
    "a list of outputs": list_outputs,
    "a schedule without config": own_schedule,
    "a subclass of keras.Model": lambda tasks: compiled(Subclassed(tasks), tasks),
    "a partial function": functools.partial(lambda tasks, width: build(tasks), width=3),
}


@pytest.fixture(scope="module")
def expected():
    """Returns the trials of the plain program."""
    return search(TASKS[:2], max_trials=1).trials


@pytest.mark.parametrize("program", SAME.values(), ids=SAME)
def test_programs_that_are_written_otherwise_have_the_same_trials(program, expected):
    tasks = [mtl.Task.regression("z", weight=np.float32(2)), TASKS[1]]
    for trial, reference in zip(search(tasks, program, max_trials=1).trials, expected, strict=True):
        assert trial.weights == reference.weights
        assert trial.score == pytest.approx(reference.score, rel=1e-6)


def test_frozen_layers_may_be_shared_by_all_trials():
    frozen = keras.layers.Dense(2)
    frozen.build((None, 3))
    frozen.trainable = False

    def over_frozen(tasks):
        x = keras.Input((3,))
        h = frozen(x)
        return compiled(keras.Model(x, {task.name: task.output(h) for task in tasks}), tasks)

    kernel = frozen.kernel.numpy()
    assert len(search(TASKS[:2], over_frozen).trials) == 2
    np.testing.assert_array_equal(frozen.kernel, kernel)


@pytest.mark.parametrize(
    "door",
    [balanced, pytest.param(lambda tasks: compiled(shared(tasks), tasks), marks=pytest.mark.slow)],
)
@pytest.mark.slow
def test_a_task_with_columns_has_one_weight(door):
    tasks = [mtl.Task.multilabel("tox", columns=["b", "a"]), mtl.Task.regression("m")]

    def rows(seed):
        x = np.random.default_rng(seed).normal(size=(16, 3)).astype("float32")
        y = {"tox": (x[:, :2] > 0).astype("float32"), "m": x[:, 2]}
        return tf.data.Dataset.from_tensor_slices((x, y)).batch(16)

    result = search_task_weights(
        door,
        tasks,
        rows(0),
        rows(1),
        objective=mtl.monitor(tasks[0], "loss"),
        tuner="random",
        max_trials=1,
    )
    assert set(result.weights) == {"tox", "m"}
    # The objective is the loss of the network as it was trained, computed by NumPy.
    network = result.tuner.get_best_models()[0]
    ((x, y),) = rows(1)
    p = np.asarray(network(x)["tox"], "float64")
    t = y["tox"].numpy()
    reference = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    assert result.score == pytest.approx(reference, rel=1e-5)


def test_a_trial_that_the_user_fails_is_reported_with_the_reason():
    def oversized(tasks, hp):
        if hp.Choice("units", [2, 4]) == 4:
            raise keras_tuner.errors.FailedTrialError("4 units are too many")
        return build(tasks)

    with warned(r"1 of 2 trials of the search failed.*Trial 1: 4 units are too many\."):
        result = search(TASKS[:1], oversized, tuner="grid", max_trials=2)
    assert [trial.reason for trial in result.trials] == [None, "4 units are too many"]


def test_numbers_of_numpy_are_numbers(tmp_path):
    arguments = {"max_trials": 2, "epochs": 1, "seed": 1, "executions_per_trial": 1}
    numbers = {name: np.int64(value) for name, value in arguments.items()}
    weights = search(TASKS[:2], ratio=np.float32(50), directory=tmp_path, **numbers).weights
    assert weights == search(TASKS[:2], ratio=50, **arguments).weights


def test_callbacks_may_be_one_callback_or_none():
    class Count(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            counts.append(1)

    counts = []
    search(TASKS[:1], callbacks=Count())
    search(TASKS[:1], callbacks=None)
    assert counts == [1]


def test_a_directory_of_another_search_is_refused(tmp_path):
    tasks = TASKS[:1]
    search(tasks, directory=tmp_path / "a")
    with pytest.raises(ValueError, match="holds another search, whose seed was 0 and now is 1"):
        search(tasks, directory=tmp_path / "a", seed=1)
    with pytest.raises(ValueError, match=r"holds another search, whose space was .*'ratio': 100"):
        search(tasks, directory=tmp_path / "a", ratio=10)
    mae = mtl.Task("z", head=tasks[0].head, loss="mae", metrics=["mae"])
    with pytest.raises(ValueError, match=r"whose losses was .*MeanSquaredError"):
        search([mae], directory=tmp_path / "a")
    (tmp_path / "b" / "trials").mkdir(parents=True)
    with pytest.raises(ValueError, match="holds trials of another program"):
        search(tasks, directory=tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "search.json").write_text('{"tuner": "ran')
    with pytest.raises(ValueError, match=r"search.json' cannot be read \(Unterminated"):
        search(tasks, directory=tmp_path / "c")
    assert len(search(tasks, directory=tmp_path / "c", overwrite=True).trials) == 1
    assert json.loads((tmp_path / "c" / "search.json").read_text())["seed"] == 0


def test_tasks_in_another_order_resume_the_same_search(tmp_path):
    objective = mtl.monitor(TASKS[0], "mae")
    first = search(TASKS[:2], directory=tmp_path, objective=objective)
    again = search(TASKS[1::-1], directory=tmp_path, objective=objective)
    assert again.trials == first.trials

"""Defaults that balancers take from the tasks, and the warning of a task with all the weight."""

import math
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl._tasks import describe_loss
from keras_mtl.balancers import CRMOGM, MGDA, Uncertainty, UncertaintySoftmax
from keras_mtl.balancers._base._dominance import dominant_task

ROWS = 8


def tasks():
    return [
        mtl.Task.regression("r"),
        mtl.Task.multiclass("c", 4),
        mtl.Task.binary("b", metrics=[]),
    ]


def model_of(balancer, some_tasks=None, **arguments):
    """Builds a model whose first predictions are 0, one half, or equal for all classes."""
    some_tasks = some_tasks or tasks()
    x = keras.Input((2,))
    shared = keras.layers.Dense(3, name="shared")(x)
    outputs = {}
    for task in some_tasks:
        flat = keras.layers.Dense(2, kernel_initializer="zeros", name=f"{task.name}_flat")(shared)
        outputs[task.name] = task.output(flat)
    model = mtl.BalancedModel(keras.Model(x, outputs), some_tasks, balancer, **arguments)
    model.compile(keras.optimizers.SGD(0.0))
    return model


X = np.ones((ROWS, 2), "float32")
Y = {"r": np.full(ROWS, 0.5), "c": np.arange(ROWS) % 4, "b": np.arange(ROWS) % 2.0}


TASKS = {
    "binary": (mtl.Task.binary("t"), False, math.log(2)),
    "weighted": (mtl.Task.binary("t", weight=0.25), False, 0.25 * math.log(2)),
    "weight of zero": (mtl.Task.binary("t", weight=0.0), False, None),
    "variable": (mtl.Task.binary("t", weight=keras.Variable(3.0)), False, 3 * math.log(2)),
    "multilabel": (mtl.Task.multilabel("t", 5), False, math.log(2)),
    "multiclass": (mtl.Task.multiclass("t", 10), False, math.log(10)),
    "one-hot": (mtl.Task.multiclass("t", 10, labels="one_hot"), False, math.log(10)),
    "focal": (mtl.Task.multiclass("t", 10, loss="focal"), False, None),
    "tagging": (mtl.Task.tagging("t", 17), False, math.log(17)),
    "segmentation": (mtl.Task.segmentation("t", 6), False, math.log(6)),
    "regression": (mtl.Task.regression("t"), True, 1.0),
    "standard": (mtl.Task.regression("t", scale="standard"), True, 1.0),
    "between 0 and 1": (mtl.Task.regression("t", scale="minmax"), True, None),
    "two numbers": (mtl.Task.regression("t", units=2), True, 1.0),
    "absolute error": (mtl.Task.regression("t", loss="mean_absolute_error"), True, None),
    "count": (mtl.Task.count("t"), True, None),
    "function": (mtl.Task("t", head=mtl.Head(1), loss=lambda y, p: abs(y - p)), True, None),
    "columns": (
        mtl.Task("t", head=mtl.Head(2, "sigmoid"), loss="binary_crossentropy", columns=["u", "v"]),
        False,
        math.log(2),
    ),
}


@pytest.mark.parametrize("name", TASKS)
def test_a_task_says_whether_it_is_a_regression_and_which_loss_to_expect(name):
    task, regression, typical = TASKS[name]
    traits = describe_loss(task)
    assert traits.regression is regression
    if typical is None:
        assert traits.typical is None
    else:
        assert math.isclose(traits.typical, typical, rel_tol=1e-12)


def test_a_function_of_a_user_is_not_taken_for_one_of_keras_of_the_same_name():
    def mean_squared_error(labels, predictions):
        return 100.0 * (labels - predictions) ** 2

    task = mtl.Task("t", head=mtl.Head(1), loss=mean_squared_error)
    assert describe_loss(task).typical is None


def test_uncertainty_takes_the_form_of_each_task():
    model = model_of(Uncertainty())
    model.train_on_batch(X, Y)
    # At s = 0 the weights are 1/2 for a regression, and 1 for a classification.
    assert model.task_weights == {"r": 0.5, "c": 1.0, "b": 1.0}


def test_uncertainty_takes_one_form_for_all_columns_of_a_task():
    task = mtl.Task(
        "d", head=mtl.Head(2, "sigmoid"), loss="binary_crossentropy", columns=["u", "v"]
    )
    model = model_of(Uncertainty(), [mtl.Task.regression("r"), task])
    model.train_on_batch(X, {"r": Y["r"], "d": np.ones((ROWS, 2))})
    assert model.task_weights == {"r": 0.5, "d/u": 1.0, "d/v": 1.0}


@pytest.mark.parametrize(
    ("regression", "expected"),
    [
        (True, {"r": 0.5, "c": 0.5, "b": 0.5}),
        (False, {"r": 1.0, "c": 1.0, "b": 1.0}),
        ({"b": True, "r": False, "c": True}, {"r": 1.0, "c": 0.5, "b": 0.5}),
    ],
)
def test_what_the_user_says_of_the_forms_wins(regression, expected):
    model = model_of(Uncertainty(regression=regression))
    model.train_on_batch(X, Y)
    assert model.task_weights == expected


def test_without_tasks_the_defaults_are_those_of_the_papers():
    balancer = Uncertainty()
    assert float(balancer.scalarize([2.0, 3.0])) == 2.5
    assert UncertaintySoftmax().temperature == 1.0


def softmax_weights(losses, temperature):
    powers = np.exp(1 / (np.asarray(losses, "float64") * temperature))
    return powers / powers.sum()


def test_the_temperature_is_the_mean_inverse_loss_of_a_prediction_that_knows_nothing():
    model = model_of(UncertaintySoftmax())
    temperature = (1.0 + 1 / math.log(4) + 1 / math.log(2)) / 3
    assert math.isclose(temperature, 1.0546809, rel_tol=1e-7)
    assert math.isclose(model.balancer.temperature, temperature, rel_tol=1e-12)
    model.train_on_batch(X, Y)
    expected = softmax_weights([0.25, math.log(4), math.log(2)], temperature)
    np.testing.assert_allclose([model.task_weights[n] for n in "rcb"], expected, rtol=1e-5)


def test_the_temperature_follows_the_scale_of_the_losses():
    scaled = [
        mtl.Task.binary("u", weight=1e-3),
        mtl.Task.binary("v", weight=1e-3),
        mtl.Task.count("unknown"),
    ]
    balancer = UncertaintySoftmax()
    balancer.read_tasks([describe_loss(task) for task in scaled])
    assert math.isclose(balancer.temperature, 1e3 / math.log(2), rel_tol=1e-12)
    balancer.read_tasks([describe_loss(scaled[2])])
    assert balancer.temperature == 1.0


def test_a_temperature_of_the_user_wins_and_no_temperature_stays_none_in_the_configuration():
    model = model_of(UncertaintySoftmax(temperature=7.0))
    assert model.balancer.temperature == model.balancer.get_config()["temperature"] == 7.0
    assert UncertaintySoftmax.from_config(UncertaintySoftmax().get_config()).temperature == 1.0
    assert Uncertainty.from_config(Uncertainty().get_config()).get_config()["regression"] is None


@pytest.mark.parametrize(
    "balancer",
    [Uncertainty(), pytest.param(UncertaintySoftmax(), marks=pytest.mark.slow)],
    ids=lambda b: b.name,
)
def test_a_loaded_model_weighs_as_the_saved_one(balancer, tmp_path):
    model = model_of(balancer)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    alone = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(balancer))
    for copy in (loaded.balancer, alone):
        assert copy.traits == model.balancer.traits
    model.train_on_batch(X, Y)
    loaded.train_on_batch(X, Y)
    assert loaded.task_weights == model.task_weights
    assert model.task_weights["r"] != 1.0


def test_a_wrapped_balancer_is_told_of_the_tasks_too():
    model = model_of(CRMOGM(MGDA()))
    assert model.balancer.balancer.traits == model.balancer.traits
    assert [traits.regression for traits in model.balancer.traits] == [True, False, False]


def logs_of(**weights):
    """Returns logs; a weight in a pair stands beside a loss, which is else 0.5."""
    logs = {}
    for name, weight in weights.items():
        logs[f"{name}_weight"], logs[f"{name}_loss"] = (
            weight if isinstance(weight, tuple) else (weight, 0.5)
        )
    return logs


@pytest.mark.parametrize(
    ("names", "logs", "expected"),
    [
        ("abc", logs_of(a=0.991, b=0.004, c=0.005), ("a", 0.991)),
        ("abc", logs_of(a=0.989, b=0.005, c=0.006), None),
        ("abc", logs_of(a=1.0, b=300.0, c=1.0), ("b", 300 / 302)),
        ("ab", logs_of(a=0.0, b=1.0), ("b", 1.0)),  # a weight that has become 0
        ("ab", logs_of(a=(0.0, 0.0), b=1.0), None),  # no labels for a
        ("ab", logs_of(a=(0.0, math.nan), b=1.0), None),  # no finite step for a
        ("ab", logs_of(a=(1.0, 0.0), b=(0.0, 0.5)), ("a", 1.0)),  # a is solved
        ("a", logs_of(a=1.0), None),
        ("ab", {"loss": 1.0}, None),
        (("d/u", "d/v", "a"), logs_of(d=0.4, a=0.001), ("d", 0.8 / 0.801)),
        (("d/u", "d/v"), logs_of(d=0.5), None),
    ],
)
def test_the_dominant_task_is_found_in_the_logs(names, logs, expected):
    dominant = dominant_task(tuple(names), logs)
    assert dominant == expected if expected is None else dominant[0] == expected[0]
    if expected:
        assert math.isclose(dominant[1], expected[1], rel_tol=1e-9)


@pytest.mark.parametrize(
    ("balancer", "cure"),
    [(UncertaintySoftmax(), "raise the temperature (it is 1.05)"), (Uncertainty(), "revised=True")],
    ids=["UncertaintySoftmax", "Uncertainty"],
)
def test_a_task_that_holds_all_the_weight_for_an_epoch_is_warned_of_once(balancer, cure):
    model = model_of(balancer)
    if isinstance(balancer, Uncertainty):
        model.balancer.log_variance.variable.assign([-12.0, 0.0, 0.0])
    y = {**Y, "r": np.full(ROWS, 1e-3)}  # a loss of 1e-6
    with warnings.catch_warnings(record=True, action="always") as caught:
        model.fit(X, y, epochs=3, verbose=0)
        model.fit(X, y, verbose=0)
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 1
    assert "the task 'r' has held 100.0% of the task weight for an epoch" in messages[0]
    assert cure in messages[0]


@pytest.mark.parametrize(
    "balancer",
    [UncertaintySoftmax(), pytest.param(Uncertainty(), marks=pytest.mark.slow)],
    ids=lambda b: b.name,
)
def test_balanced_tasks_and_a_task_that_is_alone_are_not_warned_of(balancer):
    model = model_of(balancer)
    model.fit(X, Y, verbose=0)
    absent = {name: np.zeros(ROWS) for name in "cb"}
    weights = {"r": np.ones(ROWS), **absent}
    model.fit(tf.data.Dataset.from_tensors((X, Y, weights)), verbose=0)

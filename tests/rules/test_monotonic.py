"""Outputs that never fall along a column: slopes by hand, and what training makes of them."""

import re

import keras
import numpy as np
import pytest

import keras_mtl as mtl
from keras_mtl import Task, rules

TASKS = [Task.multilabel("m", columns=["p", "q"], metrics=()), Task.regression("n")]
X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
LABELS = {"m": np.zeros((8, 2), "float32"), "n": np.zeros(8, "float32")}


def small_network(inputs=None):
    inputs = keras.Input((3,)) if inputs is None else inputs
    return mtl.architectures.hard_sharing(inputs, TASKS, shared=(5,), tower=())


def fit(network, rule, rate=0.0, epochs=1, x=X):
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.Equal(), prepare=rule)
    model.compile(keras.optimizers.Adam(rate))
    return model.fit(x, LABELS, batch_size=8, epochs=epochs, verbose=0).history


def moved(column, step):
    x = X.copy()
    x[:, column] += step
    return x


def test_the_penalty_is_the_slope_in_the_wrong_direction_and_training_turns_it():
    keras.utils.set_random_seed(1)
    network = small_network()
    rule = rules.monotonic(
        "m.q", {2: 1, 0: -1}, step={2: 0.1, 0: 0.5}, strength=50.0, name="credit"
    )
    q = [np.asarray(network(x)["m"])[:, 1] for x in (X, moved(2, 0.1), moved(0, 0.5))]
    wrong = [(q[0] - q[1]) / 0.1, (q[2] - q[0]) / 0.5]
    expected = sum(np.maximum(slope, 0).mean() for slope in wrong)
    broken = ((wrong[0] > 1e-6) | (wrong[1] > 1e-6)).mean()
    plain = np.square(np.asarray(network(X)["n"])).mean()
    assert expected > 0 and broken > 0
    # The rate is so small that the first step is that of the network as it is.
    logs = fit(network, rule, rate=0.01, epochs=20)
    assert logs["credit_penalty"][0] == pytest.approx(expected, rel=1e-3)
    assert logs["credit_violation"][0] == pytest.approx(broken)
    assert logs["n_loss"][0] == pytest.approx(plain, rel=1e-4)
    assert logs["credit_penalty"][-1] < 0.5 * expected


def test_columns_are_inputs_by_name_or_positions_in_a_named_table():
    inputs = {"t": keras.Input((2,), name="t"), "age": keras.Input((1,), name="age")}
    network = small_network(inputs)
    rule = rules.monotonic("n", {"age": 1, 1: -1}, step=0.5, on="t")
    rule.bind(network, TASKS)
    x, y, w = rule.prepare(None, {"t": X[:, :2], "age": X[:, 2:]}, LABELS, {"n": np.ones(8)}, None)
    np.testing.assert_array_equal(x["t"][:16], np.tile(X[:, :2], (2, 1)))
    np.testing.assert_allclose(x["age"][8:16], X[:, 2:] + 0.5)
    np.testing.assert_allclose(x["t"][16:], X[:, :2] + np.array([0, 0.5]), atol=1e-6)
    np.testing.assert_array_equal(x["age"][16:], X[:, 2:])
    np.testing.assert_array_equal(w["n"], [1] * 8 + [0] * 16)
    assert len(y["m"]) == 24


def test_it_is_saved_with_its_arguments():
    rule = rules.monotonic("n", {"age": 1, 1: -1}, step=0.5, on="t", name="older")
    config = keras.saving.serialize_keras_object(rule)
    loaded = keras.saving.deserialize_keras_object(config)
    assert loaded.signs == {"age": 1, 1: -1} and loaded.steps == {"age": 0.5, 1: 0.5}
    assert keras.saving.serialize_keras_object(loaded) == config


@pytest.mark.parametrize(
    ("output", "columns", "options", "message"),
    [
        ("n", {}, {}, "'r': columns must be a dict from columns to 1"),
        ("n", {0: 2}, {}, "received {0: 2}"),
        ("n", {0: 1}, {"step": 0.0}, "the step of 0 is 0.0"),
        ("n", {0: 1}, {"step": {1: 0.1}}, "step must have the columns [0]"),
        ("n", {3: 1}, {}, "the column 3 is none of an input of the shape (None, 3)"),
        ("n", {"age": 1}, {}, "(a table: columns are positions in it)"),
        ("q", {0: 1}, {}, "'q' is no task of the network"),
        ("m", {0: 1}, {}, "'m' names no entry of task 'm'"),
    ],
)
def test_what_does_not_fit_is_refused(output, columns, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        rules.monotonic(output, columns, **{"step": 0.1, "name": "r", **options}).bind(
            small_network(), TASKS
        )

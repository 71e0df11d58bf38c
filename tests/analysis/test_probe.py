"""Probes: what is known to be in a layer is found, what is not is not."""

import keras
import numpy as np
import pytest

import keras_mtl as mtl
from keras_mtl.analysis import probe
from keras_mtl.architectures import cgc

ROWS = 400
TASKS = [
    mtl.Task.binary("zeta"),
    mtl.Task.regression("age"),
    mtl.Task.multiclass("mid", 3),
]


def make_data():
    draws = np.random.default_rng(0)
    x = draws.normal(size=(ROWS, 4)).astype("float32")
    return x, {
        "zeta": (x[:, 0] > 0).astype("float32"),
        "age": x[:, 1].copy(),
        "mid": np.digitize(x[:, 2], [-0.5, 0.5]),
    }


def build(kept=(0, 1, 2, 3)):
    """Builds a network whose second shared layer sees some of the inputs alone."""
    inputs = keras.Input((4,))
    first = keras.layers.Dense(4, name="first")
    second = keras.layers.Dense(4, name="second")
    features = second(first(inputs))
    network = keras.Model(inputs, {task.name: task.output(features) for task in TASKS})
    first.set_weights([np.eye(4), np.zeros(4)])
    second.set_weights([np.diag([float(i in kept) for i in range(4)]), np.zeros(4)])
    return network


def test_labels_are_found_where_they_are_and_lost_where_they_are_not():
    result = probe(build(kept=(0, 3)), make_data(), TASKS)
    assert result.layers == ("first", "second")
    assert result.measures == {"zeta": "AUC", "age": "R2", "mid": "AUC"}
    assert (result.scores[0] > [0.98, 0.99, 0.75]).all()
    assert result.scores[1, 0] > 0.98
    assert np.abs(result.selectivity[1, 1:]).max() < 0.15
    # Shuffled labels are at the level of chance.
    np.testing.assert_allclose(result.controls[0], [0.5, 0, 0.5], atol=0.1)
    np.testing.assert_array_equal(result.selectivity, result.scores - result.controls)
    lines = str(result).splitlines()
    assert lines[0].split() == ["score", "(selectivity)", "zeta", "AUC", "age", "R2", "mid", "AUC"]
    assert lines[-1] == "from 400 rows, half of them to fit"


def test_a_layer_that_is_larger_than_its_rows_gains_nothing_by_its_size():
    draws = np.random.default_rng(0)
    inputs = keras.Input((60,))
    features = keras.layers.Dense(100, activation="tanh", name="wide")(inputs)
    network = keras.Model(inputs, {task.name: task.output(features) for task in TASKS[:2]})
    y = {"zeta": draws.integers(0, 2, 120), "age": draws.normal(size=120)}
    result = probe(network, (draws.normal(size=(120, 60)), y), TASKS[:2])
    assert np.abs(result.scores[0, 0] - 0.5) < 0.2 and result.scores[0, 1] < 0.1


def test_missing_labels_columns_and_one_hot():
    x, y = make_data()
    tasks = [
        mtl.Task.multilabel("tox", columns=["b", "a"]),
        mtl.Task.multiclass("mid", 3, labels="one_hot"),
        mtl.Task.regression("age"),
    ]
    labels = np.stack([x[:, 0] > 0, x[:, 3] > 0], axis=1).astype("float32")
    labels[::2, 0] = np.nan
    y = {"tox": labels, "mid": np.eye(3)[y["mid"]], "age": np.where(x[:, 0] > 0, y["age"], np.nan)}
    inputs = keras.Input((4,))
    layer = keras.layers.Dense(4, name="first")
    features = layer(inputs)
    network = keras.Model(inputs, {task.name: task.output(features) for task in tasks})
    layer.set_weights([np.eye(4), np.zeros(4)])
    result = probe(network, (x, y), tasks)
    assert (result.scores > [0.97, 0.75, 0.97]).all() and not result.missing
    few = {**y, "age": np.full(ROWS, np.nan)}
    result = probe(network, (x, few), tasks)
    assert np.isnan(result.scores[0, 2]) and "too few labels" in result.missing["age"]
    assert "age: has too few labels" in str(result)


def test_tagging_is_left_out_with_a_reason():
    inputs = keras.Input((5, 3))
    features = keras.layers.Dense(4, name="first")(inputs)
    mean = keras.layers.GlobalAveragePooling1D()(features)
    tasks = [mtl.Task.tagging("pos", 2), mtl.Task.regression("age")]
    network = keras.Model(inputs, {"pos": tasks[0].output(features), "age": tasks[1].output(mean)})
    x = np.random.default_rng(0).normal(size=(100, 5, 3))
    y = {"pos": (x[..., 0] > 0).astype(int), "age": x.mean(axis=(1, 2))}
    result = probe(network, (x, y), tasks)
    assert "positions" in result.missing["pos"] and result.scores[0, 1] > 0.99


def test_the_order_of_tasks_chosen_layers_and_models():
    network, data = build(), make_data()
    before = probe(network, data, TASKS)
    after = probe(network, data, TASKS[::-1])
    np.testing.assert_allclose(after.scores, before.scores[:, ::-1], atol=1e-6)
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.Equal())
    part = probe(model, data, TASKS, layers=["second"], max_rows=150)
    assert part.layers == ("second",) and part.rows == 150
    one = probe(network, (data[0], {"age": data[1]["age"]}), TASKS[1:2])
    assert one.layers == ("first", "second")
    np.testing.assert_allclose(one.scores[:, 0], before.scores[:, 1], atol=1e-6)
    experts = probe(cgc(keras.Input((4,)), TASKS, expert=(4,)), data, TASKS)
    assert experts.layers == ("shared_experts",)


def test_errors():
    with pytest.raises(ValueError, match="layers name 'b'; expected layers of the tasks"):
        probe(build(), make_data(), TASKS, layers=["b"])
    inputs = keras.Input((4,))
    apart = keras.Model(inputs, {task.name: task.output(inputs) for task in TASKS})
    with pytest.raises(ValueError, match="share no layer with variables"):
        probe(apart, make_data(), TASKS)
    with pytest.raises(ValueError, match="task 'mid': labels go from 0 to 4"):
        x, y = make_data()
        probe(build(), (x, {**y, "mid": 2 * y["mid"]}), TASKS)

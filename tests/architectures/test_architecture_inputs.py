"""The inputs of builders."""

import keras
import numpy as np
import pytest

from keras_mtl import Task, architectures

TASKS = [Task.binary("zeta"), Task.regression("alpha")]


def build(inputs, tasks=TASKS, **arguments):
    return architectures.hard_sharing(inputs, tasks, **{"shared": (4,), "tower": ()} | arguments)


def raw_columns():
    return {
        "wage": np.array([[1.0], [2.0], [30.0]], "float32"),
        "city": np.array([["Ulm"], ["Bern"], ["?"]]),
        "age": np.array([[30.0], [41.0], [52.0]], "float32"),
    }


def preprocess():
    """Builds a model from raw columns to features, with preprocessing layers."""
    city = keras.Input((1,), name="city", dtype="string")
    wage, age = keras.Input((1,), name="wage"), keras.Input((1,), name="age")
    cities = keras.layers.StringLookup(vocabulary=["Bern", "Ulm"], output_mode="one_hot")(city)
    scaled = keras.layers.Normalization(mean=40.0, variance=100.0)(age)
    features = keras.layers.Concatenate()([scaled, wage, cities])
    return keras.Model({"wage": wage, "city": city, "age": age}, features)


def expected_features():
    columns = raw_columns()
    cities = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]])
    return np.concatenate([(columns["age"] - 40) / 10, columns["wage"], cities], -1)


@pytest.mark.parametrize("called", [False, True], ids=["output", "called"])
def test_a_network_over_a_preprocessing_model_takes_the_raw_columns(called, tmp_path):
    model = preprocess()
    if called:
        inputs = {key: keras.Input((1,), name=key, dtype=t.dtype) for key, t in model.input.items()}
    network = build(model(inputs) if called else model.output)
    assert set(network.input) == {"wage", "city", "age"}
    outputs = network({key: keras.ops.convert_to_tensor(v) for key, v in raw_columns().items()})
    body, head = network.get_layer("shared_body_0"), network.get_layer("alpha_logits")
    hidden = np.maximum(expected_features() @ np.asarray(body.kernel), 0)
    np.testing.assert_allclose(outputs["alpha"], hidden @ np.asarray(head.kernel), rtol=1e-4)


def test_a_network_over_a_preprocessing_model_reloads():
    network = build(preprocess().output)
    again = keras.Model.from_config(network.get_config())
    again.set_weights(network.get_weights())
    columns = {key: keras.ops.convert_to_tensor(value) for key, value in raw_columns().items()}
    np.testing.assert_array_equal(network(columns)["zeta"], again(columns)["zeta"])


def test_a_dict_of_inputs_is_joined_in_its_own_order():
    inputs = {
        "wage": keras.Input((2,), name="wage"),
        "age": keras.Input((), name="age"),
        "image": keras.Input((2, 2), name="image"),
    }
    network = build(inputs)
    rng = np.random.default_rng(0)
    columns = {
        key: rng.normal(size=(3, *tensor.shape[1:])).astype("float32")
        for key, tensor in inputs.items()
    }
    features = np.concatenate([value.reshape(3, -1) for value in columns.values()], -1)
    plain = build(keras.Input((7,)))
    plain.set_weights(network.get_weights())
    np.testing.assert_allclose(network(columns)["alpha"], plain(features)["alpha"], rtol=1e-6)


def test_a_dict_of_one_input_is_fed_with_a_dict():
    network = build({"wage": keras.Input((2,), name="wage")})
    assert set(network.input) == {"wage"}
    assert network({"wage": np.ones((3, 2))})["zeta"].shape == (3, 1)


def test_a_single_input_is_fed_with_an_array():
    inputs = keras.Input((2,))
    network = build(inputs)
    assert network.input is inputs
    assert build(keras.Input(()))(np.ones(3))["zeta"].shape == (3, 1)


def test_a_deep_preprocessing_graph_is_walked_once_per_node():
    inputs = x = keras.Input((2,))
    for _ in range(60):  # 2^60 paths
        x = keras.layers.Add()([x, x])
    assert build(x).input is inputs


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (lambda: [keras.Input((2,))], TypeError, "a keras.Input, a dict of them, or the output"),
        (lambda: np.ones((3, 2)), TypeError, "a keras.Input, a dict of them, or the output"),
        (preprocess, TypeError, r"model \(model.output\)"),
        (lambda: keras.KerasTensor((None, 2)), TypeError, "a keras.Input"),
        (dict, ValueError, "inputs is an empty dict"),
        (lambda: keras.Input((2,), name="alpha"), ValueError, "task 'alpha': an input has this"),
        (
            lambda: {"age": keras.Input((2,), name="years")},
            ValueError,
            r"inputs\['age'\] is an input named 'years'; write keras.Input\(..., name='age'\)",
        ),
        (
            lambda: {"city": keras.Input((1,), name="city", dtype="string")},
            ValueError,
            r"inputs\['city'\] holds string of shape \(None, 1\).*FeatureSpace",
        ),
        (
            lambda: {"words": keras.Input((None,), name="words")},
            ValueError,
            r"inputs\['words'\] holds float32 of shape \(None, None\)",
        ),
        (lambda: keras.Input((3,), dtype="int32"), ValueError, "shared_body: dense layers take"),
        (lambda: keras.Input((None,)), ValueError, "shared_body: dense layers take floats whose"),
    ],
)
def test_inputs_that_no_network_can_read_are_refused(inputs, error, message):
    with pytest.raises(error, match=message):
        build(inputs())

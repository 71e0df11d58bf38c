"""A served model answers a row with NaN by NaN, or fills the gap; never by a plausible constant."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.export import saved_model

ops, layers = keras.ops, keras.layers
X = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")


def tasks():
    return [mtl.Task.binary("z"), mtl.Task.regression("a")]


def network_on(inputs, z_features, a_features):
    z, a = tasks()
    return keras.Model(inputs, {"z": z.output(z_features), "a": a.output(a_features)})


def hidden(features):
    return layers.Dense(4, "relu")(features)


def serve(network, path, **options):
    return tf.saved_model.load(saved_model(network, tasks(), path / "1", **options)).signatures


def answers(signatures, **inputs):
    """Returns the answers of `serving_default`, which those of single tasks equal."""
    tensors = {name: tf.constant(values) for name, values in inputs.items()}
    together = {name: y.numpy() for name, y in signatures["serving_default"](**tensors).items()}
    for name in ("z", "a"):
        signature = signatures[name]
        names = signature.structured_input_signature[1]
        alone = signature(**{key: tensors[key] for key in names})[name]
        np.testing.assert_array_equal(alone, together[name])
    return together


def nan_rows(answer):
    return np.flatnonzero(np.isnan(answer).any(axis=-1)).tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_is_answered_by_nan_and_other_rows_as_ever(tmp_path, value):
    inputs = keras.Input((3,), name="table")
    network = network_on(inputs, hidden(inputs), hidden(inputs))
    expected = network.predict(X, verbose=0)
    broken = X.copy()
    broken[[1, 4], [0, 2]] = value
    answered = answers(serve(network, tmp_path), table=broken)
    for name, answer in answered.items():
        assert nan_rows(answer) == [1, 4]
        right = [0, 2, 3, 5]
        np.testing.assert_allclose(answer[right], expected[name][right], atol=1e-6)


def test_the_network_alone_would_answer_by_a_plausible_constant(tmp_path):
    inputs = keras.Input((3,), name="table")
    network = network_on(inputs, hidden(inputs), hidden(inputs))
    signatures = serve(network, tmp_path, check_inputs=False)
    answer = answers(signatures, table=np.full((1, 3), np.nan, "float32"))
    assert answer["z"] == 0.5 and answer["a"] == 0.0


def test_only_the_tasks_that_read_an_input_are_answered_by_nan(tmp_path):
    inputs = {
        "table": keras.Input((3,), name="table"),
        "image": keras.Input((2, 2, 1), name="image"),
        "city": keras.Input((1,), name="city", dtype="string"),
    }
    codes = layers.StringLookup(vocabulary=["Rome", "Oslo"], output_mode="one_hot")(inputs["city"])
    pixels = layers.Flatten()(inputs["image"])
    of_z = hidden(layers.Concatenate()([inputs["table"], codes]))
    network = network_on(inputs, of_z, hidden(layers.Concatenate()([inputs["table"], pixels])))
    signatures = serve(network, tmp_path)
    assert set(signatures["z"].structured_input_signature[1]) == {"table", "city"}
    images = np.ones((6, 2, 2, 1), "float32")
    images[3, 0, 1] = np.nan
    table = X.copy()
    table[5, 2] = np.nan
    answer = answers(signatures, table=table, image=images, city=np.array([["Rome"]] * 6))
    assert nan_rows(answer["z"]) == [5]
    assert nan_rows(answer["a"]) == [3, 5]


def test_columns_that_a_layer_fills_are_answered(tmp_path):
    inputs = keras.Input((3,), name="table")
    filled = ops.concatenate([ops.nan_to_num(inputs[:, :1]), inputs[:, 1:]], -1)
    network = network_on(inputs, hidden(filled), hidden(filled))
    broken = X.copy()
    broken[1, 0] = broken[4, 2] = np.nan
    zeroed = np.where(np.isnan(broken), np.float32(0), broken)
    answer = answers(serve(network, tmp_path), table=broken)
    assert nan_rows(answer["z"]) == nan_rows(answer["a"]) == [4]
    np.testing.assert_allclose(
        answer["a"][1], network.predict(zeroed, verbose=0)["a"][1], atol=1e-6
    )


def test_an_encoder_of_tables_fills_the_gaps_of_a_request(tmp_path):
    table = {"age": X[:, 0], "rent": np.where(np.arange(6) == 2, np.nan, X[:, 1])}
    encoder = mtl.data.tabular_encoder(table, missing={"rent": "median"})
    network = network_on(encoder.input, hidden(encoder.output), hidden(encoder.output))
    signatures = serve(network, tmp_path)
    rows = {name: np.asarray(column, "float32") for name, column in table.items()}
    answer = answers(signatures, **rows)
    assert nan_rows(answer["z"]) == nan_rows(answer["a"]) == []
    expected = network.predict(rows, verbose=0)
    np.testing.assert_allclose(answer["a"], expected["a"], atol=1e-6)
    rows["age"] = np.full_like(rows["age"], np.nan)
    with pytest.raises(tf.errors.OpError, match="A column of numbers holds NaN"):
        signatures["serving_default"](**{k: tf.constant(v) for k, v in rows.items()})

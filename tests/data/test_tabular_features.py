import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import Task, architectures, compile_args
from keras_mtl.data import embed_columns, tabular_encoder, with_preprocessing
from keras_mtl.export import saved_model

TASKS = [Task.binary("won"), Task.binary("lost")]
RNG = np.random.default_rng(0)
COLUMNS = {
    "town": np.array(["Oslo", "Rome", "Zürich", "Oslo", "Oslo", "Rome", "Oslo"]),
    "gain": RNG.normal(1e4, 300, 7).astype("float32"),
    "sex": np.array(["m", "f", "f", "m", "f", "m", "m"]),
    "age": np.array([30, 40, 50, 60, 20, 25, 35]),
    "same": np.ones(7, "float32"),
}
LABELS = {"won": np.array([0, 1, 0, 1, 1, 0, 1]), "lost": np.array([1, 0, 1, 0, 0, 1, 0])}


# The column "same" is constant, and warned of.
pytestmark = pytest.mark.filterwarnings("ignore:column.s. 'same' hold one value")


@pytest.fixture
def train():
    return tf.data.Dataset.from_tensor_slices((COLUMNS, LABELS)).batch(3)


def rows(**changes):
    return {name: tf.constant(column[:2]) for name, column in (COLUMNS | changes).items()}


def test_numbers_are_standardized_over_all_batches_and_strings_numbered(train):
    encoded = tabular_encoder(train)(
        {name: tf.constant(column) for name, column in COLUMNS.items()}
    )
    numbers = np.stack([COLUMNS[name].astype("float64") for name in ("gain", "age")], axis=1)
    expected = (numbers - numbers.mean(0)) / numbers.std(0)
    np.testing.assert_allclose(encoded[:, :2], expected, atol=2e-4)
    np.testing.assert_allclose(encoded[:, 2], 0, atol=1e-6)
    towns = {"Oslo": 1, "Rome": 2, "Zürich": 3}
    assert encoded[:, 3].numpy().tolist() == [towns[town] for town in COLUMNS["town"]]
    assert encoded[:, 4].numpy().tolist() == [{"f": 5, "m": 6}[sex] for sex in COLUMNS["sex"]]


def test_strings_not_seen_before_take_the_first_place_of_their_column(train):
    encoded = tabular_encoder(train)(rows(town=np.array(["Paris", ""]), sex=np.array(["x", "f"])))
    assert encoded[:, 3:].numpy().tolist() == [[0, 4], [0, 5]]


def test_long_tails_are_compressed_before_they_are_standardized(train):
    encoded = tabular_encoder(train, log=["age"])(
        {name: tf.constant(column) for name, column in COLUMNS.items()}
    )
    logs = np.log1p(COLUMNS["age"])
    np.testing.assert_allclose(encoded[:, 1], (logs - logs.mean()) / logs.std(), atol=1e-4)


def test_one_and_the_same_string_in_two_columns_has_two_embeddings():
    train = tf.data.Dataset.from_tensor_slices({"b": ["x", "y"], "a": ["y", "x"]}).batch(2)
    encoder = tabular_encoder(train)
    model = keras.Model(encoder.inputs, embed_columns(encoder, encoder.output, units=2))
    features = model({"b": tf.constant(["x"]), "a": tf.constant(["x"])}).numpy()
    assert features.shape == (1, 4)
    assert not np.allclose(features[0, :2], features[0, 2:])


def test_embeddings_are_learnt_and_statistics_are_not(train):
    encoder = tabular_encoder(train)
    assert encoder.trainable_variables == []
    network = architectures.hard_sharing(embed_columns(encoder, encoder.output), TASKS)
    network.compile("adam", **compile_args(TASKS))
    (embedding,) = (v for v in network.trainable_variables if "embedding" in v.path)
    before = embedding.numpy()
    network.fit(train, shuffle=False, verbose=0)
    assert not np.allclose(before, embedding.numpy())


def test_a_network_on_raw_columns_and_one_on_encoded_columns_agree(train):
    encoder = tabular_encoder(train)
    raw = architectures.mmoe(embed_columns(encoder, encoder.output), TASKS, num_experts=2)
    encoded = architectures.mmoe(embed_columns(encoder), TASKS, num_experts=2)
    encoded.set_weights(raw.get_weights())
    served = with_preprocessing(encoder, encoded)
    assert list(served.output) == ["won", "lost"]
    pipeline = train.map(lambda columns, labels: encoder(columns))
    for name in ("won", "lost"):
        np.testing.assert_allclose(
            raw.predict(train, verbose=0)[name], served.predict(train, verbose=0)[name], atol=1e-6
        )
        np.testing.assert_allclose(
            encoded.predict(pipeline, verbose=0)[name],
            served.predict(train, verbose=0)[name],
            atol=1e-6,
        )


def test_columns_may_have_an_axis_of_one(train):
    encoder = tabular_encoder(train)
    tall = {name: tf.expand_dims(column, -1) for name, column in rows().items()}
    np.testing.assert_array_equal(encoder(tall), encoder(rows()))


def test_half_precision_leaves_the_columns_exact(train):
    expected = tabular_encoder(train)(rows())
    keras.config.set_dtype_policy("mixed_float16")
    try:
        encoder = tabular_encoder(train)
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(encoder(rows()), expected)


def test_a_saved_file_holds_the_vocabularies(train, tmp_path):
    encoder = tabular_encoder(train, log=["gain"])
    served = with_preprocessing(encoder, architectures.hard_sharing(embed_columns(encoder), TASKS))
    served.save(tmp_path / "served.keras")
    loaded = keras.models.load_model(tmp_path / "served.keras")
    for name, prediction in served(rows()).items():
        np.testing.assert_allclose(loaded(rows())[name], prediction, atol=1e-6)


SERVE = """
import json, sys
import tensorflow as tf
columns = {name: tf.constant(column) for name, column in json.loads(sys.argv[2]).items()}
loaded = tf.saved_model.load(sys.argv[1])
outputs = loaded.serve(columns)
print(json.dumps({name: output.numpy().tolist() for name, output in outputs.items()}))
"""


def test_a_saved_model_takes_strings_where_only_tensorflow_is_there(train, tmp_path):
    encoder = tabular_encoder(train)
    served = with_preprocessing(encoder, architectures.hard_sharing(embed_columns(encoder), TASKS))
    served.export(tmp_path / "served", verbose=False)
    columns = {name: column[:2].tolist() for name, column in COLUMNS.items()}
    columns["age"] = [float(age) for age in columns["age"]]
    command = [sys.executable, "-c", SERVE, str(tmp_path / "served"), json.dumps(columns)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for name, prediction in json.loads(output).items():
        np.testing.assert_allclose(served(rows())[name], prediction, atol=1e-5)


def test_tables_of_numbers_or_of_strings_alone_will_do():
    numbers = tf.data.Dataset.from_tensor_slices({"b": [1.0, 3.0], "a": [1, 2]}).batch(1)
    assert embed_columns(tabular_encoder(numbers)).shape == (None, 2)
    texts = tf.data.Dataset.from_tensor_slices({"b": ["x", "y"]}).batch(1)
    assert embed_columns(tabular_encoder(texts), units=3).shape == (None, 3)


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"age": [1.0, np.nan]}, ValueError, "column 'age' holds NaN"),
        ({"pixels": np.ones((2, 3))}, ValueError, r"column 'pixels' has shape \(None, 3\)"),
        ([1.0, 2.0], TypeError, "expected a dataset of a dict of columns"),
    ],
)
def test_columns_that_are_none_are_refused(columns, error, message):
    with pytest.raises(error, match=message):
        tabular_encoder(tf.data.Dataset.from_tensor_slices(columns).batch(2))


def test_unknown_columns_to_compress_are_refused(train):
    with pytest.raises(ValueError, match=r"log names \['town'\]; the columns of numbers are"):
        tabular_encoder(train, log=["town", "age"])


def test_data_without_rows_or_without_end_are_refused(train):
    with pytest.raises(ValueError, match="the dataset is empty"):
        tabular_encoder(train.take(0))
    with pytest.raises(ValueError, match="the dataset is infinite"):
        tabular_encoder(train.repeat())


def test_a_network_on_other_features_is_refused(train):
    network = architectures.hard_sharing(keras.Input((4,)), TASKS)
    with pytest.raises(ValueError, match=r"the network takes .*\(None, 4\).* but"):
        with_preprocessing(tabular_encoder(train), network)


def test_a_feature_space_with_crosses_hashes_and_buckets_is_served(tmp_path):
    kind = keras.utils.FeatureSpace
    features = {
        "age": kind.float_discretized(num_bins=3),
        "town": kind.string_categorical(),
        "sex": kind.string_hashed(num_bins=4),
    }
    space = kind(features, crosses=[kind.cross(("town", "sex"), 8)], output_mode="concat")
    columns = {name: COLUMNS[name] for name in features} | {"age": np.arange(7, dtype="float32")}
    space.adapt(tf.data.Dataset.from_tensor_slices(columns))
    encoder = keras.Model(dict(space.get_inputs()), space.get_encoded_features())
    network = architectures.hard_sharing(keras.Input(encoder.output.shape[1:]), TASKS)
    network.compile("sgd", **compile_args(TASKS))
    batches = tf.data.Dataset.from_tensor_slices((columns, LABELS)).batch(3)
    network.fit(batches.map(lambda x, y: (encoder(x), y)), shuffle=False, verbose=0)
    raw = {name: tf.constant(column[:2, None]) for name, column in columns.items()}
    as_it_comes = keras.Model(space.get_inputs(), space.get_encoded_features())
    served = with_preprocessing(as_it_comes, network)(raw)
    expected = network(space({name: column[:, 0] for name, column in raw.items()}))
    for task in ("won", "lost"):
        assert served[task].shape == (2, 1)
        np.testing.assert_allclose(served[task], expected[task], atol=1e-6)
    path = saved_model(with_preprocessing(encoder, network), TASKS, tmp_path / "1")
    answers = tf.saved_model.load(path).signatures["serving_default"](**raw)
    np.testing.assert_allclose(answers["won"], expected["won"], atol=1e-6)


@pytest.mark.parametrize("name", ["hard_sharing", "mmoe", "ple", "adashare", "ltb", "nddr"])
def test_architectures_stand_on_embedded_columns(train, name):
    features = embed_columns(tabular_encoder(train))
    network = getattr(architectures, name)(features, TASKS)
    assert set(network.output) == {"won", "lost"}

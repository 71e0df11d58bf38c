"""Inputs that are not finite are refused by name, unless the network fills them on purpose."""

import door_cases as door
import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.training._data_checks import DataChecker

ops, layers = keras.ops, keras.layers


def broken(*places, value=np.nan):
    x = door.X.copy()
    for place in places:
        x[place] = value
    return x


NAN = broken((5, 2), (9, 0))


def message_of(enter, *arguments):
    with pytest.raises(ValueError, match="inputs hold NaN or infinite numbers") as caught:
        enter(*arguments)
    return str(caught.value)


@pytest.fixture(scope="module")
def model():
    return door.balanced()


def test_the_input_its_columns_and_the_first_row_are_named(model):
    pd = pytest.importorskip("pandas")
    message = message_of(model.fit, NAN, door.Y)
    assert "the input, column(s) 0, 2 (nan; first in row 5)." in message
    assert "keras.ops.isnan" in message and "check_inputs=False" in message
    frame = pd.DataFrame(NAN, columns=["age", "rooms", "price"])
    assert "column(s) 'age', 'price' (nan; first in row 5)." in message_of(model.fit, frame, door.Y)
    frame = frame.astype({"rooms": "float64", "price": "float64"}).astype({"price": "Float64"})
    assert "'age', 'price' (nan; first" in message_of(
        model.predict, frame[["rooms", "age", "price"]]
    )
    both = NAN + broken((3, 1), value=-np.inf)
    assert "column(s) 0, 1, 2 (nan, -inf; first in row 3)" in message_of(model.fit, both, door.Y)


def joined(inputs):
    return door.heads(inputs, layers.Dense(2)(layers.Concatenate()(keras.tree.flatten(inputs))))


def test_several_inputs_are_named():
    names = [f"column_{k}" for k in range(7)]
    model = door.balanced(joined({name: keras.Input((1,), name=name) for name in names}))
    x = {name: np.full((16, 1), np.nan if name > names[0] else 0.0) for name in names}
    message = message_of(model.fit, x, door.Y)
    assert "numbers: input 'column_1' (nan; first in row 0); input 'column_2'" in message
    assert "input 'column_5' (nan; first in row 0); and 1 more inputs." in message
    model = door.balanced(joined([keras.Input((1,)), keras.Input((1,))]))
    x = [np.zeros((16, 1)), np.full((16, 1), np.inf)]
    assert "numbers: input 1 (inf; first in row 0)." in message_of(model.fit, x, door.Y)


def test_numbers_that_float32_cannot_hold_are_infinite(model):
    x = door.X.astype("float64")
    x[5, 2] = 1e39
    assert "column(s) 2 (inf; first in row 5)" in message_of(model.fit, x, door.Y)
    model.predict(np.full((16, 3), 3e37), verbose=0)  # finite, though their sum is not


def test_sparse_and_ragged_rows_are_named():
    x = keras.Input((3,), sparse=True)
    model = door.balanced(door.heads(x, layers.Dense(4)(x)))
    for matrix in (
        scipy.sparse.coo_matrix(NAN),
        scipy.sparse.csr_array(NAN),
        tf.sparse.from_dense(NAN),
    ):
        assert "the input (nan; first in row 5)" in message_of(model.fit, matrix, door.Y)
    x = keras.Input((None, 1), ragged=True)
    model = door.balanced(door.heads(x, layers.GlobalAveragePooling1D()(x)))
    rows = [[[1.0]], [[2.0], [3.0]], [[4.0], [np.nan]], [[5.0]]] * 4
    ragged = tf.ragged.constant(rows, ragged_rank=1)
    assert "the input (nan; first in row 2)" in message_of(model.fit, ragged, door.Y)


def test_of_a_stream_the_row_of_the_batch_is_named(model):
    batches = door.cut((NAN, door.Y))
    for data in (door.Batches(batches), door.as_dataset(batches)):
        with pytest.raises(ValueError) as caught:
            model.fit(data, shuffle=False, verbose=0)
        message = str(caught.value)
        assert "column(s) 2 (nan; first in row 1 of batch 1)" in message


def test_predictions_are_refused_too(model):
    for enter in (model.predict, model.predict_on_batch):
        assert "first in row 5" in message_of(enter, NAN)
    for data in (
        tf.data.Dataset.from_tensor_slices(NAN).batch(4),
        door.as_dataset(door.cut((NAN, door.Y))),
    ):
        assert "first in row 1 of batch 1" in message_of(model.predict, data)
    message_of(model.predict, door.Batches([(batch[0],) for batch in door.cut((NAN, door.Y))]))
    expected = model.predict(door.X, verbose=0)
    streamed = model.predict(tf.data.Dataset.from_tensor_slices(door.X).batch(4), verbose=0)
    np.testing.assert_allclose(streamed["b"], expected["b"], atol=1e-6)


def test_the_look_at_inputs_can_be_switched_off(tmp_path):
    model = door.balanced(check_inputs=False)
    assert model.predict(NAN, verbose=0)["a"].shape == (16, 1)
    model.predict(tf.data.Dataset.from_tensor_slices(NAN).batch(4), verbose=0)
    with pytest.raises(ValueError, match="task 'a': labels go from"):
        model.fit(NAN, {**door.Y, "a": 2 * door.Y["a"]}, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.predict(NAN, verbose=0)
    loaded.compile("sgd", run_eagerly=True)
    message_of(loaded.predict, NAN)


class Fill(keras.layers.Layer):
    """Fills gaps as a layer of a user does: nothing outside of it tells so."""

    def call(self, x):
        return tf.where(tf.math.is_nan(x), tf.zeros_like(x), x)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


class Hide(keras.layers.Layer):
    """Hides a gap: its ReLU makes 0 of NaN, and the gradient of its kernel is NaN."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(4, "relu")

    def call(self, x):
        return ops.where(ops.isnan(hidden := self.dense(x)), 0.0, hidden)


PATHS = {
    "isnan": (lambda x: ops.where(ops.isnan(x), 0.0, x), True),
    "nan_to_num": (ops.nan_to_num, True),
    "not equal": (lambda x: ops.where(x != x, 0.0, x), True),
    "a layer": (lambda x: Fill()(x), True),
    "flags beside": (
        lambda x: ops.concatenate([ops.cast(ops.isnan(x), "float32"), ops.nan_to_num(x)], -1),
        True,
    ),
    "Dense": (lambda x: layers.Dense(4, "relu")(x), False),
    "ReLU of the input": (ops.relu, False),
    "Discretization": (
        lambda x: layers.Flatten()(layers.Embedding(3, 2)(layers.Discretization([0.0, 1.0])(x))),
        False,
    ),
    "a layer that hides": (lambda x: Hide()(x), False),
    "half of the columns": (
        lambda x: ops.concatenate([ops.nan_to_num(x[:, :1]), x[:, 1:]], -1),
        False,
    ),
}


@pytest.mark.parametrize("path", PATHS)
def test_a_network_that_fills_nan_on_purpose_may_have_it(path):
    fill, filled = PATHS[path]
    x = keras.Input((3,))
    network = door.heads(x, layers.Dense(4, "relu")(fill(x)))
    model = door.balanced(network)
    ways = [
        lambda: model.fit(NAN, door.Y, verbose=0),
        lambda: model.fit(door.as_dataset(door.cut((NAN, door.Y))), verbose=0),
        lambda: model.predict(NAN, verbose=0),
    ]
    for enter in ways:
        if filled:
            enter()
        else:
            message_of(enter)
    if filled:
        assert all(np.isfinite(weights).all() for weights in network.get_weights())


def test_a_network_that_fills_nan_need_not_fill_infinity():
    x = keras.Input((3,))
    filled = ops.where(ops.isnan(x), 0.0, x)
    model = door.balanced(door.heads(x, layers.Dense(4, "relu")(filled)))
    model.predict(NAN, verbose=0)
    message = message_of(model.predict, NAN + broken((1, 1), value=np.inf))
    assert "numbers: the input, column(s) 1 (inf; first in row 1)." in message
    network = door.heads(x, layers.Dense(4, "relu")(ops.clip(filled, -1.0, 1.0)))
    door.balanced(network).fit(broken((1, 1), value=np.inf), door.Y, verbose=0)


def test_columns_are_told_apart():
    x = keras.Input((3,))
    features = ops.concatenate([ops.nan_to_num(x[:, :1]), x[:, 1:]], -1)
    model = door.balanced(door.heads(x, layers.Dense(4, "relu")(features)))
    model.fit(broken((5, 0)), door.Y, verbose=0)
    assert "column(s) 2 (nan; first in row 5)" in message_of(model.fit, broken((5, 2)), door.Y)
    both = message_of(model.fit, broken((5, 0), (6, 2)), door.Y)
    assert "numbers: the input, column(s) 2 (nan; first in row 6)." in both


def test_gaps_that_are_filled_do_not_slow_down_a_stream(monkeypatch):
    looks, look = [], DataChecker._doubt

    def counted(self, number, *batch):
        looks.append(number)
        look(self, number, *batch)

    monkeypatch.setattr(DataChecker, "_doubt", counted)
    x = keras.Input((3,))
    filled = ops.where(ops.isnan(x), 0.0, x)
    model = door.balanced(door.heads(x, layers.Dense(4, "relu")(filled)))
    gaps = broken((0, 0), (5, 2), (9, 0), (15, 1))
    model.fit(door.as_dataset(door.cut((gaps, door.Y))), epochs=2, verbose=0)
    assert looks == [0]  # before training; in the graph, these columns are known to be filled
    infinite = gaps + broken((13, 1), value=np.inf)
    data = door.as_dataset(door.cut((infinite, door.Y)))
    assert "column(s) 1 (nan, inf; first in row 1 of batch 3)" in message_of(
        lambda: model.evaluate(data, verbose=0)
    )


def test_columns_of_a_frame_may_be_called_by_numbers():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(broken((5, 2)), columns=[2019, 2020, 2021])
    assert "column(s) 2021 (nan; first in row 5)" in message_of(door.balanced().fit, frame, door.Y)


def test_the_encoder_of_tables_says_which_columns_it_fills():
    rng = np.random.default_rng(0)
    table = {"age": rng.normal(size=16), "rent": rng.normal(size=16)}
    gaps = {**table, "age": np.where(np.arange(16) == 3, np.nan, table["age"])}
    encoder = mtl.data.tabular_encoder(gaps, missing={"age": "median"})
    network = door.heads(encoder.input, layers.Dense(4, "relu")(encoder.output))
    model = door.balanced(network)
    model.fit(gaps, door.Y, verbose=0)
    wrong = {**table, "rent": gaps["age"]}
    assert "numbers: input 'rent' (nan; first in row 3)" in message_of(model.fit, wrong, door.Y)

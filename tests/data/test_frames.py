"""Data frames, dicts of arrays and datasets: one table, one encoder, whatever the door."""

import datetime
import decimal

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_mtl import Task, architectures, compile_args
from keras_mtl.data import embed_columns, from_table, tabular_encoder, with_preprocessing

NAN = float("nan")
ROWS = 9000  # two chunks of 4096 and a rest
RNG = np.random.default_rng(0)
OPTIONS = {"missing": "median", "categorical": ["ward"], "clip": (0.01, 0.99), "bins": 8}


def make_columns():
    """Returns columns as they are in a dict of arrays; a tenth of the values is missing."""
    gaps = RNG.random((3, ROWS)) < 0.1
    return {
        "age": np.where(gaps[0], NAN, RNG.normal(60.3, 12.1, ROWS)),
        "visits": np.where(gaps[1], NAN, RNG.integers(0, 9, ROWS).astype("float64")),
        "town": np.where(gaps[2], "", RNG.choice(["Oslo", "Zürich", "Rome"], ROWS)),
        "ward": RNG.integers(1, 4, ROWS),
        "smoker": RNG.random(ROWS) < 0.3,
        "dose": RNG.exponential(size=ROWS).astype("float32"),
        "admitted": 19_000 + RNG.integers(0, 700, ROWS) + 0.25,
    }


COLUMNS = make_columns()


def make_frame(columns):
    """Returns the same table as pandas holds it."""
    return pd.DataFrame(
        {
            "age": columns["age"],
            "visits": pd.array(columns["visits"], dtype="Int64"),
            "town": pd.Series(columns["town"]).replace("", None).astype("category"),
            "ward": pd.Series(columns["ward"]).astype("category"),
            "smoker": pd.array(columns["smoker"], dtype="boolean"),
            "dose": columns["dose"],
            "admitted": pd.to_datetime(columns["admitted"], unit="D", utc=True).tz_convert(
                "Asia/Tokyo"
            ),
        }
    )


DOORS = {
    "arrays": lambda: COLUMNS,
    "frame": lambda: make_frame(COLUMNS),
    "batches of 7": lambda: tf.data.Dataset.from_tensor_slices(COLUMNS).batch(7),
    "one batch": lambda: tf.data.Dataset.from_tensors(COLUMNS),
    "batches of (512, 1) with labels": lambda: tf.data.Dataset.from_tensor_slices(
        ({name: column[:, None] for name, column in COLUMNS.items()}, {"won": np.ones(ROWS)})
    ).batch(512),
    "a frame's rows": lambda: from_table(make_frame(COLUMNS), batch_size=100),
    "tensors": lambda: {name: tf.constant(column) for name, column in COLUMNS.items()},
    "lists": lambda: {
        name: [None if value == "" or value != value else value for value in column.tolist()]
        for name, column in COLUMNS.items()
    },
}


@pytest.fixture(scope="module")
def expected():
    encoder = tabular_encoder(COLUMNS, **OPTIONS)
    return encoder, encoder({name: tf.constant(column) for name, column in COLUMNS.items()}).numpy()


@pytest.mark.parametrize("door", DOORS)
def test_one_table_gives_one_encoder_to_the_last_bit(door, expected):
    encoder, encoded = expected
    table = DOORS[door]()
    other = tabular_encoder(table, **OPTIONS)
    ours, theirs = (model.get_layer("standardize").get_config() for model in (encoder, other))
    assert ours == theirs
    assert [layer.name for layer in encoder.inputs] == [layer.name for layer in other.inputs]
    rows = table if isinstance(table, tf.data.Dataset) else from_table(table, batch_size=999)
    batches = [batch[0] if isinstance(batch, tuple) else batch for batch in rows.take(20)]
    answers = np.concatenate([other(batch) for batch in batches])
    np.testing.assert_array_equal(answers, encoded[: len(answers)])


def test_the_numbers_are_those_of_numpy(expected):
    encoder, encoded = expected
    names = [column.name for column in encoder.get_layer("standardize").columns]
    assert names == ["age", "visits", "smoker", "dose", "admitted"]
    for place, name in enumerate(names):
        values = COLUMNS[name].astype("float64")
        clipped = np.clip(values, *np.nanquantile(values, [0.01, 0.99]))
        mean, deviation = np.nanmean(clipped), np.nanstd(clipped)
        filled = np.where(np.isnan(values), np.nanmedian(clipped), clipped)
        np.testing.assert_allclose(
            encoded[:, place], (filled - mean) / deviation, rtol=1e-4, atol=1e-5
        )
    np.testing.assert_array_equal(encoded[:, 5], np.isnan(COLUMNS["age"]))
    np.testing.assert_array_equal(encoded[:, 6], np.isnan(COLUMNS["visits"]))
    words = np.array(["", "Oslo", "Rome", "Zürich"])
    assert (words[encoded[:, 7].astype(int) - 1] == COLUMNS["town"]).all()
    np.testing.assert_array_equal(encoded[:, 8] - 5, COLUMNS["ward"])


def test_moments_of_all_chunks_are_those_of_numpy():
    encoder = tabular_encoder(COLUMNS, missing="mean", categorical=["ward"])
    for column in encoder.get_layer("standardize").columns:
        values = COLUMNS[column.name].astype("float64")
        assert column.mean == pytest.approx(np.nanmean(values), rel=1e-6)
        assert column.deviation == pytest.approx(np.nanstd(values), rel=1e-6)


NOON = datetime.datetime(2020, 1, 2, 12)
DAY = 18263.5  # from 1970-01-01 to that noon
VALUES = {
    "Int64": (pd.array([1, None], dtype="Int64"), [1.0, NAN]),
    "Int64 without gaps": (pd.array([1, 2], dtype="Int64"), [1, 2]),
    "Int8": (pd.array([1, -2], dtype="Int8"), [1, -2]),
    "Float32": (pd.array([0.5, None], dtype="Float32"), [0.5, NAN]),
    "boolean": (pd.array([True, None], dtype="boolean"), [1.0, NAN]),
    "bool": (pd.Series([True, False]), [True, False]),
    "objects with None": (pd.Series([3, None], dtype=object), [3.0, NAN]),
    "objects with NA": (pd.Series([True, pd.NA], dtype=object), [1.0, NAN]),
    "decimals": (pd.Series([decimal.Decimal("0.5"), None]), [0.5, NAN]),
    "nothing": (pd.Series([None, None], dtype=object), [NAN, NAN]),
    "strings": (pd.Series(["a", None]), [b"a", b""]),
    "strings with NaN": (pd.Series(["a", NAN], dtype=object), [b"a", b""]),
    "string dtype": (pd.array(["ä", None], dtype="string"), ["ä".encode(), b""]),
    "strings, all missing": (pd.array([None, None], dtype="string"), [b"", b""]),
    "category": (pd.Series(["b", None], dtype="category"), [b"b", b""]),
    "category of numbers": (pd.Series([4, None], dtype="category"), [4.0, NAN]),
    "bytes": (np.array([b"a", b""]), [b"a", b""]),
    "dates": (pd.Series([NOON, None], dtype="datetime64[ns]"), [DAY, NAN]),
    "dates of a zone": (
        pd.Series([pd.Timestamp(NOON, tz="UTC").tz_convert("America/Lima"), pd.NaT]),
        [DAY, NAN],
    ),
    "dates of NumPy": (np.array(["2020-01-02T12", "NaT"], "datetime64[h]"), [DAY, NAN]),
    "dates of Python": ([NOON, None], [DAY, NAN]),
    "days of Python": ([NOON.date(), None], [DAY - 0.5, NAN]),
    "spans": (pd.Series(pd.to_timedelta([36, None], unit="h")), [1.5, NAN]),
    "a masked array": (np.ma.masked_array([1.5, 2.5], [False, True]), [1.5, NAN]),
    "half precision": (np.array([0.5, NAN], "float16"), [0.5, NAN]),
    "a column of one": (np.array([[1.0], [2.0]]), [1.0, 2.0]),
}


@pytest.mark.parametrize("kind", VALUES)
def test_values_of_every_kind_are_read(kind):
    values, expected = VALUES[kind]
    table = (
        pd.DataFrame({"x": values}) if not isinstance(values, np.ndarray | list) else {"x": values}
    )
    (batch,) = from_table(table, batch_size=2)
    assert batch["x"].dtype != tf.float16
    np.testing.assert_array_equal(batch["x"].numpy(), np.array(expected, batch["x"].numpy().dtype))


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ({"x": ["a", 1, None]}, TypeError, "column 'x' holds int and str; expected numbers, str"),
        ({"x": np.array([1j])}, TypeError, "column 'x' holds complex128"),
        (pd.DataFrame({"x": pd.cut([1, 5], [0, 2, 9])}), TypeError, "column 'x' holds Interval"),
        (pd.DataFrame([[1.0, 2]]), TypeError, "column 0: the names of columns must be strings"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "column 'a' comes twice"),
        ({"x": np.ones((2, 3))}, ValueError, r"column 'x' has shape \(2, 3\)"),
        ({"x": [1, 2], "y": [1]}, ValueError, "columns differ in their numbers of rows"),
        ({"x": [2**60, None]}, ValueError, r"column 'x' has gaps, and whole numbers beyond 2\^53"),
        (pd.DataFrame({"x": []}), ValueError, "is empty; expected at least one row"),
        (pd.DataFrame(), ValueError, "the table"),
        (pd.Series([1.0]), TypeError, "expected a .*data frame"),
        ([1.0], TypeError, "expected a .*data frame"),
    ],
)
def test_tables_that_are_none_are_refused_by_column(table, error, message):
    with pytest.raises(error, match=message):
        tabular_encoder(table)
    with pytest.raises(error, match=message):
        from_table(table)


TASKS = [
    Task.binary("won"),
    Task.multiclass("kind", 3),
    Task.multilabel("assays", columns=["q", "p"]),
    Task.regression("days"),
]
LABELED = pd.DataFrame(
    {
        "age": [1.0, 2, 3],
        "won": pd.array([True, None, False], dtype="boolean"),
        "kind": [2, None, 0],
        "p": [1, 0, None],
        "q": pd.array([None, 1, 1], dtype="Int64"),
        "days": [0.5, None, 2.5],
    }
)


def test_labels_are_taken_out_of_a_frame_and_missing_ones_have_no_weight():
    ((x, y, w),) = from_table(LABELED, TASKS, batch_size=3)
    assert list(x) == ["age"]
    labels = {name: label.numpy().tolist() for name, label in y.items()}
    weights = {name: weight.numpy().tolist() for name, weight in w.items()}
    assert labels == {
        "won": [1, 0, 0],
        "kind": [2, 0, 0],
        "assays": [[0, 1], [1, 0], [1, 0]],
        "days": [0.5, 0, 2.5],
    }
    assert weights == {
        "won": [1, 0, 1],
        "kind": [1, 0, 1],
        "assays": [[0, 1], [1, 1], [1, 0]],
        "days": [1, 0, 1],
    }
    assert y["kind"].dtype == tf.int64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drop": "kind"}, "task 'kind': the table has no column 'kind'; its columns are"),
        ({"drop": "p"}, "task 'assays': the table has no column 'p'"),
        ({"kind": ["a", "b", None]}, "task 'kind': the labels in column 'kind' are strings"),
    ],
)
def test_labels_that_are_not_there_are_refused_by_task(change, message):
    frame = LABELED.drop(columns=change.pop("drop", [])).assign(**change)
    with pytest.raises(ValueError, match=message):
        from_table(frame, TASKS)


def test_a_frame_with_gaps_is_trained_on_and_predicted():
    lost = pd.array(COLUMNS["smoker"], dtype="boolean")
    lost[::5] = None
    frame = make_frame(COLUMNS).assign(won=COLUMNS["ward"] == 2, lost=lost)[:1000]
    tasks = [Task.binary("won"), Task.binary("lost")]
    train = from_table(frame, tasks, batch_size=100)
    encoder = tabular_encoder(train, missing="mean", categorical=["ward"])
    encoded = train.map(lambda x, y, w: (encoder(x), y, w)).cache()
    features = embed_columns(encoder, units=2)
    network = architectures.hard_sharing(features, tasks, shared=(16,), tower=())
    network.compile(keras.optimizers.Adam(0.05), **compile_args(tasks))
    network.fit(encoded, epochs=10, shuffle=False, verbose=0)
    served = with_preprocessing(encoder, network)
    (rows,) = from_table(frame, batch_size=1000, encoder=served)
    answers = served(rows)
    for name, labels in {"won": frame["won"], "lost": COLUMNS["smoker"][:1000]}.items():
        assert np.mean((answers[name].numpy()[:, 0] > 0.5) == labels) > 0.97


def test_a_row_without_any_value_takes_the_paths_of_missing_ones(expected):
    encoder, _ = expected
    frame = pd.DataFrame({name: [None] for name in COLUMNS}, dtype=object)
    frame["age"] = pd.array([None], dtype="string")  # as a file with an empty column is read
    (row,) = from_table(frame, batch_size=1, encoder=encoder)
    assert {name: column.dtype.name for name, column in row.items()} == {
        tensor.name: tensor.dtype for tensor in encoder.inputs
    }
    encoded = encoder(row).numpy()[0]
    medians = {}
    for column in encoder.get_layer("standardize").columns:
        values = COLUMNS[column.name].astype("float64")
        clipped = np.clip(values, *np.nanquantile(values, [0.01, 0.99]))
        medians[column.name] = (np.nanmedian(clipped) - np.nanmean(clipped)) / np.nanstd(clipped)
    np.testing.assert_allclose(encoded[:5], list(medians.values()), rtol=1e-4, atol=1e-5)
    # The flags; then "", which is the first word, and an unknown ward, which is the column's first.
    assert encoded[5:].tolist() == [1, 1, 1, 5]


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ({"age": [1.0]}, ValueError, "the table has no column 'town', which 'tabular_encoder' tak"),
        (
            {"age": ["x"], "town": ["a"]},
            TypeError,
            "'age' holds strings; the training data held num",
        ),
        ({"age": [1], "town": [2]}, TypeError, "'town' holds numbers; the training data held str"),
    ],
)
def test_rows_of_other_columns_are_refused_by_name(table, error, message):
    encoder = tabular_encoder({"age": [1.0, 2], "town": ["a", "b"]})
    with pytest.raises(error, match=message):
        from_table(table, encoder=encoder)
    with pytest.raises(TypeError, match="expected a model of a dict of columns"):
        from_table(table, encoder=keras.Sequential([keras.Input((1,))]))

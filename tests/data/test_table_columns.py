"""Columns as real tables have them: constant, with gaps, huge, tiny, coded, cut off."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.data import embed_columns, tabular_encoder
from keras_mtl.layers import PeriodicEmbedding

NAN = float("nan")
RNG = np.random.default_rng(0)


def encode(train, rows, **options):
    """Returns the encoded rows; tables of one column."""
    with warnings.catch_warnings(action="ignore"):
        encoder = tabular_encoder({"x": train}, **options)
    return encoder({"x": tf.constant(rows)}).numpy()


# What the training data hold, rows to be encoded, and their numbers and flags.
DEGENERATE = {
    "constant": ([1.0, 1, 1], [1.0, 2], {}, [[0.0], [1]]),
    "constant and huge": ([1e30] * 3, [1e30], {}, [[0.0]]),
    "all missing": ([NAN] * 3, [NAN, 3], {"missing": "median"}, [[0.0, 1], [3, 0]]),
    "all missing, by a number": ([NAN] * 3, [NAN, 3], {"missing": 2}, [[2.0, 1], [3, 0]]),
    "one value and gaps": (
        [7, NAN, 7],
        [7.0, NAN, 8],
        {"missing": "mean"},
        [[0, 0], [0, 1], [1, 0]],
    ),
    "one row": ([5.0], [5.0, 6], {}, [[0.0], [1]]),
    "huge": ([-1e30, 1e30], [-1e30, 1e30, 0], {}, [[-1.0], [1], [0]]),
    "one that is huge": ([0.0, 0, 0, 1e30], [0.0, 1e30], {}, [[-(3**-0.5)], [3**0.5]]),
    "the first is huge": ([1e30, 0.0, 0, 0], [0.0, 1e30], {}, [[-(3**-0.5)], [3**0.5]]),
    "tiny": ([1e-30, 3e-30], [1e-30, 2e-30], {}, [[-1.0], [0]]),
    "beyond float32": ([1e60, 3e60], np.array([1e60, 2e60]), {}, [[-1.0], [0]]),
    "below float32": ([1e-60, 3e-60], np.array([1e-60, 2e-60]), {}, [[-1.0], [0]]),
    "whole and beyond 2^24": ([2**24, 2**24 + 2], [2**24 + 1, 2**24], {}, [[0.0], [-1]]),
    "seconds of a day": (1.7e9 + np.array([0, 2.0]), 1.7e9 + np.array([1.0, 4]), {}, [[0.0], [3]]),
    "booleans": ([True, False], [True, False], {}, [[1.0], [-1]]),
    "bytes": (np.array([0, 2], "uint8"), np.array([2], "uint8"), {}, [[1.0]]),
    "far from zero": ([1e6 + 1, 1e6 + 3], [1e6 + 2, 1e6 + 1], {}, [[0.0], [-1]]),
    "negative and compressed": ([-(np.e**2 - 1), np.e**2 - 1], [np.e - 1], {"log": ["x"]}, [[0.5]]),
    "infinite when served": ([0.0, 2], [np.inf, -np.inf, 1], {"clip": 3}, [[3.0], [-3], [0]]),
}


@pytest.mark.parametrize("kind", DEGENERATE)
def test_columns_of_every_kind_are_encoded_to_the_last_digit(kind):
    train, rows, options, expected = DEGENERATE[kind]
    np.testing.assert_allclose(encode(train, rows, **options), expected, rtol=1e-6, atol=1e-7)


CONSTANT = [name for name in DEGENERATE if name.split()[0] in ("constant", "all", "one")]
CONSTANT.remove("one that is huge")


@pytest.mark.parametrize("kind", DEGENERATE)
def test_a_column_without_deviation_is_warned_of_by_name_and_no_other(kind):
    train, _, options, _ = DEGENERATE[kind]
    columns = {"fine": np.arange(len(train)) + 0.0, "x": train}
    with warnings.catch_warnings(record=True, action="always") as caught:
        tabular_encoder(columns, **options)
    messages = [str(warning.message) for warning in caught]
    names = "'fine', 'x'" if kind == "one row" else "'x'"
    assert [f"column(s) {names} hold one value" in message for message in messages] == (
        [True] if kind in CONSTANT else []
    )


@pytest.mark.parametrize(
    ("train", "options", "message"),
    [
        ([1.0, NAN], {}, "column 'x' holds NaN"),
        ([1.0, np.inf], {"missing": "mean"}, "column 'x' holds infinity"),
        ([1.0, -np.inf], {"clip": (0.1, 0.9)}, "column 'x' holds infinity"),
        ([1e200, -1e200], {}, "column 'x' holds numbers whose squares no float64 holds"),
        ([2**60, 2**60 + 9], {}, r"column 'x' holds whole numbers beyond 2\^53"),
        ([1.0, 2.5], {"categorical": ["x"]}, r"'x' is categorical, and 2\.5 is no whole number"),
        ([1.0, np.inf], {"categorical": ["x"]}, "'x' is categorical, and inf is no whole number"),
        ([b"a", b"\xff"], {}, "column 'x' holds a string that is not UTF-8"),
        ([1.0], {"missing": "mode"}, "missing is 'mode'; expected 'median', 'mean' or a number"),
        ([1.0], {"missing": NAN}, "missing is nan; expected a finite number"),
        ([1.0], {"missing": True}, "missing is True; expected a finite number"),
        ([1.0], {"missing": {"y": 0}}, r"missing names \['y'\]; the columns of numbers are"),
        ([1.0], {"missing": {"x": "0"}}, "column 'x': missing is '0'; expected 'median'"),
        (["a"], {"missing": {"x": 0}}, r"missing names \['x'\]; the columns of numbers are \[\]"),
        ([1.0], {"clip": 0}, "clip is 0; expected a finite number > 0"),
        ([1.0], {"clip": (0.9, 0.1)}, "expected a lower and a higher quantile"),
        (
            [1.0],
            {"clip": (0, 2)},
            "clip has the quantile 2; expected a finite number >= 0 and <= 1",
        ),
        ([1.0], {"clip": (0.1,)}, "expected a number of deviations, or two quantiles"),
        (
            [1.0],
            {"categorical": ["ward"]},
            r"categorical names \['ward'\]; the columns are \['x'\]",
        ),
        ([1.0], {"categorical": "x"}, "categorical is one string, 'x'; put it in a list"),
        ([1.0], {"log": "x"}, "log is one string, 'x'; put it in a list"),
        ([1], {"log": ["x"], "categorical": ["x"]}, r"log names \['x'\]; the columns of numbers"),
        ([1.0], {"bins": 1}, "bins is 1; expected a whole number >= 2"),
        ([1.0], {"bins": 2.5}, r"bins is 2\.5; expected a whole number"),
    ],
)
def test_what_cannot_be_encoded_exactly_is_refused_by_name(train, options, message):
    with pytest.raises(ValueError, match=message):
        encode(train, [0.0], **options)


GAPS = RNG.normal(50, 9, 200).astype("float32")
GAPS[::7] = NAN


@pytest.mark.parametrize("missing", ["median", "mean", 3, np.float32(3)])
@pytest.mark.parametrize("options", [{}, {"log": ["x"]}, {"clip": (0.1, 0.9)}, {"clip": 0.5}])
def test_gaps_are_filled_as_numpy_would_and_flagged(missing, options):
    numbers = GAPS.astype("float64")
    if "log" in options:
        numbers = np.log1p(numbers)
    low, high = -np.inf, np.inf
    if options.get("clip") == (0.1, 0.9):
        low, high = np.nanquantile(numbers, [0.1, 0.9])
    numbers = np.clip(numbers, low, high)
    mean, deviation = np.nanmean(numbers), np.nanstd(numbers)
    fill = {"median": np.nanmedian(numbers), "mean": mean}.get(missing)
    if fill is None:
        fill = np.clip(np.log1p(3) if "log" in options else 3, low, high)
    expected = (numbers - mean) / deviation
    if options.get("clip") == 0.5:
        expected = np.clip(expected, -0.5, 0.5)
    expected = np.where(np.isnan(numbers), (fill - mean) / deviation, expected)
    encoded = encode(GAPS, GAPS, missing=missing, **options)
    np.testing.assert_allclose(encoded[:, 0], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(encoded[:, 1], np.isnan(GAPS))


def test_only_columns_with_gaps_have_flags_and_these_stand_behind_the_numbers():
    columns = {
        "a": np.array([1.0, NAN, 3]),
        "town": np.array(["Oslo", "", "Rome"]),
        "b": np.array([1.0, 2, 3]),
        "c": np.array([NAN, NAN, 0.5]),
        "d": np.array([1, 2, 3]),
    }
    with pytest.warns(UserWarning, match="'c' hold one value"):
        encoder = tabular_encoder(columns, missing={"a": 9, "b": "mean", "c": "median"})
    encoded = encoder({name: tf.constant(column) for name, column in columns.items()}).numpy()
    assert encoded.shape == (3, 4 + 2 + 1)
    assert encoded[:, 4:6].tolist() == [[0, 1], [1, 1], [0, 0]]
    assert encoded[:, 6].tolist() == [2, 1, 3]  # "" is the first word
    assert encoded[1, 0] == pytest.approx(9 - 2)
    served = {name: tf.constant(column[:1]) for name, column in columns.items()}
    served["b"] = tf.constant([NAN])
    assert encoder(served).numpy()[0, 1] == 0  # the mean, though no row trained it
    served["d"] = tf.constant([NAN])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"NaN or infinity[^$]*d"):
        encoder(served)


def served_answers(tmp_path, encoder):
    """Yields the ways in which an encoder answers: called, predicting, in a pipeline, served."""
    yield lambda rows: encoder({"x": tf.constant(rows)})
    yield lambda rows: encoder.predict({"x": np.array(rows)}, verbose=0)
    pipeline = lambda rows: tf.data.Dataset.from_tensors({"x": rows}).map(encoder)  # noqa: E731
    yield lambda rows: next(iter(pipeline(rows)))
    encoder.export(tmp_path / "served", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "served")
    yield lambda rows: loaded.serve({"x": tf.constant(rows)})


@pytest.mark.parametrize(
    ("options", "broken", "fine"),
    [
        ({}, [NAN, np.inf], []),
        ({"missing": "mean"}, [np.inf], [NAN]),
        ({"clip": 9}, [NAN], [np.inf]),
    ],
)
def test_a_served_row_without_a_number_is_an_error_or_takes_its_path(
    options, broken, fine, tmp_path
):
    encoder = tabular_encoder({"x": [1.0, 2, 3]}, **options)
    for answer in served_answers(tmp_path, encoder):
        for number in broken:
            with pytest.raises(tf.errors.InvalidArgumentError, match=r"missing=[^$]*x"):
                answer([1.0, number])
        for number in fine:
            assert np.isfinite(answer([1.0, number])).all()
        np.testing.assert_allclose(answer([2.0]), [[0.0]], atol=1e-6)


CODES = {
    "integers": (np.array([7, -1, 7, 2**40]), [7, -1, 2**40, 5], [3 - 1, 1, 3, 0]),
    "floats with gaps": ([7.0, NAN, -1, 7], [7.0, NAN, -1, 5, 7.5, np.inf], [3, 1, 2, 0, 0, 0]),
    "floats without": ([7.0, -1], [7.0, NAN], [2, 0]),
    "large floats with gaps": (
        [2.0**25 + 1, NAN],
        np.array([2.0**25 + 1, 2.0**25, NAN]),
        [2, 0, 1],
    ),
    "booleans": ([True, False], [True, False], [2, 1]),
    "strings": (["b", "a", ""], ["a", "b", "", "c"], [2, 3, 1, 0]),
    "strings like the sign of unknown ones": (["[UNK]", "b"], ["[UNK]", "b", "c"], [1, 2, 0]),
}


@pytest.mark.parametrize("kind", CODES)
def test_codes_and_strings_are_numbered_and_others_are_0(kind, tmp_path):
    train, rows, expected = CODES[kind]
    encoder = tabular_encoder({"x": train}, categorical=["x"])
    assert encoder({"x": tf.constant(rows)}).numpy()[:, 0].tolist() == expected
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.models.load_model(tmp_path / "encoder.keras")
    assert loaded({"x": tf.constant(rows)}).numpy()[:, 0].tolist() == expected


def test_codes_are_embedded_like_strings():
    columns = {"ward": [3, 9, 3], "age": [1.0, NAN, 2], "town": ["a", "b", "a"]}
    encoder = tabular_encoder(columns, categorical=["ward"], missing="median")
    model = keras.Model(encoder.inputs, embed_columns(encoder, encoder.output, units=5))
    features = model({name: tf.constant(column) for name, column in columns.items()}).numpy()
    assert features.shape == (3, 2 + 5 * 2)
    np.testing.assert_array_equal(features[0, 2:], features[2, 2:])
    assert not np.allclose(features[0, 2:7], features[1, 2:7])
    (table,) = (variable for variable in model.weights if "embedding" in variable.path)
    assert table.shape == (1 + 2 + 1 + 2, 5)


def test_more_categories_than_float32_counts_are_refused(monkeypatch):
    monkeypatch.setattr("keras_mtl.data._tabular_encoder._EXACT", 4)
    with pytest.raises(ValueError, match=r"7 entries in all, .* leave out column 'b', which has"):
        tabular_encoder({"a": ["x", "x"], "b": ["u", "v"], "c": [1, 1]}, categorical=["c"])


def test_names_of_columns_need_not_be_names_of_python(tmp_path):
    columns = {"BP (mm Hg)": [1.0, 3], "% of 1": [3.0, 1], "größe": ["a", "b"], "_x": ["c", "d"]}
    encoder = tabular_encoder(columns)
    rows = {name: tf.constant(column) for name, column in columns.items()}
    expected = [[-1, 1, 1, 4], [1, -1, 2, 5]]
    np.testing.assert_allclose(encoder(rows), expected, atol=1e-6)
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.models.load_model(tmp_path / "encoder.keras")
    np.testing.assert_allclose(loaded(rows), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "error"), [("mg/l", ValueError), ("", ValueError), (0, TypeError)]
)
def test_names_that_keras_cannot_take_are_refused(name, error):
    with pytest.raises(error, match=f"column {name!r}:"):
        tabular_encoder({name: [1.0, 2]})


def test_medians_of_more_rows_than_are_kept_are_those_of_a_sample(monkeypatch):
    monkeypatch.setattr("keras_mtl.data._tables._numeric_statistics._SAMPLED_VALUES", 0)
    numbers = RNG.permutation(200_000) + 0.5
    numbers[::3] = NAN
    encoder = tabular_encoder({"x": numbers}, missing="median", bins=4)
    fill = encoder({"x": tf.constant([NAN])}).numpy()[0, 0]
    assert fill == pytest.approx(
        (np.nanmedian(numbers) - np.nanmean(numbers)) / np.nanstd(numbers), abs=0.02
    )
    (layer,) = (layer for layer in encoder.layers if layer.name == "standardize")
    assert len(layer.columns[0].boundaries) == 5


def test_numbers_are_embedded_by_bins_of_the_training_data():
    numbers = RNG.exponential(size=(500, 2))
    numbers[::5, 1] = NAN
    columns = {"a": numbers[:, 0], "b": numbers[:, 1], "same": np.ones(500), "town": ["x"] * 500}
    with warnings.catch_warnings(action="ignore"):
        encoder = tabular_encoder(columns, missing="mean", bins=8)
    features = embed_columns(encoder, encoder.output, units=3, numeric="piecewise")
    model = keras.Model(encoder.inputs, features)
    assert features.shape == (None, 3 * 3 + 1 + 3)
    model.get_layer("shared_piecewise_embedding").bias.assign(RNG.normal(size=(3, 3)))
    encoded = model({name: tf.constant(column) for name, column in columns.items()}).numpy()
    boundaries = np.quantile(columns["a"], np.linspace(0, 1, 9))
    place = np.clip(np.searchsorted(boundaries, columns["a"]) - 1, 0, 7)
    share = np.clip((columns["a"][:, None] - boundaries[:-1]) / np.diff(boundaries), 0, 1)
    assert (share[np.arange(500), place] >= 0).all()
    dense = model.get_layer("shared_piecewise_embedding")
    expected = share @ dense.kernel.numpy()[:, 0] + dense.bias.numpy()[0]
    np.testing.assert_allclose(encoded[:, :3], expected, atol=2e-4)
    np.testing.assert_array_equal(encoded[:, 9], np.isnan(columns["b"]))


def test_values_that_many_rows_share_leave_bins_to_the_others():
    amounts = np.where(RNG.random(2000) < 0.9, 0.0, RNG.exponential(size=2000) + 1)
    amounts[:300] = 5  # more rows than a bin's share, 1 in 8
    encoder = tabular_encoder({"x": amounts, "coin": RNG.integers(0, 2, 2000)}, bins=8)
    column, coin = encoder.get_layer("standardize").columns
    boundaries = np.array(column.boundaries) * column.deviation + column.mean
    assert len(boundaries) == 9 and len(coin.boundaries) == 2
    differing = amounts[(amounts != 0) & (amounts != 5)]
    expected = np.unique([0, 5, *np.quantile(differing, np.linspace(0, 1, 7))])
    np.testing.assert_allclose(boundaries, expected, atol=1e-5)


@pytest.mark.parametrize("numeric", ["piecewise", "periodic", PeriodicEmbedding(4, sigma=1.0)])
def test_embedded_numbers_are_saved_and_learned(numeric, tmp_path):
    columns = {"a": RNG.normal(size=64), "b": RNG.normal(size=64), "town": ["x", "y"] * 32}
    encoder = tabular_encoder(columns, bins=4)
    features = embed_columns(encoder, encoder.output, units=4, numeric=numeric)
    model = keras.Model(encoder.input, keras.layers.Dense(1)(features))
    model.compile("sgd", "mse")
    rows = {name: tf.constant(column) for name, column in columns.items()}
    before = [variable.numpy() for variable in model.trainable_variables]
    model.fit(rows, columns["a"], verbose=0)
    assert all(
        (old != new.numpy()).any()
        for old, new in zip(before, model.trainable_variables, strict=True)
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(rows), model(rows), atol=1e-6)


def test_what_becomes_of_numbers_is_checked():
    encoder = tabular_encoder({"a": [1.0, 2]})
    with pytest.raises(ValueError, match="numeric is 'bins'; expected 'scale', 'piecewise'"):
        embed_columns(encoder, numeric="bins")
    with pytest.raises(ValueError, match="numeric='piecewise' needs the bins of the training data"):
        embed_columns(encoder, numeric="piecewise")
    assert embed_columns(encoder, units=np.int64(3), numeric="periodic").shape == (None, 3)

"""Batches of another dtype than the first: exact, or refused before Keras casts them."""

import door_cases as door
import keras
import numpy as np
import pytest

from keras_mtl.training._data_checks._data_checker import DataChecker

BATCHES = 4


@pytest.fixture(scope="module")
def model():
    return door.balanced()


def data(changed=(), *, change=None):
    """Returns batches of integers, of which some are changed by a function of their parts."""
    x = np.arange(3 * door.ROWS, dtype="int32").reshape(-1, 3) % 5
    y = {"a": door.Y["a"].astype("int32"), "b": x[:, 0].copy()}
    w = {"a": np.ones(door.ROWS, "int64"), "b": np.ones(door.ROWS, "int64")}
    batches = door.cut((x, y, w))
    return [change(*batch) if i in changed else batch for i, batch in enumerate(batches)]


def with_labels(values, dtype):
    def change(x, y, w):
        return x, {**y, "a": np.array(values, dtype)}, w

    return change


CHANGES = {
    "half": (
        with_labels([0, 1, 0.5, 1], "float64"),
        "task 'a': the labels of batch \\d have the dtype float64, and those of the first batch "
        "int32, .* make 0 of 0.5",
    ),
    "missing": (
        with_labels([0, np.nan, 1, 1], "float32"),
        "task 'a': the labels of batch \\d .*nan",
    ),
    "large": (with_labels([0, 1, 1, 2**40], "int64"), "task 'a': the labels .* of 1099511627776"),
    "inputs": (
        lambda x, y, w: (x + 0.25, y, w),
        "the numbers of the input of batch \\d .* float64",
    ),
    "weights": (
        lambda x, y, w: (x, y, {**w, "b": np.full(4, 0.1, "float32")}),
        "task 'b': the weights of batch \\d .* make 0 of 0.1",
    ),
}
WAYS = {
    **{name: way for name, way in door.FITS.items() if "tf.data" not in name},
    "predict PyDataset": lambda model, batches: model.predict(door.Batches(batches), verbose=0),
}
HERE = [("half", way) for way in WAYS if way != "predict PyDataset"]
HERE += [(change, "PyDataset") for change in CHANGES if change != "half"]
HERE += [("inputs", "predict PyDataset"), ("inputs", "generator")]


EVERYDAY = {("half", "generator"), ("large", "PyDataset"), ("inputs", "predict PyDataset")}


@pytest.mark.parametrize(
    ("change", "way", "place"),
    [
        (*row, place) if row in EVERYDAY else pytest.param(*row, place, marks=pytest.mark.slow)
        for row in HERE
        for place in (1, 3)  # Keras looks at two batches, and later at none
    ],
)
def test_a_batch_that_a_cast_would_change_is_refused(model, change, way, place):
    make, message = CHANGES[change]
    with pytest.raises(ValueError, match=message):
        WAYS[way](model, data([place], change=make))


@pytest.mark.parametrize(
    "way",
    [
        "PyDataset in threads",
        *(pytest.param(way, marks=pytest.mark.slow) for way in ("PyDataset", "generator")),
    ],
)
def test_a_batch_of_another_dtype_trains_as_one_of_the_first(way):
    """Takes floats that are whole numbers behind integers, and integers behind floats."""

    def floats(x, y, w):
        return x.astype("float64"), {n: v.astype("float32") for n, v in y.items()}, w

    results = []
    for changed in ((), (1, 3), (0, 2), range(BATCHES)):
        keras.utils.set_random_seed(1)
        model = door.balanced()
        WAYS[way](model, data(changed, change=floats))
        results.append(model.network.get_weights())
    for result in results[1:]:
        for expected, values in zip(results[0], result, strict=True):
            np.testing.assert_allclose(values, expected, atol=1e-6)


def test_plain_keras_trains_on_what_the_cast_made(model):
    """Shows the fault of Keras that the door is there for."""
    seen = []

    class Watch(keras.losses.MeanSquaredError):
        def call(self, y_true, y_pred):
            seen.extend(np.ravel(y_true))
            return super().call(y_true, y_pred)

    x = keras.Input((3,))
    network = keras.Model(x, {"a": keras.layers.Dense(1, name="a")(x)})
    network.compile("sgd", loss={"a": Watch()}, run_eagerly=True)
    batches = data([2], change=CHANGES["half"][0])
    network.fit(door.Batches([(x, {"a": y["a"]}) for x, y, _ in batches]), verbose=0)
    assert 0.5 not in seen and len(seen) >= door.ROWS


def test_the_end_of_the_data_does_not_hide_why_a_batch_was_refused():
    checker = DataChecker.__new__(DataChecker)
    checker._refusal = None
    checker._remember(ValueError("task 'a': the labels of batch 3 are wrong"))
    with pytest.raises(ValueError, match="labels of batch 3"):
        checker._refuse_end()

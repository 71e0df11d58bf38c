"""The check of a stream hands on each batch in which something is wrong, and no other."""

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import Task
from keras_mtl.training._data_checks._checked_stream import checked_stream

TASKS = [
    Task.binary("click"),
    Task.regression("price"),
    Task.multiclass("topic", 3),
    Task.multiclass("color", 3),
]
RIGHT = {
    "click": np.array([0.0, 1.0, 1.0]),
    "price": np.array([-6e4, 0.5, 2.0]),
    "topic": np.array([0, 1, 2]),
    "color": np.array([[2], [0], [1]]),
}
WRONG = {
    "click": [1.5, -0.1, np.nan, np.inf],
    "price": [np.nan, np.inf, -np.inf],
    "topic": [3, -1],
    "color": [3, -1],
}
DTYPES = {
    "click": ["float16", "float32", "float64"],
    "price": ["float16", "float32", "float64"],
    "topic": ["int8", "int32", "int64", "float16", "float32", "float64"],
    "color": ["int64", "float32"],
}


def doubted(batches, filled=None):
    """Returns the numbers of the batches that are handed on, of a dataset that is read whole."""
    numbers = []
    stream = checked_stream(
        batches, TASKS, lambda number, *_: numbers.append(number), labeled=True, filled=filled
    )
    for _ in stream:
        pass
    return numbers


def batches_of(labels):
    """Returns a batch that is right, and one of these labels with the same types."""
    cast = {
        name: values.astype(labels[name].dtype if name in labels else values.dtype)
        for name, values in RIGHT.items()
    }
    parts = [cast, {**cast, **labels}]
    return tf.data.Dataset.from_tensor_slices(
        (
            np.zeros((2, 3, 2), "float32"),
            {name: np.stack([part[name] for part in parts]) for name in RIGHT},
        )
    )


@pytest.mark.parametrize(
    ("name", "dtype"), [(name, dtype) for name, dtypes in DTYPES.items() for dtype in dtypes]
)
def test_a_label_is_doubted_if_it_is_wrong(name, dtype):
    with np.errstate(over="ignore"):
        right = RIGHT[name].astype(dtype)
    is_class = name in ("topic", "color")
    wrong = [*WRONG[name], *([0.5, np.nan] if is_class and dtype.startswith("float") else [])]
    assert doubted(batches_of({name: right})) == []
    for value in wrong:
        labels = right.copy()
        labels.flat[1] = value
        assert doubted(batches_of({name: labels})) == [1], value


def test_inputs_are_doubted_whatever_they_sum_to():
    def stream(**last):
        x = {"a": np.ones((2, 3, 2), "float32"), "b": np.ones((2, 3, 2), "float64")}
        for key, value in last.items():
            x[key][1, 1, 0] = value
        y = {name: np.stack([values, values]) for name, values in RIGHT.items()}
        return tf.data.Dataset.from_tensor_slices((x, y))

    assert doubted(stream(), {}) == []
    for last in ({"a": np.nan}, {"b": np.inf}, {"a": np.inf, "b": -np.inf}, {"b": 1e300}):
        assert doubted(stream(**last), {}) == [1], last
        assert doubted(stream(**last)) == []  # without `filled`, inputs are not looked at
    assert doubted(stream(a=np.nan), {"input 'a'": [0]}) == []
    assert doubted(stream(a=np.nan), {"input 'a'": [1]}) == [1]


@pytest.mark.parametrize("make", ["as it is", "repeat", "unknown"])
def test_batches_and_their_number_stay(make):
    batches = batches_of({})
    stays = {
        "as it is": lambda: batches,
        "repeat": batches.repeat,
        "unknown": lambda: batches.filter(lambda *_: True),
    }[make]()
    stream = checked_stream(stays, TASKS, pytest.fail, labeled=True, filled={})
    assert stream.cardinality() == stays.cardinality()
    assert stream.element_spec == stays.element_spec
    pairs = zip(stays.take(2), stream, strict=False)
    for (x, y), (checked_x, checked_y) in pairs:
        np.testing.assert_array_equal(checked_x, x)
        for name in RIGHT:
            np.testing.assert_array_equal(checked_y[name], y[name])

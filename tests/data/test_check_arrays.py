"""The door of plain Keras: arrays and datasets are checked before `network.fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import Task
from keras_mtl.data import check_arrays, check_dataset, tabular_encoder

TASKS = [Task.binary("click"), Task.regression("price")]
X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
Y = {"click": np.arange(8) % 2, "price": X[:, 0]}


def heads(inputs, features):
    return keras.Model(inputs, {task.name: task.output(features) for task in TASKS})


def dense():
    inputs = keras.Input((3,))
    return heads(inputs, keras.layers.Dense(4, "relu")(inputs))


def with_gap():
    x = X.copy()
    x[5, 2] = np.nan
    return x


def batches(x, y=None):
    return tf.data.Dataset.from_tensor_slices((x, y or Y)).batch(8)


def test_arrays_that_are_right_pass():
    weights = {name: np.ones(8) for name in Y}
    check_arrays(X, Y, None, TASKS)
    check_arrays(X, Y, weights, TASKS, network=dense())
    check_arrays([X, X[:, 0]], Y, weights, TASKS)


@pytest.mark.parametrize(
    ("x", "change", "message"),
    [
        (X, {"click": 2 * Y["click"]}, "task 'click': labels go from 0 to 2"),
        (X, {"price": np.full(8, np.nan)}, "task 'price': a label is NaN"),
        (X, {"price": np.ones(7)}, "task 'price': there are 7 labels for 8 examples"),
        (X, {"cost": np.ones(8)}, "label 'cost' belongs to no task"),
        (X.tolist(), {}, "the inputs hold single numbers"),
        (X[:0], {}, "there are no examples"),
    ],
)
def test_arrays_that_are_wrong_are_refused_by_name(x, change, message):
    with pytest.raises(ValueError, match=message):
        check_arrays(x, {**Y, **change}, None, TASKS)


def test_inputs_are_finite_where_the_network_is_told():
    check_arrays(with_gap(), Y, None, TASKS)
    check_dataset(batches(with_gap()), TASKS)
    with pytest.raises(ValueError, match=r"the input, column\(s\) 2 \(nan; first in row 5\)"):
        check_arrays(with_gap(), Y, None, TASKS, network=dense())
    with pytest.raises(ValueError, match=r"column\(s\) 2 \(nan; first in row 5 of the first batch"):
        check_dataset(batches(with_gap()), TASKS, network=dense())


def test_gaps_that_the_network_fills_pass():
    table = {"age": with_gap()[:, 2], "rent": X[:, 0]}
    encoder = tabular_encoder(table, missing={"age": "median"})
    network = heads(encoder.input, keras.layers.Dense(4)(encoder.output))
    check_arrays(table, Y, None, TASKS, network=network)
    check_dataset(batches(table), TASKS, network=network)
    swapped = {"age": table["rent"], "rent": table["age"]}
    for check, data in ((check_arrays, (swapped, Y, None)), (check_dataset, (batches(swapped),))):
        with pytest.raises(ValueError, match=r"input .rent. \(nan; first in row 5"):
            check(*data, TASKS, network=network)


def test_an_input_that_the_network_has_not_is_refused():
    inputs = {"b": keras.Input((3,), name="b")}
    network = heads(inputs, inputs["b"])
    with pytest.raises(ValueError, match="no input 'a'"):
        check_arrays({"a": X, "b": X}, Y, None, TASKS, network=network)
    with pytest.raises(ValueError, match="no input 'a'"):
        check_dataset(batches({"a": X, "b": X}), TASKS, network=network)

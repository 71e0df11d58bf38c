"""Warm-up requests are of TensorFlow Serving's protocol, and the model answers them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.export import saved_model
from keras_mtl.export._beside import _warm_up
from keras_mtl.export._beside._warm_up import PLACE, make_record

# SerializeToString(deterministic=True) of the PredictionLog of tensorflow-serving-api 2.21.0 with
# these inputs, model "shop" and signature "z".
GOLDEN = bytes.fromhex(
    "32670a650a090a0473686f701a017a121a0a0463697479121208071208120208011202080142044f736c6f121f0a01"
    "6e121a0809120412020802221003000000000000000400000000000000121b0a01781216080112081202080112020802"
    "22080000003f000000c0"
)


def test_a_record_has_the_bytes_that_the_api_of_tensorflow_serving_writes():
    inputs = {
        "x": np.array([[0.5, -2.0]], np.float32),
        "city": np.array([["Oslo"]], object),
        "n": np.array([3, 4]),
    }
    assert make_record("shop", "z", inputs) == GOLDEN


def read(folder):
    """Yields model, signature and inputs of each record, read without the writer's classes."""
    for raw in tf.data.TFRecordDataset(str(folder / PLACE)).as_numpy_iterator():
        request = fields(fields(fields(raw)[6][0])[1][0])
        spec = fields(request[1][0])
        inputs = {}
        for entry in request[2]:
            name, tensor = (fields(entry)[number][0] for number in (1, 2))
            message = tf.make_tensor_proto(0).FromString(tensor)
            inputs[name.decode()] = tf.make_ndarray(message)
        yield spec[1][0].decode(), spec[3][0].decode(), inputs


def fields(message):
    """Returns the fields of a serialized message that are strings or messages, by number."""
    numbered, place = {}, 0
    while place < len(message):
        number, place = message[place] >> 3, place + 1
        length = shift = 0
        while True:
            byte, place = message[place], place + 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        numbered.setdefault(number, []).append(message[place : place + length])
        place += length
    return numbered


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    keras.utils.set_random_seed(0)
    tasks = [mtl.Task.binary("z"), mtl.Task.regression("a")]
    x = keras.Input((2,), name="x")
    city = keras.Input((1,), name="city", dtype="string")
    codes = keras.layers.StringLookup(vocabulary=["Oslo", "Rome"], output_mode="one_hot")(city)
    outputs = {"z": tasks[0].output(x), "a": tasks[1].output(codes)}
    network = keras.Model({"x": x, "city": city}, outputs)
    folder = tmp_path_factory.mktemp("models") / "shop" / "1"
    return saved_model(network, tasks, folder, tf_example=True)


def test_every_signature_is_asked_once_with_a_row_and_once_with_many(shop):
    records = list(read(shop))
    assert {model for model, _, _ in records} == {"shop"}
    signatures = tf.saved_model.load(shop).signatures
    asked = [(name, len(next(iter(inputs.values())))) for _, name, inputs in records]
    assert sorted(asked) == sorted((name, size) for name in signatures for size in (1, 32))
    for _, name, inputs in records:
        answers = signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        assert all(np.isfinite(answer).all() for answer in answers.values())
        assert {*answers} == ({"z", "a"} if name in ("serving_default", "tf_example") else {name})


def test_records_are_no_more_than_tensorflow_serving_takes(shop, tmp_path, monkeypatch):
    from keras_mtl.export._beside._interface import read_interface

    monkeypatch.setattr(_warm_up, "MAX_RECORDS", 5)
    rows = {"x": np.ones((2, 2), np.float32), "city": np.full((2, 1), "Rome", object)}
    _warm_up.write_warm_up(tmp_path, rows, read_interface(shop), False)
    sizes = [len(next(iter(inputs.values()))) for _, _, inputs in read(tmp_path)]
    assert sizes == [1, 1, 1, 1, 32]
    _warm_up.write_warm_up(tmp_path, rows, read_interface(shop), True)
    assert {len(next(iter(inputs.values()))) for _, _, inputs in read(tmp_path)} == {2}

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import Task, compile_args
from keras_mtl.data import known_cardinality

EPOCHS, BATCHES = 3, 4


def unknown():
    x = np.linspace(-1, 1, 16, dtype="float32").reshape(16, 1)
    rows = tf.data.Dataset.from_tensor_slices((x, {"b": x[:, 0], "a": -x[:, 0]}))
    return rows.batch(4).filter(lambda x, y: True)


def iterations(dataset):
    tasks = [Task.regression("b"), Task.regression("a")]
    inputs = keras.Input((1,))
    network = keras.Model(inputs, {task.name: task.output(inputs) for task in tasks})
    network.compile("adam", jit_compile=False, **compile_args(tasks))
    network.fit(dataset, epochs=EPOCHS, shuffle=False, verbose=0)
    return int(network.optimizer.iterations)


def test_the_optimizer_counts_the_batches_that_there_are():
    assert iterations(known_cardinality(unknown())) == EPOCHS * BATCHES


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_keras_still_miscounts_without_it():
    # Should this fail, Keras is mended, and known_cardinality is no longer needed.
    assert iterations(unknown()) > EPOCHS * BATCHES


def test_the_elements_stay_as_they_are():
    expected = [x.numpy().tolist() for x, _ in unknown()]
    dataset = known_cardinality(unknown())
    assert dataset.cardinality() == BATCHES
    assert [x.numpy().tolist() for x, _ in dataset] == expected


@pytest.mark.parametrize(
    "dataset", [tf.data.Dataset.range(3), tf.data.Dataset.range(3).repeat()], ids=["known", "inf"]
)
def test_known_and_infinite_datasets_are_returned_unchanged(dataset):
    assert known_cardinality(dataset) is dataset


def test_an_empty_dataset_has_no_batches():
    nothing = tf.data.Dataset.range(3).filter(lambda number: number > 5)
    assert known_cardinality(nothing).cardinality() == 0

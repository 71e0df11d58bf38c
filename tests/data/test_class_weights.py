import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import Task
from keras_mtl.data import class_weights, mask_missing

TASKS = [Task.multiclass("topic", 3), Task.binary("click")]
Y = {"topic": np.array([0, 2, 1, -1]), "click": np.array([1.0, 0.0, np.nan, 1.0], "float32")}


def weights_of(dataset):
    return {name: value.numpy().tolist() for name, value in next(iter(dataset))[2].items()}


def rows():
    return tf.data.Dataset.from_tensor_slices((np.zeros(4), Y))


def test_each_task_gets_the_weights_of_its_own_classes():
    weighted = class_weights(rows().batch(4), TASKS, {"topic": {2: 5.0, 0: 0.0}})
    assert weights_of(weighted) == {"topic": [0, 5, 1, 1], "click": [1, 1, 1, 1]}


def test_missing_labels_stay_without_weight_before_and_after_batching():
    table = {"topic": {0: 3.0}, "click": {1: 4.0, 0: 2.0}}
    expected = {"topic": [3, 1, 1, 0], "click": [4, 2, 0, 4]}
    before = class_weights(mask_missing(rows(), TASKS), TASKS, table).batch(4)
    after = class_weights(mask_missing(rows().batch(4), TASKS), TASKS, table)
    assert weights_of(before) == weights_of(after) == expected
    assert after.cardinality() == 1


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_weights_that_are_no_weights_are_refused(weight):
    with pytest.raises(ValueError, match="task 'click': class 1 weighs"):
        class_weights(rows().batch(4), TASKS, {"click": {1: weight}})


def test_weights_of_no_task_are_refused():
    with pytest.raises(ValueError, match="class weight 'clik' belongs to no task"):
        class_weights(rows().batch(4), TASKS, {"clik": {1: 2.0}})

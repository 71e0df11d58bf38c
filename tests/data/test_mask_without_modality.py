"""Rows without any modality: their weights, and what is refused."""

import re

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import Task, data

TASKS = [Task.binary("ill"), Task.multilabel("m", columns=["p", "q"])]
FLAGS = ["a_present", "b_present"]


def rows(batch_size=4):
    x = {
        "a": np.ones((4, 3)),
        "a_present": np.array([1.0, 0.0, 0.0, 0.5]),
        "b": np.ones((4, 2)),
        "b_present": np.array([0, 1, 0, 0]),
        "two": np.ones((4, 2)),
    }
    y = {"ill": np.array([0.0, 1, 1, 0]), "m": np.ones((4, 2))}
    w = {"ill": np.array([1.0, 2.0, np.nan, 0.5]), "m": np.array([[1, 0], [1, 1], [1, 1], [2, 1]])}
    dataset = tf.data.Dataset.from_tensor_slices((x, y, w))
    return dataset.batch(batch_size) if batch_size else dataset


@pytest.mark.parametrize("batch_size", [4, 3, None])
def test_only_rows_without_any_modality_weigh_nothing(batch_size):
    masked = data.mask_without_modality(rows(batch_size), TASKS, FLAGS)
    if batch_size:
        masked = masked.unbatch()
    weights = [w for _, _, w in masked]
    assert [float(w["ill"]) for w in weights] == [1.0, 2.0, 0.0, 0.5]
    assert [w["m"].numpy().tolist() for w in weights] == [[1, 0], [1, 1], [0, 0], [2, 1]]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "one at least; received []"),
        (["c_present"], "received ['c_present'], and inputs are ['a', 'a_present'"),
        (["a_present", "two"], "flags must hold one number per row"),
        (["two"], "flags must hold one number per row"),
    ],
)
def test_flags_that_say_nothing_are_refused(flags, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        data.mask_without_modality(rows(), TASKS, flags)

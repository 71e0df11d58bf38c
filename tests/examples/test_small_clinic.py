"""The small clinic: ten lines from a data frame with gaps to a served model."""

import importlib
import inspect
import pathlib
import re
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_mtl import Task
from keras_mtl.data import describe, from_table

sys.path.append(str(pathlib.Path(__file__).parents[2] / "examples"))

from helpers import clinic_frame

small_clinic = importlib.import_module("13_small_clinic")


@pytest.fixture(scope="module")
def patients():
    return clinic_frame.make_clinic()


def test_a_frame_with_gaps_is_served_after_ten_lines(patients, tmp_path):
    frame, _ = patients
    assert frame.shape == (2000, 100 + len(clinic_frame.OUTCOMES))
    start = time.perf_counter()
    served = small_clinic.main(frame, tmp_path / "clinic" / "1")
    elapsed = time.perf_counter() - start
    assert elapsed < 120  # some 10 s on two idle cores
    body = inspect.getsource(small_clinic.main).split('"""')[2].strip().splitlines()
    assert len(body) == 10 + 1  # and the return

    new, truth = clinic_frame.make_clinic(4000, seed=1)
    # Gaps and noise hide a part of what is knowable; chance would be 0.
    aucs = np.array(list(small_clinic.measure(served, new, truth).values())) - 0.5
    ours, best = aucs.mean(axis=0)
    assert ours > 0.6 * best > 0.15, aucs

    loaded = tf.saved_model.load(tmp_path / "clinic" / "1")
    gaps = pd.DataFrame({name: [None] for name in frame}, dtype=object)
    for rows in (new.iloc[:5], gaps):
        (row,) = from_table(rows, batch_size=5, encoder=served)
        expected = served.predict(row, verbose=0)
        answers = loaded.signatures["serving_default"](**row)
        for name in clinic_frame.OUTCOMES:
            np.testing.assert_allclose(answers[name], expected[name], atol=1e-6)
            assert np.isfinite(expected[name]).all() and (expected[name] > 0).all()


def test_what_will_hurt_in_the_clinic_is_told(patients):
    frame, _ = patients
    tasks = [Task.binary(name) for name in clinic_frame.OUTCOMES]
    with warnings.catch_warnings(record=True, action="always") as caught:
        describe(from_table(frame, tasks), tasks)
    messages = [str(warning.message) for warning in caught]
    expected = [
        "task 'sepsis': 1 of 2 classes have fewer than 50 rows",
        r"\d\d of 100 inputs \('.*, ...\) hold NaN",
        r"1 of 100 inputs \('site'\) holds one value only",
    ]
    assert len(messages) == len(expected), messages
    for pattern, message in zip(expected, messages, strict=True):
        assert re.search(pattern, message), message

"""What `describe` warns of, and that it is silent where all is well."""

import dataclasses
import re
import warnings

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import Task
from keras_mtl.data import describe

NAN = float("nan")
ROWS = 2000
RNG = np.random.default_rng(0)
BINARY, RARE = Task.binary("won"), Task.binary("rare")
KIND = Task.multiclass("kind", 4)
SMALL, LARGE = Task.regression("small"), Task.regression("large")
PLACE = Task.regression("place", units=3)
TOX = Task.multilabel("tox", columns=["b", "a"])


def positives(count, rows=ROWS):
    """Returns labels of which the first `count` are 1, a row in ten."""
    labels = np.zeros(rows)
    labels[np.linspace(0, rows - 1, count).astype(int)] = 1
    return labels


HEALTHY = {
    "won": positives(600),
    "rare": positives(60),
    "kind": np.arange(ROWS) % 4,
    "small": RNG.normal(5, 0.8, ROWS),
    "large": RNG.normal(-2, 1.0, ROWS),
    "place": RNG.normal(size=(ROWS, 3)) * [1, 2, 3],
    "tox": np.stack([positives(600), positives(90)], axis=1),
}
TASKS = [BINARY, RARE, KIND, SMALL, LARGE, PLACE, TOX]
INPUTS = {
    "age": RNG.normal(60, 12, ROWS).astype("float32"),
    "income": RNG.exponential(5e4, ROWS),
    "ward": RNG.integers(0, 9, ROWS),
    "smoker": RNG.random(ROWS) < 0.5,
    "town": RNG.choice(["Oslo", ""], ROWS),
    "scan": RNG.normal(size=(ROWS, 2, 2, 1)).astype("float32"),
    "words": np.zeros((ROWS, 5), "int64"),
    "features": RNG.normal(size=(ROWS, 3)).astype("float32"),
}


def findings(inputs, labels, tasks, batch_size=256):
    dataset = tf.data.Dataset.from_tensor_slices((inputs, labels))
    with warnings.catch_warnings(record=True, action="always") as caught:
        describe(dataset.batch(batch_size) if batch_size else dataset, tasks)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("batch_size", [None, 256])
def test_healthy_data_are_not_warned_of(batch_size, capsys):
    assert findings(INPUTS, HEALTHY, TASKS, batch_size) == []
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(TASKS)


LABELS = {
    "a class of 49 rows": (
        [KIND],
        {"kind": np.where(np.arange(ROWS) < 49, 3, np.arange(ROWS) % 3)},
        r"task 'kind': 1 of 4 classes have fewer than 50 rows \(3: 49\)",
    ),
    "a positive in 257": (
        [RARE],
        {"rare": positives(52, 257 * 52)},
        "task 'rare': class 1 has 52 of 13,364 labels, fewer than 1 in 256",
    ),
    "a negative in 257": (
        [RARE],
        {"rare": 1 - positives(52, 257 * 52)},
        "task 'rare': class 0 has 52 of 13,364 labels, fewer than 1 in 256",
    ),
    "columns of 49 rows": (
        [TOX],
        {"tox": np.stack([positives(600), positives(49)], axis=1)},
        "task 'tox': 1 of 2 columns have a class with fewer than 50 rows: a",
    ),
    "columns with a positive in 257": (
        [TOX],
        {"tox": np.stack([positives(52, 257 * 52), positives(600, 257 * 52)], axis=1)},
        "task 'tox': 1 of 2 columns have a class with fewer than 1 in 256 labels: b",
    ),
    "variances that differ tenfold": (
        [SMALL, LARGE],
        {"small": HEALTHY["small"], "large": HEALTHY["small"] * 10**0.5 + 7},
        r"the variance of task 'large' is 6\.\d+, that of task 'small' 0\.6\d+: with equal weights",
    ),
    "units whose variances differ tenfold": (
        [PLACE],
        {"place": HEALTHY["place"] * [1, 1, 9]},
        r"task 'place': the variances of its columns go from .* nearly that of column 2 alone",
    ),
    "few labels beside many": (
        [BINARY, KIND],
        {"won": HEALTHY["won"], "kind": np.where(np.arange(ROWS) < 16, HEALTHY["kind"], -1)},
        r"task 'kind' has 16 labels, 0\.80% of those of 'won'",
    ),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_that_will_hurt_are_warned_of_by_task(kind):
    tasks, labels, message = LABELS[kind]
    rows = len(next(iter(labels.values())))
    with pytest.warns(UserWarning, match=message):
        describe(tf.data.Dataset.from_tensor_slices((np.arange(rows), labels)).batch(500), tasks)


def test_labels_just_within_are_not_warned_of():
    rows = 256 * 52
    labels = {
        "rare": positives(52, rows),
        "kind": np.where(np.arange(rows) < 50, 3, np.arange(rows) % 3),
        "small": np.tile(HEALTHY["small"], 7)[:rows],
        "large": np.tile(HEALTHY["small"] * 9.9**0.5, 7)[:rows],
    }
    assert findings(np.arange(rows), labels, [RARE, KIND, SMALL, LARGE]) == []


def with_value(array, value):
    array = array.copy()
    array[7] = value
    return array


CHANGES = {
    "a gap": (
        {"age": with_value(INPUTS["age"], NAN)},
        r"1 of 9 inputs \('age' \(0\.1 %\)\) holds NaN",
    ),
    "a gap in a feature": (
        {"features": with_value(INPUTS["features"], [0, NAN, 0])},
        r"1 of 9 inputs \('features'\[1\] \(0\.1 %\)\) holds NaN",
    ),
    "a gap in an image": (
        {"scan": with_value(INPUTS["scan"], NAN)},
        r"\('scan' \(0\.1 %\)\) holds NaN",
    ),
    "a constant": ({"ward": np.full(ROWS, 3)}, r"1 of 9 inputs \('ward'\) holds one value only"),
    "a constant string": ({"town": np.full(ROWS, "Oslo")}, r"\('town'\) holds one value only"),
    "a constant feature": (
        {"features": INPUTS["features"] * np.float32([1, 0, 0])},
        r"2 of 9 inputs \('features'\[1\], 'features'\[2\]\) hold one value only",
    ),
    "all zero": ({"smoker": np.zeros(ROWS, bool)}, r"\('smoker'\) holds one value only"),
    "a huge feature": (
        {"features": with_value(INPUTS["features"], [0, 0, -10001])},
        r"1 of 9 inputs \('features'\[2\] \(1e\+04\)\) holds huge numbers",
    ),
    "a huge column": (
        {"income": with_value(INPUTS["income"], 2.0**24 + 1)},
        r"\('income' \(1\.68e\+07",
    ),
    "infinity": (
        {"income": with_value(INPUTS["income"], -np.inf)},
        r"\('income' \(inf\)\) holds huge",
    ),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_inputs_that_will_hurt_are_warned_of_by_name(kind):
    change, message = CHANGES[kind]
    for batch_size in (None, 300) if kind == "a gap" else (300,):
        (received,) = findings(INPUTS | change, {"won": HEALTHY["won"]}, [BINARY], batch_size)
        assert re.search(message, received), received


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (with_value(np.ones((ROWS, 2), "float32"), NAN), r"\('inputs'\[0\] "),
        ((INPUTS["features"], with_value(INPUTS["age"], NAN)), r"\('1' "),
        ({"a": {"b": with_value(INPUTS["age"], NAN)}, "A": INPUTS["ward"]}, r"\('a/b' "),
    ],
)
def test_inputs_of_any_structure_have_names(inputs, message):
    (received, *_) = findings(inputs, {"won": HEALTHY["won"]}, [BINARY])
    assert re.search(message, received), received


def test_an_input_that_stands_for_none_is_not_warned_of():
    assert findings(np.zeros((ROWS, 1)), {"won": HEALTHY["won"]}, [BINARY]) == []


def advice(tasks, labels, capsys):
    findings(np.arange(ROWS), labels, tasks)
    return capsys.readouterr().out.splitlines()[1 + len(tasks) :]


VECTOR = HEALTHY["place"]
GAPS = np.where(RNG.random((ROWS, 3)) < 0.1, NAN, VECTOR)
MIXED = np.stack([positives(500), VECTOR[:, 0], VECTOR[:, 1]], axis=1)


def as_columns(task):
    """Returns the task with its labels as columns, each with a loss of its own."""
    return dataclasses.replace(task, columns=["x", "y", "z"])


@pytest.mark.parametrize(
    ("task", "labels", "line"),
    [
        (PLACE, VECTOR, None),
        (as_columns(PLACE), GAPS, None),
        (as_columns(PLACE), VECTOR * [1, 1, 9], None),
        (TOX, HEALTHY["tox"], None),
        (PLACE, GAPS, "place: columns would fit"),
        (PLACE, VECTOR * [1, 1, 9], "place: columns would fit"),
        (as_columns(PLACE), VECTOR, "place: units=3 would fit"),
        (PLACE, MIXED, "place: named tasks would fit, since 0 hold 0 and 1 alone"),
        (as_columns(PLACE), MIXED, "place: named tasks would fit, since x hold 0 and 1 alone"),
    ],
)
def test_the_form_that_fits_is_told_where_the_task_has_another(task, labels, line, capsys):
    lines = advice([task], {task.name: labels}, capsys)
    assert [text.startswith(line) for text in lines] == ([True] if line else [])


def test_many_named_tasks_of_one_kind_could_be_columns(capsys):
    tasks = [Task.binary(f"assay_{9 - k}") for k in range(8)]
    labels = {task.name: positives(500) for task in tasks}
    (line,) = advice(tasks, labels, capsys)
    assert line.startswith("assay_9, assay_8, assay_7, ...: 8 tasks of one kind; columns would fit")
    del labels["assay_9"]
    assert advice(tasks[1:], labels, capsys) == []

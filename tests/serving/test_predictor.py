"""A version is answered inside of a process: checked, run by ONNX Runtime, without TensorFlow."""

import dataclasses
import json
import subprocess
import sys
import traceback

import numpy as np
import pandas as pd
import pytest
from hostile_requests import SECRET, SECRET_NUMBER, TASKS, bad_values
from tiny_model import COLUMNS, ONE_ROW, ROWS, SHARED, reference, rows_as_arrays, write_version

from keras_mtl.export import RefusedVersion
from keras_mtl.serving import Limits, Predictor, Refusal


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    # KServe mounts a version under a name that is no number.
    folder = tmp_path_factory.mktemp("mnt") / "models"
    write_version(folder)
    return folder


@pytest.fixture(scope="module")
def predictor(version):
    return Predictor(version)


FILLED = {**rows_as_arrays(), "age": np.array([[39.0], [-20.5], [61.0]])}
FORMS = {
    "lists": ROWS,
    "tuples": {name: tuple(map(tuple, v)) if name != "hours" else v for name, v in ROWS.items()},
    "arrays": FILLED,
    "text": {**FILLED, "worker": np.array(ROWS["worker"])},
    "bytes": {**FILLED, "worker": np.array(ROWS["worker"], "S")},
    "lists of bytes": {**ROWS, "worker": [[value.encode()] for (value,) in ROWS["worker"]]},
    "lists of arrays": {name: list(values) for name, values in FILLED.items()},
    "lists of scalars": {**FILLED, "hours": list(np.array(ROWS["hours"], "float32"))},
    "small integers": {**FILLED, "weeks": np.array(ROWS["weeks"], "uint8")},
    "whole numbers as floats": {**FILLED, "age": np.array([[39], [-20], [61]])},
    "series": {**ROWS, "hours": pd.Series(ROWS["hours"], [7, 8, 9])},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_columns_is_answered_as_by_numpy(predictor, form):
    columns = FORMS[form]
    before = repr(columns)
    ages = ROWS["age"] if columns["age"] is ROWS["age"] else np.asarray(columns["age"]).tolist()
    check(predictor.predict(columns), reference({**ROWS, "age": ages}))
    assert repr(columns) == before


def check(answer, expected):
    assert list(answer) == list(expected)
    for name, values in expected.items():
        assert answer[name].dtype == ("int32" if name == "income_decision" else "float32")
        assert answer[name].shape == values.shape
        np.testing.assert_allclose(answer[name], values, atol=1e-5)


def frame(**columns):
    """Returns the rows as a data frame."""
    flat = {name: np.array(values).ravel() for name, values in ROWS.items() if name != "age"}
    ages = pd.array([39.0, -20.5, None], "Float64")
    return pd.DataFrame({**flat, "age": ages, **columns}, index=[7, 8, 9])


FRAMES = {
    "NA": frame(),
    "NaN": frame(age=[39.0, -20.5, np.nan]),
    "None": frame(age=pd.Series([39.0, -20.5, None], [7, 8, 9], object)),
    "cells with lists": frame(age=[[39.0], [-20.5], [None]], worker=ROWS["worker"]),
    "categories": frame(worker=pd.Categorical(np.ravel(ROWS["worker"]))),
    "small integers": frame(weeks=np.array([52, 0, 17], "int8")),
}


@pytest.mark.parametrize("form", FRAMES)
def test_data_frames_are_answered_as_by_numpy(predictor, form):
    columns = FRAMES[form]
    before = columns.copy(deep=True)
    check(predictor.predict(columns), reference(ROWS))
    pd.testing.assert_frame_equal(columns, before)


HOSTILE_FRAMES = [
    (frame(hours=[40.0, np.nan, 0.0]), "column 'hours', row 1: the number is not finite"),
    (frame(hours=pd.array([40.0, None, 0.0], "Float64")), "column 'hours', row 1: expected a num"),
    (frame(weeks=[52.0, 0.0, 17.0]), "column 'weeks', row 0: expected an integer"),
    (frame(worker=["a", None, "b"]), "column 'worker', row 1: expected a string, received null"),
    (frame(hours=pd.to_datetime(["2026-01-01"] * 3)), "column 'hours', row 0: expected a number"),
    (frame(salary=1.0), "column 'salary' is unknown"),
    (frame().drop(columns="age"), "column 'age' is missing"),
    (pd.concat([frame(), frame()[["age"]]], axis=1), "column 'age' stands twice"),
    (frame().iloc[:0], "between 1 and 1024 rows; received 0"),
    (frame()["age"], "names of columns must be text"),
]


@pytest.mark.parametrize(("columns", "sentence"), HOSTILE_FRAMES, ids=range(len(HOSTILE_FRAMES)))
def test_hostile_data_frames_are_refused(predictor, columns, sentence):
    with pytest.raises(Refusal) as caught:
        predictor.predict(columns)
    assert sentence in caught.value.sentence


def test_rows_are_answered_in_values_of_json(predictor):
    rows = [dict(zip(ROWS, values, strict=True)) for values in zip(*ROWS.values(), strict=True)]
    answers = json.loads(json.dumps(predictor.predict_rows(rows)))
    expected = reference(ROWS)
    assert [list(answer) for answer in answers] == [list(expected)] * 3
    for name, values in expected.items():
        np.testing.assert_allclose([answer[name] for answer in answers], values, atol=1e-5)
    alone = predictor.predict_rows([{"hours": 38.0}], "left")
    assert alone == [{"left": 2.0}]


def test_one_task_takes_its_columns_only_and_checks_those_beside(predictor):
    shared = {name: ROWS[name] for name in SHARED}
    expected = reference(ROWS)
    answer = predictor.predict(shared, "income")
    check(answer, {name: expected[name] for name in ("income", "income_decision")})
    check(predictor.predict(ROWS, "never_married"), {"never_married": expected["never_married"]})
    with pytest.raises(Refusal, match="column 'hours', row 1: the number is not finite"):
        predictor.predict({**ROWS, "hours": np.array([1.0, np.nan, 3.0])}, "income")
    with pytest.raises(Refusal, match="column 'hours' is missing"):
        predictor.predict(shared, "left")
    with pytest.raises(Refusal, match="column 'hours' is missing"):
        predictor.predict(shared)


def test_it_tells_what_it_takes_and_answers(predictor):
    assert predictor.columns == {
        name: (dtype, tuple(shape[1:])) for name, (dtype, shape) in COLUMNS.items()
    }
    assert predictor.tasks == {
        "never_married": tuple(SHARED),
        "income": tuple(SHARED),
        "left": ("hours",),
    }


@pytest.mark.parametrize("name", COLUMNS)
def test_hostile_values_are_refused_by_the_name_of_the_column(predictor, name):
    deep = []
    for _ in range(100_000):
        deep = [deep]
    odd = [np.datetime64("2026-01-01", "ns"), np.complex64(1), np.array(SECRET), object(), b"\xff"]
    odd += [np.longdouble(1), np.float64("nan"), np.float32("inf"), {1, 2}, range(3), deep]
    odd = [value for value in odd if name != "worker" or not isinstance(value, np.ndarray)]
    values = [value for _, value in bad_values(name)] + odd + [[value] for value in odd]
    for value in values:
        for refused in (
            lambda value=value: predictor.predict({**ROWS, name: [ROWS[name][0], value, value]}),
            lambda value=value: predictor.predict_rows([ONE_ROW, {**ONE_ROW, name: value}]),
        ):
            with pytest.raises(Refusal) as caught:
                refused()
            assert caught.value.status == 400
            assert f"column {name!r}" in caught.value.sentence
            assert SECRET not in str(caught.value) and caught.value.__cause__ is None


HOSTILE_COLUMNS = [
    (None, "by name or a data frame; received null"),
    ([], "by name or a data frame; received a list"),
    (SECRET, "by name or a data frame; received a string"),
    (np.zeros(3), "an object of type ndarray"),
    ({}, "column 'worker' (and 3 more) is missing"),
    ({**ROWS, "salary": [1, 2, 3]}, "column 'salary' is unknown"),
    ({**ROWS, 3: [1, 2, 3]}, "names of columns must be text; received an integer"),
    ({**ROWS, "hours": [1.0, 2.0]}, "column 'hours' has 2 rows, and column 'worker' has 3"),
    ({**ROWS, "hours": SECRET_NUMBER}, "column 'hours' must be a list or an array of rows"),
    ({**ROWS, "hours": np.array(SECRET_NUMBER)}, "column 'hours' must be a list"),
    ({**ROWS, "hours": np.zeros((3, 1))}, "column 'hours'"),
    ({**ROWS, "age": np.zeros(3)}, "column 'age', row 0: expected lists of shape [1]"),
    ({**ROWS, "weeks": np.zeros((3, 1))}, "column 'weeks', row 0: expected an integer"),
    ({**ROWS, "age": np.zeros((3, 1), bool)}, "column 'age', row 0: expected a number"),
    ({**ROWS, "weeks": np.zeros((3, 1), "datetime64[ns]")}, "dtype datetime64[ns]"),
    ({**ROWS, "hours": np.array([1, 2, 1e13])}, "column 'hours', row 2: the number is beyond"),
    ({name: [] for name in COLUMNS}, "between 1 and 1024 rows; received 0"),
    ({name: values * 400 for name, values in ROWS.items()}, "received 1200"),
]


@pytest.mark.parametrize(("columns", "sentence"), HOSTILE_COLUMNS, ids=range(len(HOSTILE_COLUMNS)))
def test_hostile_columns_are_refused(predictor, columns, sentence):
    with pytest.raises(Refusal) as caught:
        predictor.predict(columns)
    assert sentence in caught.value.sentence
    assert 400 <= caught.value.status < 500
    assert SECRET not in str(caught.value) and str(SECRET_NUMBER) not in str(caught.value)


HOSTILE_ROWS = [
    (None, "rows must be a list of dicts; received null"),
    ({**ONE_ROW}, "received an object"),
    ([], "received 0"),
    ([ONE_ROW] * 1025, "received 1025"),
    ([ONE_ROW, SECRET], "row 1 must be a dict by column; received a string"),
    ([ONE_ROW, {**ONE_ROW, "salary": 1}], "row 1 and row 0 differ in column 'salary'"),
    ([{**ONE_ROW, "a": 1}, {**ONE_ROW, 2: 1}], "differ in column"),
    ([{}], "column 'worker' (and 3 more) is missing"),
]


@pytest.mark.parametrize(("rows", "sentence"), HOSTILE_ROWS, ids=range(len(HOSTILE_ROWS)))
def test_hostile_rows_are_refused(predictor, rows, sentence):
    with pytest.raises(Refusal) as caught:
        predictor.predict_rows(rows)
    assert sentence in caught.value.sentence


@pytest.mark.parametrize("task", [task for task in TASKS if task is not None] + ["income_decision"])
def test_unknown_tasks_are_refused(predictor, task):
    with pytest.raises(Refusal, match=r"no task .*; this version has 'never_m") as caught:
        predictor.predict(ROWS, task)
    assert caught.value.status == 404 and SECRET not in str(caught.value)


def test_limits_and_refused_versions(version, tmp_path):
    strict = Predictor(version, limits=Limits(rows=2, number=50, string_bytes=7))
    strict.predict({name: values[:2] for name, values in ROWS.items()})
    with pytest.raises(Refusal, match="between 1 and 2 rows"):
        strict.predict(ROWS)
    with pytest.raises(Refusal, match="beyond 50"):
        strict.predict({"hours": [50.5]}, "left")
    write_version(tmp_path / "1")
    model = tmp_path / "1" / "model.onnx"
    model.write_bytes(model.read_bytes() + b"\0")
    with pytest.raises(RefusedVersion, match=r"model\.onnx is not the file"):
        Predictor(tmp_path / "1")


def test_what_the_model_fails_on_is_said_without_its_text(predictor, monkeypatch):
    class Failing:
        def run(self, columns, outputs):
            raise ValueError(SECRET)

    version = dataclasses.replace(predictor._version, runtime=Failing())
    monkeypatch.setattr(predictor, "_version", version)
    with pytest.raises(Refusal, match="the model failed on this request") as caught:
        predictor.predict(ROWS)
    assert caught.value.status == 500
    assert SECRET not in "".join(traceback.format_exception(caught.value))


LIGHT = """
import sys
from keras_mtl.serving import Predictor
print(Predictor(sys.argv[1]).predict({"hours": [38.0]}, "left")["left"][0])
heavy = {"tensorflow", "keras", "jinja2", "orjson", "uvicorn", "prometheus_client"}
assert not heavy & {name.partition(".")[0] for name in sys.modules}
"""


def test_neither_tensorflow_nor_a_server_is_imported(version):
    command = [sys.executable, "-c", LIGHT, version]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.strip() == "2.0", done.stderr

"""Every architecture, kind of head and kind of input in each format: exact, or refused."""

import inspect
import pathlib
import re

import format_cases
import numpy as np
import pytest

import keras_mtl as mtl
from keras_mtl.export._formats._run_litert import LitertRunner
from keras_mtl.export._formats._run_onnx import OnnxRunner

REFUSED = {
    ("table with codes", "litert"): "lookup tables of strings alone",
    ("masked LSTM", "litert"): "unroll=True",
    ("bidirectional LSTM", "litert"): "unroll=True",
    ("GRU", "litert"): "unroll=True",
    ("table with text", "openvino"): "the inputs ['city'] are text",
    ("table with codes", "openvino"): "the network looks up codes",
    ("knowledge_propagation", "openvino"): "it has no MatrixDiagV3",
    ("ltb", "openvino"): "it has no Bitcast",
}
EVERYDAY = {("table with codes", "onnx")}


def answer(convert, folder, rows):
    result = getattr(mtl.export, convert)(folder)
    if convert == "openvino":
        answers = result(rows)
        return {name: answers[name] for output in answers for name in [output.any_name]}
    return {"onnx": OnnxRunner, "litert": LitertRunner}[convert](result).answer(rows)


CASES = [
    pytest.param(name, convert, marks=[] if (name, convert) in EVERYDAY else [pytest.mark.slow])
    for name in format_cases.NAMES
    for convert in ("onnx", "litert", "openvino")
]


def read_table():
    """Reads the table of the benchmarks page: by case, the cells of the four formats."""
    text = (pathlib.Path(__file__).parents[2] / "benchmarks" / "README.md").read_text("utf-8")
    (table,) = re.findall(r"\| case \| SavedModel .*\n\|---.*\n((?:\|.*\n)+)", text)
    return {row.split("|")[1].strip(): row.split("|")[2:6] for row in table.splitlines()}


def test_the_table_of_benchmarks_says_what_is_refused():
    formats = ("SavedModel", "onnx", "litert", "openvino")
    cells = {
        (name, f): c
        for name, row in read_table().items()
        for f, c in zip(formats, row, strict=True)
    }
    assert {key for key, cell in cells.items() if cell.strip() == "refused"} == {*REFUSED}


@pytest.mark.slow
def test_every_kind_of_task_is_in_the_matrix_and_every_case_in_the_table_of_benchmarks():
    kinds = {name for name, _ in inspect.getmembers(mtl.Task, inspect.ismethod)} - {"from_config"}
    cases = {name.partition(" by ")[0].replace(" ", "_") for name in format_cases.HEADS}
    assert kinds <= cases
    assert {*read_table()} == {*format_cases.NAMES}


@pytest.mark.parametrize(("name", "convert"), CASES)
def test_each_format_answers_as_keras_does_or_is_refused(name, convert, tmp_path):
    network, tasks, rows = format_cases.make_case(name)
    folder = mtl.export.saved_model(network, tasks, tmp_path / "1")
    if (name, convert) in REFUSED:
        with pytest.raises(ValueError, match=re.escape(REFUSED[name, convert])):
            getattr(mtl.export, convert)(folder)
        assert not list(folder.glob("model.*"))
        return
    answers = answer(convert, folder, rows)
    for task, expected in format_cases.predict(network, rows).items():
        # 1e-6 of the scale of the predictions, or of 1 where that is smaller.
        scale = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(answers[task], expected, rtol=0, atol=1e-6 * scale)
        assert np.ptp(expected) > 1e-4, "the case says nothing of this task"

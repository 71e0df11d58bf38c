"""Every architecture, kind of head and kind of input in each format, beside the network itself.

    python benchmarks/formats.py                        # all, about ten minutes
    python benchmarks/formats.py --cases mmoe,tagging

The largest difference of a prediction on the rows that test the case, as a fraction of the largest
prediction of the task (or of 1, if that is smaller), or the reason of the refusal. Cases are those
of tests/export/format_cases.py.
"""

import argparse
import os
import pathlib
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "export"))

import format_cases
import numpy as np
import page_tables

import keras_mtl as mtl
from keras_mtl.export._formats._run_litert import LitertRunner
from keras_mtl.export._formats._run_onnx import OnnxRunner
from keras_mtl.export._formats._served import load_served

FORMATS = ("SavedModel", "ONNX", "LiteRT", "OpenVINO")
LIMIT = 1e-6


def open_format(name, folder):
    """Converts an export; returns a function from rows to answers."""
    if name == "SavedModel":
        return load_served(folder).answer
    if name == "ONNX":
        return OnnxRunner(mtl.export.onnx(folder)).answer
    if name == "LiteRT":
        return LitertRunner(mtl.export.litert(folder)).answer
    model = mtl.export.openvino(folder)
    return lambda rows: {output.any_name: value for output, value in model(dict(rows)).items()}


def difference(expected, answers):
    """Returns the largest difference of a task, as a fraction of its scale."""
    return max(
        float(np.abs(answers[name] - values).max() / max(1.0, np.abs(values).max()))
        for name, values in expected.items()
    )


def measure(case, folder):
    """Returns by format the difference to the network, or why the format refuses it."""
    network, tasks, rows = format_cases.make_case(case)
    expected = format_cases.predict(network, rows)
    path = mtl.export.saved_model(network, tasks, pathlib.Path(folder) / "1")
    specs = load_served(path).specs
    request = {
        name: values if values.dtype.kind in "OSU" else values.astype(specs[name].dtype.name)
        for name, values in rows.items()
    }
    results = {}
    for name in FORMATS:
        try:
            answers = open_format(name, path)(request)
        except ValueError as error:
            results[name] = f"refused: {error}"
            continue
        results[name] = difference(expected, answers)
    return results


def main():
    """Prints a row per case, and the reasons of refusals below."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default=",".join(format_cases.NAMES))
    page_tables.add_option(parser)
    options = parser.parse_args()
    table = page_tables.Table("formats", ["case", *FORMATS], options.record)
    reasons, too_far = [], []
    for case in options.cases.split(","):
        with tempfile.TemporaryDirectory() as folder:
            results = measure(case, folder)
        cells = []
        for name, result in results.items():
            if isinstance(result, str):
                reasons.append(f"{case}, {name}: {result.splitlines()[0]}")
                cells.append("refused")
            else:
                cells.append(f"{result:.0e}" if result else "0")
                too_far += [(case, name)] * (result > LIMIT)
        table.add(case, *cells)
    table.keep()
    print("\n" + "\n".join(reasons))
    print(f"\nDifferences above {LIMIT:g}: {too_far or 'none'}.")
    sys.exit(bool(too_far))


if __name__ == "__main__":
    main()

"""The exported model in git still gives the predictions that were recorded with it."""

import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

FOLDER = pathlib.Path(__file__).parents[2] / "saved_models"


def answers(folder):
    """Yields each prediction of each signature for the recorded rows, beside the recorded one."""
    recorded = json.loads((folder / "recorded.json").read_text())
    served = tf.saved_model.load(folder / "1")
    for name, signature in served.signatures.items():
        specs = signature.structured_input_signature[1]
        rows = {
            key: tf.constant(recorded["inputs"][key], spec.dtype) for key, spec in specs.items()
        }
        for task, value in signature(**rows).items():
            yield name, value.numpy(), np.array(recorded["predictions"][task])


def test_the_model_in_git_gives_the_recorded_predictions():
    compared = list(answers(FOLDER / "example"))
    assert {name for name, _, _ in compared} == {"serving_default", "income", "never_married"}
    for _, value, expected in compared:
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-5)
        assert np.ptp(expected) > 0.1


@pytest.mark.slow
def test_the_script_recreates_the_model_in_git(tmp_path):
    script = FOLDER / "make_example.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, capture_output=True)
    old = json.loads((FOLDER / "example" / "recorded.json").read_text())
    new = json.loads((tmp_path / "recorded.json").read_text())
    assert new["inputs"] == old["inputs"]
    for task, values in old["predictions"].items():
        # Other processors sum in another order, and five epochs of training enlarge the difference.
        np.testing.assert_allclose(new["predictions"][task], values, rtol=0, atol=1e-2)
    for _, value, expected in answers(tmp_path):
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-5)


def test_the_code_of_the_page_on_serving_runs(monkeypatch, capsys):
    monkeypatch.chdir(FOLDER.parent)
    (code,) = re.findall(r"```python\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    exec(code, {})
    assert all(0 < float(number) < 1 for number in capsys.readouterr().out.split())

"""An ordinary program warns of nothing, neither by Python nor by TensorFlow's log."""

import pathlib
import subprocess
import sys

import pytest

PROGRAM = pathlib.Path(__file__).with_name("quiet_program.py")
# Keras's own call of np.array on a variable, when it saves one (docs/keras_notes.md, 114).
OF_KERAS = "ignore:__array__ implementation:DeprecationWarning:keras.src.backend.tensorflow.core"


@pytest.mark.slow
def test_training_saving_exporting_and_searching_warn_of_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", OF_KERAS, str(PROGRAM), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for line in ("retracing", "shuffle=True", "__array__", "Skipping variable", "deprecated"):
        assert line not in done.stderr, done.stderr[-3000:]
    assert len(done.stdout.splitlines()) == 4

"""Training that was killed continues from its last backup as if it had not been killed."""

import pathlib
import signal
import subprocess
import sys

import every_balancer
import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).with_name("resumed_run.py")


def run(balancer, folder, *arguments):
    """Runs `resumed_run.py`; returns the finished process and the path of its results."""
    out = folder / "end.npz"
    command = [sys.executable, str(SCRIPT), "--balancer", balancer, "--out", str(out)]
    command += ["--backup", str(folder / "backup"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done, out


@pytest.mark.parametrize(
    "balancer",
    [
        name if name == "DWA" else pytest.param(name, marks=pytest.mark.slow)
        for name in every_balancer.names()
    ],
)
def test_a_killed_training_ends_bit_by_bit_as_one_that_was_not(balancer, tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    killed, out = run(balancer, tmp_path / "killed", "--kill")
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert not out.exists()
    resumed, resumed_out = run(balancer, tmp_path / "killed")
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    whole, whole_out = run(balancer, tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr[-2000:]
    with np.load(resumed_out) as actual, np.load(whole_out) as expected:
        assert (int(actual["epochs"]), int(expected["epochs"])) == (2, 5)
        different = [
            key
            for key in expected.files
            if key != "epochs" and not np.array_equal(actual[key], expected[key])
        ]
        assert different == []

"""Ordinary use is quiet: no warning of Python, none of TensorFlow, no function traced anew."""

import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).with_name("quiet_run.py")


@pytest.mark.parametrize("balancer", ["Equal", pytest.param("MGDA", marks=pytest.mark.slow)])
def test_ordinary_use_warns_of_nothing(balancer):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), balancer], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "messages: 0", done.stdout

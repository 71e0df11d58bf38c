"""On two replicas the layer of `Consistency` draws other numbers on each of them."""

import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).with_name("consistency_runs.py")


def test_rows_at_one_position_of_two_replicas_are_changed_differently():
    command = [sys.executable, str(SCRIPT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    refusal, result = done.stdout.splitlines()
    assert refusal.startswith("'c': the layer 'gaussian_noise' draws, and was made outside of the")
    assert result == "equal entries 0.00, equal seeds afterwards True"

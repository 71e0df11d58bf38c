"""On two replicas layers that draw for each example draw other numbers on each of them."""

import pathlib
import re
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).with_name("consistency_runs.py")


def test_rows_at_one_position_of_two_replicas_are_changed_differently():
    command = [sys.executable, str(SCRIPT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    refusal, *results = done.stdout.splitlines()
    assert refusal.startswith("'c': the layer 'gaussian_noise' draws, and was made outside of the")
    assert results[0] == "noise: equal entries 0.00, equal seeds afterwards True"
    # A few cells, or flags, are equal by chance.
    assert re.fullmatch(r"swapped cells: equal entries 0\.\d\d, equal seeds .* True", results[1])
    assert re.fullmatch(r"modalities: equal entries 0\.[3-7]\d", results[2])

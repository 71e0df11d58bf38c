"""Two replicas equal one device on the same global batch, in every variable and log."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).with_name("replica_runs.py")


def outcome(folder, replicas, *arguments):
    out = folder / f"{replicas}.npz"
    command = [sys.executable, str(SCRIPT), "--replicas", str(replicas), "--out", str(out)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(out) as values:
        return dict(values)


def check(found, expected):
    assert set(found) == set(expected)
    worst = {}
    for key, value in expected.items():
        scale = max(np.abs(value).max(), 1e-3)
        worst[key] = np.abs(found[key] - value).max() / scale
    off = {key: error for key, error in worst.items() if not error <= tolerance(key)}
    assert not off


def tolerance(key):
    # The logs of plain Keras hold <task>_loss as the mean over batches, of float32 sums.
    return 5e-6 if "adam" in key or ":log_" in key else 2e-6


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    return outcome(tmp_path_factory.mktemp("replicas"), 1)


def test_two_replicas_equal_one_device(one_device, tmp_path):
    check(outcome(tmp_path, 2), one_device)


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [2, 4])
def test_replicas_equal_one_device_with_every_balancer_in_every_way(replicas, tmp_path):
    check(outcome(tmp_path, replicas, "--all"), outcome(tmp_path, 1, "--all"))

"""Two replicas equal one device on the same global batch, in every variable and log."""

import contextlib
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from keras_mtl import balancers

SCRIPT = pathlib.Path(__file__).with_name("replica_runs.py")
SECONDS = 3000
BROKEN = SCRIPT.with_name("broken_replica_runs.py")


def outcome(folder, replicas, *arguments, script=SCRIPT):
    """Runs a script in a process and returns its results."""
    out = folder / f"{replicas}.npz"
    command = [sys.executable, str(script), "--replicas", str(replicas), "--out", str(out)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(out) as values:
        return dict(values)


def check(actual, expected):
    """Checks that all values agree up to `tolerance` times the largest entry of each."""
    assert set(actual) == set(expected)
    worst = {}
    for key, value in expected.items():
        # Steps are 0.1 times gradients near 1. The rounding is that of the terms, even if their
        # sum is almost 0.
        scale = max(np.abs(value).max(), 0.1)
        # A metric that has seen a broken batch is NaN.
        same = np.array_equal(actual[key], value, equal_nan=True)
        worst[key] = 0.0 if same else np.abs(actual[key] - value).max() / scale
    off = {key: error for key, error in worst.items() if not error <= tolerance(key)}
    assert not off


def tolerance(key):
    # The logs of plain Keras hold <task>_loss as the mean over batches, of float32 sums. The
    # pseudo-inverse of averaged gradients magnifies rounding: 2.4e-6 on four replicas.
    magnified = ("adam", ":log_", "MConFIG")
    return 5e-6 if any(part in key for part in magnified) else 2e-6


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    return outcome(tmp_path_factory.mktemp("replicas"), 1)


@pytest.fixture(scope="module")
def one_device_in_every_way(tmp_path_factory):
    return outcome(tmp_path_factory.mktemp("replicas"), 1, "--all")


def test_two_replicas_equal_one_device(one_device, tmp_path):
    check(outcome(tmp_path, 2), one_device)


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [2, 4])
def test_replicas_leave_out_what_breaks_on_one_of_them(replicas, tmp_path):
    expected = outcome(tmp_path, 1, script=BROKEN)
    assert expected["shared/Equal/parameters/1:left_out"].tolist() == [1, 1, 1]
    assert expected["r/MGDA/parameters/2:left_out"].tolist() == [0, 0, 1]
    check(outcome(tmp_path, replicas, script=BROKEN), expected)


def start_worker(folder, ports, worker, *arguments):
    out = folder / f"worker_{worker}.npz"
    command = [sys.executable, str(SCRIPT), "--replicas", "2", "--out", str(out)]
    of_worker = ["--ports", ",".join(map(str, ports)), "--worker", str(worker)]
    return subprocess.Popen(
        [*command, *of_worker, *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )


def check_workers(folder, expected, *arguments):
    ports = free_ports(2)
    started = [start_worker(folder, ports, worker, *arguments) for worker in range(2)]
    try:
        messages = [process.communicate(timeout=SECONDS)[1].decode()[-3000:] for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert [process.returncode for process in started] == [0, 0], messages
    for worker in range(2):
        with np.load(folder / f"worker_{worker}.npz") as values:
            check(dict(values), expected)


def free_ports(count):
    with contextlib.ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for connection in sockets:
            connection.bind(("127.0.0.1", 0))
        return [connection.getsockname()[1] for connection in sockets]


@pytest.mark.slow
def test_two_processes_equal_one_device(one_device, tmp_path):
    names = ("PCGrad", "GradDrop")
    expected = {k: v for k, v in one_device.items() if k.split("/")[0] in names}
    check_workers(tmp_path, expected, "--names", ",".join(names))


@pytest.mark.slow
def test_two_processes_equal_one_device_with_every_balancer(tmp_path):
    # A last batch of which one worker has 8 rows and the other one 1.
    expected = outcome(tmp_path, 1, "--uneven")
    names = {key.split("/")[0] for key in expected}
    kinds = {"Balancer", "GradientBalancer", "GramianBalancer", "LossBalancer", "Needs"}
    assert names == {*balancers.__all__} - kinds
    assert {key.split("/")[1] for key in expected} == {"parameters", "representation"}
    check_workers(tmp_path, expected, "--uneven")


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [2, 4])
def test_replicas_equal_one_device_with_every_balancer_in_every_way(
    replicas, one_device_in_every_way, tmp_path
):
    check(outcome(tmp_path, replicas, "--all"), one_device_in_every_way)

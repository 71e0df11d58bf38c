"""A search of Keras Tuner by a chief and two workers, which are processes of their own."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_a_chief_and_two_workers_find_the_same_best_weights(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = pathlib.Path(__file__).with_name("chief_and_workers.py")
    processes = {}
    for name in ("chief", "tuner0", "tuner1"):
        environment = {
            **os.environ,
            "KERASTUNER_TUNER_ID": name,
            "KERASTUNER_ORACLE_IP": "127.0.0.1",
            "KERASTUNER_ORACLE_PORT": str(port),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        processes[name] = subprocess.Popen(
            [sys.executable, str(script), str(tmp_path)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    results = {}
    try:
        for name, process in processes.items():
            output, errors = process.communicate(timeout=400)
            assert process.returncode == 0, f"{name}: {errors[-2000:]}"
            results[name] = json.loads(output.splitlines()[-1])
    finally:
        for process in processes.values():
            with process:
                process.kill()
    trials = results["chief"]["trials"]
    # A worker that ends first does not know the last trials of the other one.
    for result in results.values():
        assert all(trial in trials for trial in result["trials"] if trial[2] is not None)
    assert sorted(number for number, _, _ in trials) == [0, 1, 2, 3]
    assert len({weights["z"] for _, weights, _ in trials}) == 4
    best = min(trials, key=lambda trial: trial[2])
    assert results["chief"]["weights"] == best[1]

"""Studies that are killed and go on, and studies in several processes."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("killed_study.py")
NUM_TRAININGS = 12  # three networks, two trials and two seeds each
KILLS = 10


def start(folder, workers):
    return subprocess.Popen(
        [sys.executable, PROGRAM, folder, str(workers)],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def finish(folder, workers=1):
    """Runs the study to its end; returns what it printed."""
    process = start(folder, workers)
    out, _ = process.communicate(timeout=400)
    assert process.returncode == 0
    return out


def records(folder):
    """Returns the time at which each record was written."""
    return {path: path.stat().st_mtime_ns for path in folder.glob("trainings/*/*.json")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Returns the table of a study that was never killed."""
    folder = tmp_path_factory.mktemp("whole") / "study"
    finish(folder)
    return (folder / "verdicts.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_ten_times_it_gives_the_same_table_and_trains_nothing_twice(
    whole, tmp_path, workers
):
    folder, draws, seen = tmp_path / "study", random.Random(workers), {}
    for _ in range(KILLS):
        process = start(folder, workers)
        # Starting takes seconds; after that, at any moment.
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            if (folder / "lock").exists():
                break
            time.sleep(0.05)
        time.sleep(draws.uniform(0.0, 5.0))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        now = records(folder)
        assert all(now[path] == written for path, written in seen.items())
        seen = now
    out = finish(folder, workers)
    now = records(folder)
    assert all(now[path] == written for path, written in seen.items())
    assert len(now) == NUM_TRAININGS
    # A worker may end its training after its parent was killed.
    assert out.count("seed ") + out.count("trial ") <= NUM_TRAININGS - len(seen)
    assert (folder / "verdicts.csv").read_bytes() == whole


@pytest.mark.slow
def test_a_killed_worker_is_replaced(whole, tmp_path):
    folder = tmp_path / "study"
    process = start(folder, 2)
    killed = 0
    deadline = time.monotonic() + 300
    while process.poll() is None and killed < 2 and time.monotonic() < deadline:
        time.sleep(1.0)
        workers = children(process.pid)
        if workers and records(folder):
            os.kill(workers[-1], signal.SIGKILL)
            killed += 1
            time.sleep(5.0)
    process.communicate(timeout=400)
    assert killed == 2
    assert process.returncode == 0
    assert (folder / "verdicts.csv").read_bytes() == whole


@pytest.mark.slow
def test_workers_end_when_the_study_is_killed(tmp_path):
    process = start(tmp_path / "study", 2)
    workers = []
    deadline = time.monotonic() + 120
    while not workers and time.monotonic() < deadline:
        time.sleep(0.5)
        workers = children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 60
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert workers
    assert not any(map(is_running, workers))


def children(pid):
    """Returns the processes that train for a study."""
    listed = subprocess.run(["ps", "--ppid", str(pid), "-o", "pid=,args="], capture_output=True)
    lines = listed.stdout.decode().splitlines()
    return [int(line.split()[0]) for line in lines if "loky" in line and "tracker" not in line]


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"

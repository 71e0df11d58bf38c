"""Workers that come to harm end as those that did not, and refuse to begin differently."""

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).with_name("backup_run.py")
pytestmark = pytest.mark.slow


def start(folder, *arguments, workers=2, restarts=0, seconds=200):
    """Starts workers; returns the finished command."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "keras_mtl.launch", "--workers", str(workers)]
    command += ["--seconds", str(seconds), "--restarts", str(restarts), str(SCRIPT), str(folder)]
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, timeout=seconds + 60
    )


def ends(folder, workers):
    for index in range(workers):
        with np.load(folder / f"end_{index}.npz") as values:
            yield dict(values)


def check_equal(actual, expected, tolerance=1e-7):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        scale = max(1.0, float(np.max(np.abs(value), initial=0.0)))
        np.testing.assert_allclose(
            actual[name], value, atol=tolerance * scale, rtol=tolerance, err_msg=name
        )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Returns what the workers of a training without harm end with."""
    folder = tmp_path_factory.mktemp("whole")
    done = start(folder)
    assert done.returncode == 0, done.stdout
    return next(ends(folder, 1))


@pytest.mark.parametrize("harm", ["kill", "stop", "term"])
def test_a_worker_that_comes_to_harm_changes_nothing(tmp_path, whole, harm):
    done = start(tmp_path, "--harm", harm, restarts=1)
    assert done.returncode == 0, done.stdout
    step = 2 if harm != "term" else r"\d+"
    resumed = re.findall(rf"resumed at (\(1, {step}\)|\(2, 0\))", done.stdout)
    assert len(resumed) == 2 and len({*resumed}) == 1, done.stdout
    ended = re.findall(r"\[launch\] worker \d ended with (.*)", done.stdout)
    assert len(ended) == 1 and (harm != "term" or ended == ["status 143"]), done.stdout
    for values in ends(tmp_path, 2):
        check_equal(values, whole)


def test_shuffled_arrays_have_one_order_on_all_workers(tmp_path):
    alone, folder = tmp_path / "alone", tmp_path / "workers"
    alone.mkdir()
    command = [sys.executable, str(SCRIPT), str(alone), "--arrays"]
    subprocess.run(command, check=True, capture_output=True, timeout=200)
    done = start(folder, "--arrays", "--harm", "kill", restarts=1)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("resumed at (1, 2)") == 2
    expected = next(ends(alone, 1))
    for values in ends(folder, 2):
        check_equal(values, expected, 1e-6)


def test_workers_with_different_backups_are_refused_by_all(tmp_path):
    harmed = start(tmp_path, "--harm", "kill")
    assert harmed.returncode != 0
    (tmp_path / "backup").rename(tmp_path / "backup_0")  # for the first worker alone
    done = start(tmp_path, "--apart")
    assert done.returncode != 0
    assert "worker 0: epoch 2, step 2, weights" in done.stdout
    assert "worker 1: no backup" in done.stdout
    assert "resumed at" not in done.stdout

"""The examples and benchmarks, run as a user runs them, but for a few steps only."""

import importlib
import pathlib
import re
import subprocess
import sys
import types

import matplotlib.image
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import Task, data

ROOT = pathlib.Path(__file__).parents[1]
TASKS = ["income", "never_married", "college"]


def run(script, *arguments, folder):
    command = [sys.executable, str(ROOT / script), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def quickstart(folder, *arguments):
    small = ["--config", "small", "--epochs", 2, "--seeds", 1, "--batch-size", 32]
    places = ["--data-dir", folder.parent, "--figure", folder / "census.png"]
    places += ["--report", folder / "census.html", "--export", folder / "census" / "1"]
    folder.mkdir()
    return run("examples/quickstart.py", *small, *places, *arguments, folder=folder)


def read_tables(output):
    """Reads the printed verdicts into one dict per study, from task and contender to a row."""
    tables = []
    for part in output.split("\ntask  ")[1:]:
        lines = part.partition("\nhard sharing:")[0].splitlines()[1:]
        cells = [re.split(r"  +", line.strip()) for line in lines]
        assert all(row[2] == "0.5" for row in cells)  # the AUC of a constant answer
        tables.append({(row[0], row[3]): row[4:] for row in cells})
    return tables


def check_tables(tables):
    contenders = [("hard sharing", "MMoE, PCGrad"), ("hard sharing",)]
    for table, names, tasks in zip(tables, contenders, [TASKS, TASKS[::2]], strict=True):
        assert list(table) == [(task, name) for task in tasks for name in names]
        for before, score, gain, interval, verdict in table.values():
            assert 0.5 < float(before) < 1 and 0.5 < float(score) < 1  # it has learned
            np.testing.assert_allclose(
                float(gain), 100 * (float(score) / float(before) - 1), rtol=0.01, atol=0.03
            )
            lower, upper = map(float, interval.strip("[]").split(","))
            assert lower < float(gain) < upper
            assert verdict in ("helped", "hurt", "undecided")


def check_figure(path):
    image = matplotlib.image.imread(path)
    assert image.shape[0] > 200 and image.shape[1] > 500
    assert len(np.unique(image[..., :3].reshape(-1, 3), axis=0)) > 10


def check_served(output, folder):
    served = re.search(r"served from (.+): (\[.+\]); largest difference (\S+)", output)
    assert pathlib.Path(served[1]) == folder
    assert served[2] == str(sorted([*TASKS, "serving_default"]))
    assert float(served[3]) <= 1e-5
    assert (folder / "saved_model.pb").is_file()
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


# One test, since the run takes minutes and tests run in several processes.
def test_the_quickstart_compares_writes_its_page_and_serves_what_it_chose(tmp_path):
    folder = tmp_path / "one"
    output = quickstart(folder)
    check_tables(read_tables(output))
    check_figure(folder / "census.png")
    assert "Census: three tasks, all labels" in (folder / "census.html").read_text()
    check_served(output, folder / "census" / "1")


@pytest.mark.slow
def test_the_quickstart_reaches_on_two_replicas_what_it_reaches_on_one(tmp_path):
    one = read_tables(quickstart(tmp_path / "one"))
    two = read_tables(quickstart(tmp_path / "two", "--replicas", 2))
    for table, other in zip(one, two, strict=True):
        for key, row in table.items():
            scores = [[float(cell) for cell in cells[:2]] for cells in (row, other[key])]
            np.testing.assert_allclose(scores[1], scores[0], atol=2e-3, err_msg=str(key))


@pytest.mark.slow
def test_the_benchmark_of_steps_prints_ratios_to_stock_keras(tmp_path):
    few = ["--tasks", 2, "--networks", "tower", "--balancers", "Equal", "--turns", 1]
    output = run("benchmarks/step_cost.py", *few, folder=tmp_path)
    assert re.search(r"tower-bound network, K = 2: stock Keras: first step \d+\.\d s", output)
    rows = [line.split() for line in output.splitlines() if line.startswith("Equal")]
    assert [row[1:3] for row in rows] == [["losses", "1"], ["losses", "10"]]
    assert all(0.1 < float(row[4]) < 10 and row[5] == "1.05" for row in rows)


@pytest.mark.slow
def test_the_census_benchmark_builds_every_network_at_any_width(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    benchmark = importlib.import_module("census")
    columns = {"age": np.arange(9.0), "job": np.array(["a", "b", "c"] * 3)}
    batches = tf.data.Dataset.from_tensor_slices(columns).batch(3)
    census = types.SimpleNamespace(encoder=data.tabular_encoder(batches, bins=4), widths={})
    tasks = [Task.binary(name, metrics=()) for name in TASKS]
    for name in ["single_task", *benchmark.BUILDERS]:
        for trial in (benchmark.NetworkTrial(sigma=0.0), benchmark.NetworkTrial(sigma=1.0)):
            chosen = tasks[:1] if name == "single_task" else tasks
            networks = [benchmark.build(name, census, chosen, trial, width) for width in (4, 5)]
            sizes = [network.count_params() for network in networks]
            assert sizes[0] < sizes[1], name


@pytest.mark.slow
def test_the_census_benchmark_goes_on_and_prints_each_row(tmp_path):
    small = ["--config", "small", "--trials", 1, "--seeds", 2, "--budget", 30_000]
    small += ["--epochs", 4, "--batch-size", 256]
    places = ["--folder", tmp_path / "runs", "--data-dir", tmp_path]
    for names in ("single_task", "single_task,boosting,hard_sharing"):
        output = run("benchmarks/census.py", "--rows", names, *small, *places, folder=tmp_path)
        lines = [line for line in output.splitlines() if "±" in line and line[0] != "|"]
        assert [line.split()[0] for line in lines] == names.split(",")
    results = (tmp_path / "runs" / "census.jsonl").read_text().splitlines()
    # One trial and two seeds, none of them twice: two rows of three tasks apart, one of all.
    assert len(results) == (3 + 3 + 1) * (1 + 2)
    rows = np.array([re.findall(r"[-+]?\d+\.\d+", line) for line in lines], float)
    means, gains = rows[:, :6:2], rows[:, 6::2]
    assert 0.6 < means.min() <= means.max() < 1
    np.testing.assert_allclose(gains, 1e4 * (means - means[0]), atol=1.1)  # of rounded numbers


@pytest.mark.slow
def test_the_benchmark_of_sharing_prints_verdicts_and_goes_on(tmp_path):
    small = [
        "penguins",
        "--trials",
        1,
        "--seeds",
        1,
        "--epochs",
        2,
        "--folder",
        tmp_path / "studies",
    ]
    first = run("benchmarks/sharing.py", *small, folder=tmp_path)
    assert first.count("hard sharing, UPGrad") >= 3 and "6 trainings" in first
    assert "| task | metric | linear | boosted | one network per task | hard sharing, gain" in first
    assert len([line for line in first.splitlines() if line[:1] == "|"]) == 2 + 3 + 1
    again = run("benchmarks/sharing.py", *small, "--report", "page.html", folder=tmp_path)
    assert "[1 of 6]" not in again
    assert "Does sharing help? penguins" in (tmp_path / "page.html").read_text()


@pytest.mark.slow
def test_the_benchmark_of_examples_prints_a_row_per_figure(tmp_path):
    output = run("benchmarks/examples.py", "penguins", "--seeds", 1, folder=tmp_path)
    rows = [line.split(" | ") for line in output.splitlines() if "Palmer" in line]
    assert [row[1:3] for row in rows] == [["accuracy", "1"], ["R²", "1"]]
    # One seed has no deviation.
    assert all(float(cell) > 0.6 for row in rows for cell in row[3:5])

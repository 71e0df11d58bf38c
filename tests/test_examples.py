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
    small = ["--config", "small", "--epochs", 2, "--trials", 2, "--batch-size", 512]
    places = ["--data-dir", folder.parent, "--figure", folder / "census.png"]
    places += ["--export", folder / "census" / "1"]
    folder.mkdir()
    return run("examples/quickstart.py", *small, *places, *arguments, folder=folder)


def read_table(output):
    """Reads the printed table into a dictionary from network to its row of numbers."""
    lines = output.partition("\ntest AUC")[2].partition("\none seed")[0].splitlines()
    assert lines[0].split() == [*TASKS, "gain", "parameters", "s/epoch"]
    rows = {line[:30].strip(): re.sub("[%,]", "", line[30:]).split() for line in lines[1:]}
    return {name: np.array(row, float) for name, row in rows.items()}


def check_table(table):
    first, *multi_task = table
    assert first == "single-task networks" and len(multi_task) >= 5
    for part in ("hard sharing", "equal weights", "(losses)", "(gradients)", "tuned weights"):
        assert any(part in name for name in multi_task), part
    alone = table[first][:3]
    assert alone.min() > 0.7  # they have learned
    for *aucs, gain, parameters, seconds in table.values():
        assert 0.4 < min(aucs) <= max(aucs) < 1
        expected = 100 * np.mean(aucs / alone - 1)
        np.testing.assert_allclose(gain, expected, atol=0.02)  # AUCs are printed to four places
        assert parameters > 1000 and seconds > 0
    assert len({row[4] for name, row in table.items() if name.startswith("MMoE")}) == 1


def check_progress(output, table):
    steps = re.findall(r"^\[ *\d+ s\] (.+): \d+\.\d s an epoch$", output, re.MULTILINE)
    assert steps == [*(f"{task} alone" for task in TASKS), *[*table][1:]]
    weights = re.search(r"tuner: best of 2 trials \{(.+)\}", output)
    assert [entry.split("'")[1] for entry in weights[1].split(", ")] == TASKS
    assert re.search(r"chosen by the validation part: (.+)", output)[1] in [*table][1:]


def check_figure(path):
    image = matplotlib.image.imread(path)
    assert image.shape[0] > 200 and image.shape[1] > 1000
    assert len(np.unique(image[..., :3].reshape(-1, 3), axis=0)) > 10


def check_served(output, folder):
    served = re.search(r"served from (.+): (\[.+\]); largest difference (\S+)", output)
    assert pathlib.Path(served[1]) == folder
    assert served[2] == str(sorted([*TASKS, "serving_default"]))
    assert float(served[3]) <= 1e-5
    assert (folder / "saved_model.pb").is_file()
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


# One test, since the run takes minutes and tests run in several processes.
def test_the_quickstart_prints_its_table_draws_it_and_serves_what_it_chose(tmp_path):
    folder = tmp_path / "one"
    output = quickstart(folder)
    table = read_table(output)
    check_table(table)
    check_progress(output, table)
    check_figure(folder / "census.png")
    check_served(output, folder / "census" / "1")


@pytest.mark.slow
def test_the_quickstart_reaches_on_two_replicas_what_it_reaches_on_one(tmp_path):
    one = read_table(quickstart(tmp_path / "one"))
    two = read_table(quickstart(tmp_path / "two", "--replicas", 2))
    assert list(one) == list(two)
    for name, row in one.items():
        np.testing.assert_allclose(two[name][:3], row[:3], atol=1e-3, err_msg=name)


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
        lines = [line for line in output.splitlines() if "±" in line]
        assert [line.split()[0] for line in lines] == names.split(",")
    results = (tmp_path / "runs" / "census.jsonl").read_text().splitlines()
    # One trial and two seeds, none of them twice: two rows of three tasks apart, one of all.
    assert len(results) == (3 + 3 + 1) * (1 + 2)
    rows = np.array([re.findall(r"[-+]?\d+\.\d+", line) for line in lines], float)
    means, gains = rows[:, :6:2], rows[:, 6::2]
    assert 0.6 < means.min() <= means.max() < 1
    np.testing.assert_allclose(gains, 1e4 * (means - means[0]), atol=1.1)  # of rounded numbers

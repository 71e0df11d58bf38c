"""The examples and the benchmark, run as a user would run them, but for a few steps."""

import pathlib
import re
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[1]
TASKS = ["income", "never_married", "college"]
NETWORKS = [
    "single-task networks",
    "hard sharing, equal weights",
    "MMoE, equal weights",
    "MMoE, DWA (losses)",
    "MMoE, PCGrad (gradients)",
    "MMoE, tuned weights",
]


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
    """The printed table: a dict from network to its row of numbers."""
    lines = output.partition("\ntest AUC")[2].partition("\none seed")[0].splitlines()
    assert lines[0].split() == [*TASKS, "gain", "parameters", "s/epoch"]
    rows = {line[:30].strip(): re.sub("[%,]", "", line[30:]).split() for line in lines[1:]}
    return {name: np.array(row, float) for name, row in rows.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("quickstart") / "one"


@pytest.fixture(scope="module")
def output(folder):
    return quickstart(folder)


def test_the_quickstart_prints_a_table_of_all_networks(output):
    table = read_table(output)
    assert list(table) == NETWORKS
    aucs = np.array([row[:3] for row in table.values()])
    assert ((aucs > 0.4) & (aucs < 1)).all()
    assert aucs[0].min() > 0.7  # the networks of one task have learned
    for row in table.values():
        gain = 100 * np.mean(row[:3] / aucs[0] - 1)
        np.testing.assert_allclose(row[3], gain, atol=0.02)  # AUCs are printed to four places
        assert row[4] > 1000 and row[5] > 0
    sizes = {name: row[4] for name, row in table.items()}
    assert len({size for name, size in sizes.items() if name.startswith("MMoE")}) == 1


def test_the_quickstart_chooses_by_validation_data_and_shows_its_progress(output):
    chosen = re.search(r"chosen by the validation part: (.+)", output)
    assert chosen and chosen[1] in NETWORKS[1:]
    weights = re.search(r"tuner: best of 2 trials \{(.+)\}", output)
    assert weights and [each.split("'")[1] for each in weights[1].split(", ")] == TASKS
    assert len(re.findall(r"^\[ *\d+ s\] .+: \d+\.\d s an epoch$", output, re.MULTILINE)) == 8


def test_the_quickstart_draws_a_figure(output, folder):
    image = matplotlib.image.imread(folder / "census.png")
    assert image.shape[0] > 200 and image.shape[1] > 1000
    assert len(np.unique(image[..., :3].reshape(-1, 3), axis=0)) > 10


def test_the_quickstart_exports_what_a_new_process_serves(output, folder):
    served = re.search(r"served from (.+): (\[.+\]); largest difference (\S+)", output)
    assert served and pathlib.Path(served[1]) == folder / "census" / "1"
    assert served[2] == str(sorted([*TASKS, "serving_default"]))
    assert float(served[3]) <= 1e-5
    assert (folder / "census" / "1" / "saved_model.pb").is_file()
    assert [path.name for path in (folder / "census").iterdir()] == ["1"]


@pytest.mark.slow
def test_the_quickstart_reaches_on_two_replicas_what_it_reaches_on_one(output, folder):
    one = read_table(output)
    two = read_table(quickstart(folder.parent / "two", "--replicas", 2))
    assert list(one) == list(two)
    for name, row in one.items():
        np.testing.assert_allclose(two[name][:3], row[:3], atol=0.01, err_msg=name)


def test_the_benchmark_of_steps_prints_ratios_to_stock_keras(tmp_path):
    few = ["--tasks", 2, "--networks", "tower", "--balancers", "Equal", "--turns", 1]
    output = run("benchmarks/step_cost.py", *few, folder=tmp_path)
    assert re.search(r"tower-bound network, K = 2: stock step \d+\.\d ms", output)
    rows = [line.split() for line in output.splitlines() if line.startswith("Equal")]
    assert [row[1:3] for row in rows] == [["losses", "1"], ["losses", "10"]]
    assert all(0.1 < float(row[3]) < 10 and row[4] == "1.05" for row in rows)

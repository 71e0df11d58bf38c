"""Ray Train as the engine: workers that it starts, and starts again, train as one process.

`KERAS_MTL_RAY_PYTHON` names an interpreter with Ray Train, if this one has none.
"""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import small_problem as problem

import keras_mtl as mtl
from keras_mtl.training._cluster import _cluster
from keras_mtl.training._cluster._cluster import _facts
from keras_mtl.training._cluster._description import addresses_of

SCRIPT = pathlib.Path(__file__).with_name("ray_run.py")
PYTHON = os.environ.get("KERAS_MTL_RAY_PYTHON", sys.executable)


def test_workers_of_one_machine_talk_over_its_loopback():
    assert addresses_of([("10.0.0.7", 1), ("10.0.0.7", 2)]) == ["127.0.0.1:1", "127.0.0.1:2"]
    several = [("10.0.0.7", 1), ("10.0.0.8", 2), ("10.0.0.7", 3)]
    assert addresses_of(several) == ["10.0.0.7:1", "10.0.0.8:2", "10.0.0.7:3"]


def test_the_script_of_rays_own_workers_is_not_compared(monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--startup-token=7"])
    assert {"script", "arguments"} <= {*_facts("TF_CONFIG")}
    assert not {"script", "arguments"} & {*_facts("Ray Train")}
    assert "tensorflow" in _facts("Ray Train")


def test_rays_own_configuration_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/ray/_private/workers/default_worker.py", "--startup=7"])
    workers = {"cluster": {"worker": ["10.0.0.7:1", "10.0.0.8:2"]}}
    task = {"task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps({**workers, **task}))
    monkeypatch.setattr(_cluster, "_CLUSTERS", {})
    with pytest.raises(RuntimeError, match=r"tensorflow_config=training\.ray_config\(\)"):
        mtl.training.cluster(timeout=1)


def test_a_report_without_ray_train_is_refused():
    model = problem.balanced(mtl.balancers.Equal())
    kind = RuntimeError if importlib.util.find_spec("ray") else ImportError
    message = "has not started this process" if kind is RuntimeError else r"keras_mtl\[distributed"
    with pytest.raises(kind, match=message):
        model.fit(problem.dataset(1), callbacks=[mtl.training.RayReport()], verbose=0)
    assert int(model.optimizer.iterations) == 0
    if kind is ImportError:
        with pytest.raises(ImportError, match=message):
            mtl.training.ray_config()


def has_ray():
    done = subprocess.run([PYTHON, "-c", "import ray.train"], capture_output=True, check=False)
    return done.returncode == 0


def start(command, folder, *arguments):
    done = subprocess.run(
        [*command, str(folder), *arguments],
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout + done.stderr


def end_of(folder, index):
    with np.load(folder / f"end_{index}.npz") as values:
        return dict(values)


@pytest.mark.slow
@pytest.mark.parametrize("harm", [False, True], ids=["whole", "killed"])
def test_workers_of_ray_train_end_as_one_process(tmp_path, harm):
    if not has_ray():
        pytest.skip("needs Ray Train")
    alone, together = tmp_path / "alone", tmp_path / "together"
    for folder in (alone, together):
        folder.mkdir()
    start([sys.executable, str(SCRIPT.with_name("backup_run.py"))], alone)
    output = start([PYTHON, str(SCRIPT)], together, *(["--harm"] if harm else []))
    assert ("[FailurePolicy] RETRY" in output) == harm == (together / "killed").exists()
    expected = end_of(alone, 0)
    for index in range(2):
        values = end_of(together, index)
        assert values.keys() == expected.keys()
        for name, value in expected.items():
            scale = max(1.0, float(np.max(np.abs(value), initial=0.0)))
            np.testing.assert_allclose(values[name], value, atol=1e-6 * scale, err_msg=name)
    result = json.loads((together / "result.json").read_text())
    assert result["source"] == "Ray Train" and result["legacy"] is None
    assert result["resumed"] == ([1, 2] if harm else None)
    assert all(worker.startswith("127.0.0.1:") for worker in result["workers"])
    # What Ray keeps: the logs and the network of the last epoch.
    assert result["metrics"]["epoch"] == 4
    assert result["metrics"]["loss"] == pytest.approx(expected["log_loss"][-1], rel=1e-5)
    network = keras.saving.load_model(pathlib.Path(result["checkpoint"], "network.keras"))
    at_the_end = list(end_of(together, 0).values())
    for weight in network.weights:
        assert any(np.array_equal(weight, value) for value in at_the_end), weight.path

"""Triton runs the repository that `write_triton` makes. To run it, make an environment for it:

python3.11 -m venv triton
triton/bin/pip install nvidia-pytriton==0.7.0 onnxruntime "numpy<2"
KERAS_MTL_TRITON=triton pytest -n 0 -m slow tests/serving/test_triton.py
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from running_server import wait_for
from tiny_model import COLUMNS, ROWS, reference, write_version

from keras_mtl.export import RefusedVersion
from keras_mtl.serving import Client, ServingError, write_triton

PLACE = os.environ.get("KERAS_MTL_TRITON", "")
needs_triton = pytest.mark.skipif(not PLACE, reason="needs KERAS_MTL_TRITON, see above")


def test_a_repository_is_whole_and_versions_are_added(tmp_path):
    for number in (1, 2):
        write_version(tmp_path / "tiny" / str(number), bias=number / 10)
        folder = write_triton(tmp_path / "tiny" / str(number), tmp_path / "repository", "tiny")
        assert {path.name for path in folder.iterdir()} == {
            "model.onnx",
            "model.py",
            "outputs.json",
        }
    home = tmp_path / "repository" / "tiny"
    assert {path.name for path in home.iterdir()} == {"config.pbtxt", "1", "2"}
    assert [path.name for path in home.parent.iterdir()] == ["tiny"]
    compile((home / "2" / "model.py").read_text(), "model.py", "exec")
    config = (home / "config.pbtxt").read_text()
    assert 'name: "hours" data_type: TYPE_FP32 dims: [ 1 ] reshape: { shape: [ ] } opt' in config
    with pytest.raises(FileExistsError, match="never overwritten"):
        write_triton(tmp_path / "tiny" / "2", tmp_path / "repository", "tiny")
    (tmp_path / "tiny" / "2" / "model.onnx").write_bytes(b"x")
    with pytest.raises(RefusedVersion, match=r"model\.onnx is not the file"):
        write_triton(tmp_path / "tiny" / "2", tmp_path / "other", "tiny")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def triton(repository, scratch, control=("poll", "--repository-poll-secs=1")):
    """Yields the address of a Triton that serves a repository, and its port of gRPC."""
    site = next((pathlib.Path(PLACE).resolve() / "lib").glob("python3*/site-packages"))
    binaries = site / "pytriton" / "tritonserver"
    backend = scratch / "backends" / "python"
    shutil.copytree(binaries / "backends" / "python", backend)
    stub = binaries / "python_backend_stubs" / "3.11" / "triton_python_backend_stub"
    shutil.copy(stub, backend)
    python = pathlib.Path(PLACE) / "bin" / "python"
    show = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"
    library = subprocess.run([python, "-c", show], capture_output=True, text=True, check=True)
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": f"{library.stdout.strip()}:{site / 'nvidia_pytriton.libs'}",
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(site),
        # A folder __pycache__ in the version would be a change, and the version loaded again.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    ports = {name: free_port() for name in ("http", "grpc", "metrics")}
    options = [f"--{name}-port={port}" for name, port in ports.items()]
    options += [f"--{name}-address=127.0.0.1" for name in ports]
    options += [f"--model-repository={repository}", f"--backend-directory={scratch / 'backends'}"]
    mode, *further = control
    options += [f"--model-control-mode={mode}", *further]
    with (scratch / "log").open("w") as log:
        process = subprocess.Popen(
            [binaries / "bin" / "tritonserver", *options], env=environment, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{ports['http']}"

    def is_ready():
        if process.poll() is not None:
            return True
        with Client(url, "tiny", protocol="v2") as client:
            return client.is_ready()

    try:
        wait_for(is_ready, 60)
        assert process.poll() is None, (scratch / "log").read_text()[-3000:]
        yield url, ports["grpc"]
    finally:
        process.terminate()
        process.wait(30)


def ask(url, inputs, outputs):
    """Returns the status and the error of a request of the Open Inference Protocol."""
    body = {"inputs": inputs, "outputs": [{"name": name} for name in outputs]}
    request = urllib.request.Request(f"{url}/v2/models/tiny/infer", json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())["error"]


@pytest.mark.slow
@needs_triton
def test_triton_answers_as_numpy_and_reloads_under_load(tmp_path):
    write_version(tmp_path / "tiny" / "1")
    write_triton(tmp_path / "tiny" / "1", tmp_path / "repository", "tiny")
    rows = {name: np.array(values) for name, values in ROWS.items()}
    rows["age"] = np.array([[39.0], [-20.5], [61.0]])
    expected = reference(rows)
    with triton(tmp_path / "repository", tmp_path) as (url, _):
        with Client(url, "tiny", protocol="v2") as client:
            answers = client.predict(rows)
            assert set(answers) == set(expected)
            for name, values in expected.items():
                close = answers[name].reshape(values.shape)
                np.testing.assert_allclose(close, values, rtol=1e-6, atol=1e-6)
            alone = client.predict({"hours": rows["hours"]}, "left")
            np.testing.assert_allclose(alone["left"].ravel(), expected["left"], atol=1e-5)
            with pytest.raises(ServingError, match="column 'hours' is missing"):
                client.predict({name: rows[name] for name in COLUMNS if name != "hours"}, "left")
            with pytest.raises(ServingError, match="400"):
                client.predict(rows, "nobody")
        hours = {"name": "hours", "shape": [1, 1], "datatype": "FP32", "data": [1e30]}
        status, sentence = ask(url, [hours], ["left"])
        assert status >= 400
        assert "column 'hours' has a number that is not finite or absurd" in sentence

        def ask_often(seed):
            with Client(url, "tiny", protocol="v2") as client:
                return [client.predict(rows, "income")["income"].ravel() for _ in range(300)]

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            running = [pool.submit(ask_often, seed) for seed in range(4)]
            write_version(tmp_path / "tiny" / "2", bias=0.5)
            write_triton(tmp_path / "tiny" / "2", tmp_path / "repository", "tiny")
            seen = [answer for future in running for answer in future.result()]
        both = [reference(rows, bias)["income"].ravel() for bias in (0.0, 0.5)]
        for answer in seen:
            assert min(np.abs(answer - values).max() for values in both) < 1e-6
        with Client(url, "tiny", protocol="v2") as client:
            wait_for(lambda: np.allclose(client.predict(rows, "income")["income"].ravel(), both[1]))


LOAD = """
import sys
import tritonclient.grpc
tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{sys.argv[1]}").load_model("tiny")
"""


def load_by_grpc(port):
    """Tells Triton to load the model anew, by a client of its environment; returns its status."""
    command = [pathlib.Path(PLACE) / "bin" / "python", "-c", LOAD, str(port)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.slow
@needs_triton
def test_triton_reloads_by_grpc_without_an_error_or_a_second_of_silence(tmp_path):
    rows = {name: np.array(values) for name, values in ROWS.items()}
    rows["age"] = np.array([[39.0], [-20.5], [61.0]])

    def add(number):
        write_version(tmp_path / "tiny" / str(number), bias=number / 10)
        write_triton(tmp_path / "tiny" / str(number), tmp_path / "repository", "tiny")

    stopped, seen, slowest = threading.Event(), [], [0.0]

    def ask_on():
        with Client(url, "tiny", protocol="v2") as client:
            while not stopped.is_set():
                start = time.monotonic()
                seen.append(client.predict(rows, "income")["income"].ravel())
                slowest[0] = max(slowest[0], time.monotonic() - start)

    add(1)
    with (
        triton(tmp_path / "repository", tmp_path, ("explicit", "--load-model=tiny")) as (
            url,
            port,
        ),
        concurrent.futures.ThreadPoolExecutor(4) as pool,
    ):
        running = [pool.submit(ask_on) for _ in range(4)]
        try:
            for number in (2, 3):
                add(number)
                done = load_by_grpc(port)
                assert done.returncode == 0, done.stderr
            add(4)
            model = tmp_path / "repository" / "tiny" / "4" / "model.onnx"
            model.write_bytes(model.read_bytes()[:100])
            assert load_by_grpc(port).returncode == 1
            count = len(seen)
            wait_for(lambda: len(seen) > count + 20)
        finally:
            stopped.set()
        for future in running:
            future.result()
    versions = [reference(rows, number / 10)["income"].ravel() for number in (1, 2, 3)]
    distances = np.abs(np.array(seen)[:, None] - np.array(versions)).max(-1)
    assert distances.min(1).max() < 1e-6
    assert {*distances.argmin(1)} == {0, 1, 2}
    assert {*distances[-20:].argmin(1)} == {2}  # the broken version is refused, the old one goes on
    print(f"\n{len(seen)} answers over two new versions, the slowest {1000 * slowest[0]:.0f} ms")

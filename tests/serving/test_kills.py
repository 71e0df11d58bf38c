"""Whatever is killed by SIGKILL under load, and whenever: no wrong answer, no half a version.

    PATH=$PATH:/usr/sbin pytest -n 0 -m slow -s tests/serving/test_kills.py

Twenty exporters, twenty servers, ten of each proxy. All answers are looked at: those with status
200 must be what the version that they name answers. Every test says how many there were.
"""

import contextlib
import functools
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from constant_load import Load
from running_proxy import basic, program, start_proxy, token, trust, write_front
from running_server import wait_for
from server_process import ask, contents, free_port, is_ready, running, start_server
from tiny_model import ROWS, reference, write_version

from keras_mtl.export import audit, check_manifest

pytestmark = pytest.mark.slow

EXPORT = """
import itertools, os, random, signal, sys, time
import keras
import numpy as np
import tf2onnx
import keras_mtl as mtl

def export_on(first):
    tasks = [mtl.Task.regression(name) for name in ("rise", "fall")]
    x = keras.Input((4,), name="x")
    heads = {task.name: keras.layers.Dense(1) for task in tasks}
    network = keras.Model(x, {name: head(x) for name, head in heads.items()})
    for version in itertools.count(first):
        slope = np.full((4, 1), version / 1000)
        heads["rise"].set_weights([slope, np.zeros(1)])
        heads["fall"].set_weights([-slope, np.ones(1)])
        mtl.export.saved_model(network, tasks, f"{sys.argv[1]}/{version}", formats=["onnx"])

moments = random.Random(0)
for turn in range(20):
    start, first = time.monotonic(), 100 * turn + 1
    exporter = os.fork()  # before TensorFlow has computed anything, and so has threads
    if not exporter:
        export_on(first)
    while not os.path.exists(f"{sys.argv[1]}/{first}"):
        assert os.waitpid(exporter, os.WNOHANG) == (0, 0), "the exporter failed"
        time.sleep(0.01)
    # The first version takes longer than the next one.
    time.sleep(moments.uniform(0, 0.7) * (time.monotonic() - start))
    os.kill(exporter, signal.SIGKILL)
    os.waitpid(exporter, 0)
"""
ROW = [1.0, -2.0, 3.5, 4.5]
BODY = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": ROW}]}
TINY = {
    "inputs": [
        {"name": "worker", "shape": [3, 1], "datatype": "BYTES", "data": ROWS["worker"]},
        {"name": "age", "shape": [3, 1], "datatype": "FP32", "data": ROWS["age"]},
        {"name": "hours", "shape": [3], "datatype": "FP32", "data": ROWS["hours"]},
        {"name": "weeks", "shape": [3, 1], "datatype": "INT64", "data": ROWS["weeks"]},
    ]
}


def check_exported(version, outputs):
    expected = sum(ROW) * version / 1000
    np.testing.assert_allclose(outputs["rise"], [expected], rtol=1e-5)
    np.testing.assert_allclose(outputs["fall"], [1 - expected], rtol=1e-5)


expected_of = functools.cache(functools.partial(reference, ROWS))


def check_tiny(version, outputs):
    for name, expected in expected_of(version / 1000).items():
        np.testing.assert_allclose(outputs[name], np.ravel(expected), rtol=1e-5, atol=1e-6)


def test_twenty_kills_of_exporters_leave_nothing_that_is_served(tmp_path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    port = free_port()
    server = start_server(folder, port, "--poll-seconds", "0.05")
    try:
        wait_for(lambda: is_listening(port))
        with Load(port, BODY, check_exported, clients=1) as load:
            command = [sys.executable, "-c", EXPORT, str(folder)]
            subprocess.run(command, stderr=subprocess.DEVNULL, check=True)
            whole = sorted(int(path.name) for path in folder.glob("[0-9]*"))
            wait_for(lambda: load.versions[whole[-1]] or load.wrong)
        states = ask(port, "/v1/models/tiny")[1]["model_version_status"]
    finally:
        server.kill()
        server.communicate()
    left = [path.name for path in folder.iterdir() if not path.name.isdecimal()]
    print(f"\n20 kills of exporters: {len(whole)} versions, {len(left)} remains; {load}")
    assert load.wrong == [] and {*load.statuses} <= {200, 503}
    assert [state["state"] for state in states] == ["AVAILABLE"]  # none was refused
    assert len(left) >= 5 and all(name.startswith(".") for name in left)  # kills met exports
    assert len(whole) >= 20 and len(load.versions) >= 5
    for version in whole:
        check_manifest(folder / str(version))
        audit(folder / str(version)).check()


def is_listening(port):
    with contextlib.suppress(OSError):
        return ask(port, "/v2/health/live")[0] == 200
    return False


def write_on(folder, stopped, written):
    """Writes versions, every second one by one rename, the others file by file, the model first."""
    number = 1
    while not stopped.wait(0.3):
        number += 1
        if number % 2:
            write_version(folder / str(number), bias=number / 1000)
        else:
            write_version(folder / f".{number}", bias=number / 1000)
            (folder / str(number)).mkdir()
            for name in ("model.onnx", "outputs.json", "recorded.json", "manifest.json"):
                shutil.copy(folder / f".{number}" / name, folder / str(number) / name)
                time.sleep(0.05)
            shutil.rmtree(folder / f".{number}")
        written.append(number)


def test_twenty_kills_of_a_server_under_load_give_no_wrong_answer(tmp_path):
    folder = tmp_path / "tiny"
    write_version(folder / "1", bias=0.001)
    moments, port, stopped, written = random.Random(7), free_port(), threading.Event(), [1]
    writer = threading.Thread(target=write_on, args=(folder, stopped, written))
    writer.start()
    lives = 0
    try:
        with Load(port, TINY, check_tiny) as load:
            for turn in range(20):
                server = start_server(folder, port, "--poll-seconds", "0.05")
                before = load.statuses[200]
                if turn % 2:  # every second one is killed while it starts
                    wait_for(lambda: is_ready(port))
                time.sleep(moments.uniform(0, 1.5))
                server.kill()
                server.communicate()
                lives += load.statuses[200] > before
    finally:
        stopped.set()
        writer.join()
    before = contents(folder)
    with running(folder) as (_, last), Load(last, TINY, check_tiny) as after:
        wait_for(lambda: after.versions[written[-1]])
    print(f"\n20 kills of servers, of which {lives} had answered: {load}; afterwards {after}")
    assert load.wrong == after.wrong == []
    assert {*load.statuses} <= {200, 503} and lives >= 10 and len(load.versions) >= 5
    assert contents(folder) == before
    assert sorted(int(path.name) for path in folder.iterdir()) == sorted(written)


@pytest.mark.parametrize("name", [pytest.param(n, marks=program(n)) for n in ("nginx", "haproxy")])
def test_ten_kills_of_a_proxy_under_load_give_no_wrong_answer(tmp_path, name):
    folder, port, moments = tmp_path / "tiny", free_port(), random.Random(3)
    write_version(folder / "1", bias=0.001)
    with running(folder) as (server, server_port):
        settings = {"requests_per_second": 100_000, "burst": 100_000}
        front = write_front(tmp_path, port, server_port, **settings)
        right = basic("right")
        if name == "haproxy":
            right = token(front, sub="a", exp=int(time.time()) + 600)
        with Load(port, TINY, check_tiny, trust(front), right) as load:
            for _ in range(10):
                proxy = start_proxy(name, front, port)
                before = load.statuses[200]
                try:
                    wait_for(lambda n=before: load.statuses[200] > n)
                    time.sleep(moments.uniform(0, 1))
                finally:
                    os.killpg(proxy.pid, signal.SIGKILL)
                    proxy.wait()
        assert server.poll() is None
    print(f"\n10 kills of {name}: {load}")
    # haproxy answers 503 until it has seen that the server is ready.
    assert load.wrong == [] and {*load.statuses} <= {200} | ({503} if name == "haproxy" else set())
    assert load.broken >= 10 and load.statuses[200] >= 100

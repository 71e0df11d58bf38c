"""`python -m keras_mtl.serve` in a process of its own: light, and silent about values."""

import signal
import subprocess
import sys

import numpy as np
import pytest
from server_process import ask, contents, free_port, running
from tiny_model import ONE_ROW, reference, write_version

PREDICT = "/v1/models/tiny:predict"

MODULES = """
import runpy, sys, threading, urllib.request
def look():
    address = "http://127.0.0.1:" + sys.argv[-1] + "/v2/health/ready"
    for _ in range(400):
        try:
            urllib.request.urlopen(address).read()
            break
        except OSError:
            threading.Event().wait(0.02)
    memory = open("/proc/self/status").read().split("VmRSS:")[1].split()[0]
    heavy = {"tensorflow", "keras", "pandas", "sklearn", "matplotlib"} & {*sys.modules}
    print("ANSWER", memory, *sorted(heavy), flush=True)
    import os, signal
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=look).start()
runpy.run_module("keras_mtl.serve", run_name="__main__")
"""


@pytest.fixture
def folder(tmp_path):
    write_version(tmp_path / "tiny" / "1")
    return tmp_path / "tiny"


def test_the_command_answers_and_its_log_holds_neither_values_nor_paths(folder):
    before = contents(folder.parent)
    with running(folder, "--log-requests", "--rows", "2") as (process, port):
        status, content = ask(port, PREDICT, {"instances": [ONE_ROW]})
        assert status == 200
        expected = reference({name: [value] for name, value in ONE_ROW.items()})
        np.testing.assert_allclose(content["predictions"][0]["income"], expected["income"][0], 1e-5)
        assert ask(port, PREDICT, {"instances": [ONE_ROW] * 3})[0] == 413
        row = {**ONE_ROW, "worker": ["Secret-7391", 1]}
        assert ask(port, PREDICT, {"instances": [row]})[0] == 400
        assert ask(port, "/v1/models/Secret-7391?worker=Secret-7391")[0] == 404
        process.send_signal(signal.SIGTERM)
        log = process.communicate(timeout=20)[1]
    assert contents(folder.parent) == before
    assert "version 1 is served" in log
    assert "status=200 kind=ok task=all version=1 rows=1" in log
    assert "status=400 kind=shape" in log
    assert "Secret" not in log and "private" not in log and "/v1" not in log


def test_the_process_has_neither_tensorflow_nor_keras_and_less_than_150_megabytes(folder):
    command = [sys.executable, "-c", MODULES, str(folder), "--port", str(free_port())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    memory, *heavy = done.stdout.partition("ANSWER")[2].split()
    assert heavy == []
    assert int(memory) < 150 * 1024


def test_a_folder_that_is_none_and_a_wrong_option_are_refused():
    command = [sys.executable, "-m", "keras_mtl.serve"]
    done = subprocess.run([*command, "no/such/folder"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip().endswith("no/such/folder' is no folder.")
    assert "Traceback" not in done.stderr
    done = subprocess.run(
        [*command, ".", "--rows", "0"], capture_output=True, text=True, check=False
    )
    assert "rows must be positive; received 0." in done.stderr

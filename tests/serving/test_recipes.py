"""The recipes of examples/servers answer as NumPy does, each in an environment of its own:

for name in kserve bentoml ray; do python3.11 -m venv servers/$name; done
servers/kserve/bin/pip install onnx onnxruntime kserve==0.21.0
servers/bentoml/bin/pip install onnx onnxruntime bentoml==1.4.40
servers/ray/bin/pip install onnx onnxruntime "ray[serve]==2.60.0"
KERAS_MTL_SERVERS=servers pytest -n 0 -m slow tests/serving/test_recipes.py
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import numpy as np
import pytest
from hostile_requests import SECRET, bad_values, hostile_names, hostile_values
from running_server import wait_for
from tiny_model import COLUMNS, ONE_ROW, ROWS, SHARED, reference, write_version

from keras_mtl.serving import Client, ServingError

PLACE = pathlib.Path(os.environ.get("KERAS_MTL_SERVERS", "/nowhere")).resolve()
ROOT = pathlib.Path(__file__).parents[2]
NAMES = ("kserve", "bentoml", "ray")
EXPECTED = reference(ROWS)

pytestmark = [pytest.mark.slow]


def needs(name):
    missing = not (PLACE / name / "bin" / "python").exists()
    return pytest.param(name, marks=pytest.mark.skipif(missing, reason=f"needs {name}, see above"))


def command_of(name, version, port):
    """Returns the command of a recipe as its first lines state it, with a port."""
    if name == "kserve":
        script = ["python", "kserve_server.py", "--model_name=tiny"]
        return [*script, f"--model_dir={version}", f"--http_port={port}"]
    if name == "bentoml":
        script = ["bentoml", "serve", "bentoml_service:Version"]
        return [*script, "--host=127.0.0.1", f"--port={port}"]
    # Without a configuration, Ray Serve listens at its own port.
    application = {"import_path": "ray_application:application", "args": {"folder": str(version)}}
    application |= {"name": "tiny", "route_prefix": "/"}
    content = {"http_options": {"host": "127.0.0.1", "port": port}, "applications": [application]}
    configuration = version.parent / "ray.yaml"
    configuration.write_text(json.dumps(content))
    return ["serve", "run", str(configuration)]


def ask(url, content):
    """Returns the status and the text of the answer to a body, which is JSON unless it is bytes."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def addresses(name, url):
    """Returns where columns and rows are sent, and their keys in a request."""
    if name == "kserve":
        url += "/v1/models/tiny:predict"
        return {"inputs": url, "instances": url}
    if name == "bentoml":
        return {"columns": f"{url}/predict", "rows": f"{url}/predict_rows"}
    return {"columns": f"{url}/", "rows": f"{url}/"}


@contextlib.contextmanager
def running(name, version, log):
    """Yields the address of a server, once its port is open."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    home = PLACE / name / "bin"
    environment = {
        **os.environ,
        "PATH": f"{home}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'examples' / 'servers'}",
        "VERSION": str(version),
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(version.parent / "bentoml"),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    command = command_of(name, version, port)
    with log.open("w") as stream:
        process = subprocess.Popen(
            [home / command[0], *command[1:]],
            cwd=ROOT / "examples" / "servers",
            env=environment,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )

    url = f"http://127.0.0.1:{port}"

    def answers():
        assert process.poll() is None, log.read_text()[-3000:]
        with contextlib.suppress(OSError):
            # 404 and 503 until the model is there.
            return ask(next(iter(addresses(name, url).values())), {})[0] == 400
        return False

    try:
        wait_for(answers, 90)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def check(answer, names, expected=EXPECTED):
    assert set(answer) == set(names)
    for name in names:
        np.testing.assert_allclose(answer[name], expected[name], rtol=0, atol=1e-5)


HOSTILE = [
    ({**ROWS, "age": [[1.0], [float("nan")], [3.0]]}, None, ""),
    ({**ROWS, "hours": [1.0, 1e30, 3.0]}, None, "column 'hours', row 1: the number is beyond"),
    ({**ROWS, "hours": [1.0, SECRET, 3.0]}, None, "column 'hours', row 1: expected a number"),
    ({**ROWS, "weeks": [[1.5], [2], [3]]}, None, "column 'weeks', row 0: expected an integer"),
    ({**ROWS, "worker": [[SECRET * 30]] * 3}, None, "column 'worker', row 0: the string has 330"),
    ({**ROWS, "worker": [[None]] * 3}, None, "column 'worker', row 0: expected a string"),
    ({**ROWS, "salary": [1, 2, 3]}, None, "column 'salary' is unknown"),
    ({name: ROWS[name] for name in SHARED}, "left", "column 'hours' is missing"),
    (ROWS, "nobody", "there is no task 'nobody'"),
    (ROWS, [SECRET], "there is no task (a list)"),
    (SECRET, None, "by name; received a string"),
]


@pytest.mark.parametrize("name", [needs(name) for name in NAMES])
def test_a_recipe_answers_as_numpy_and_refuses(name, tmp_path):
    version = tmp_path / "models"
    write_version(version)
    log = tmp_path / "log"
    imported = subprocess.run(
        [PLACE / name / "bin" / "python", "-c", "import tensorflow"], check=False
    )
    assert imported.returncode  # no TensorFlow in its environment
    with running(name, version, log) as url:
        (by_column, column_url), (by_row, row_url) = addresses(name, url).items()
        task_key = "signature_name" if name == "kserve" else "task"
        status, text = ask(column_url, {by_column: ROWS})
        assert status == 200, text
        answer = json.loads(text)
        check(answer["outputs"] if name == "kserve" else answer, EXPECTED)
        shared = {key: ROWS[key] for key in SHARED}
        status, text = ask(column_url, {by_column: shared, task_key: "income"})
        answer = json.loads(text)
        check(answer["outputs"] if name == "kserve" else answer, ["income", "income_decision"])

        rows = [{"hours": ONE_ROW["hours"]}]
        status, text = ask(row_url, {by_row: rows, task_key: "left"})
        answer = json.loads(text)
        assert (answer["predictions"] if name == "kserve" else answer) == [{"left": 0.0}]

        for columns, task, sentence in HOSTILE:
            body = {by_column: columns} | ({} if task is None else {task_key: task})
            status, text = ask(column_url, body)
            assert 400 <= status < 500, (columns, text)
            assert sentence in text and SECRET not in text
        for column in COLUMNS:
            for label, value in bad_values(column):
                columns = {**ROWS, column: [ROWS[column][0], value, ROWS[column][2]]}
                body = json.dumps({by_column: columns})
                status, text = ask(column_url, body.encode())
                assert 400 <= status < 500, (column, label, text)
                is_json = "NaN" not in body and "Infinity" not in body
                assert SECRET not in text and (f"column '{column}', row 1" in text or not is_json)
        for body in (b"", b"{", b"[]", b"\xff", b"[" * 10_000, b'{"rows": 3}', b'{"columns": 3}'):
            status, text = ask(column_url, body)
            assert 400 <= status < 500, (body[:20], text)
        assert ask(column_url, {by_column: ROWS})[0] == 200
        if name == "kserve":
            check_clients(url)
    assert SECRET not in log.read_text()


def check_clients(url):
    """Checks that the client of the package works with KServe by both protocols."""
    for protocol in ("v1", "v2"):
        with Client(url, "tiny", protocol=protocol) as client:
            check(client.predict(ROWS), EXPECTED)
            check(client.predict({"hours": ROWS["hours"]}, "left"), ["left"])
            with pytest.raises(ServingError, match=r"400: .*column 'worker'.* is missing"):
                client.predict({"hours": ROWS["hours"]}, "income")
            with pytest.raises(ServingError, match=r"40\d: .*column 'hours', row 0"):
                client.predict({"hours": [1e30]}, "left")
    for request in [*hostile_values(), *hostile_names()]:
        status, text = ask(url + request.path, request.body)
        assert 400 <= status < 500, (request.label, text)
        # KServe itself refuses 422 what has not the form of a request, and shows it to its sender.
        if status == 400:
            assert SECRET not in text

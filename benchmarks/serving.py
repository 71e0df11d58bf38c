"""The small server beside FastAPI with TensorFlow: seconds to be ready, memory, requests a second.

    python benchmarks/serving.py                   # about four minutes, with the export
    python benchmarks/serving.py --seconds 20      # steadier numbers
    python benchmarks/serving.py --triton folder   # Triton, too, from the environment that
                                                   # tests/serving/test_triton.py describes

One network of Census-Income with 38 raw columns (7 numbers, 31 strings) and three tasks is exported
once. All servers answer the same rows, one per request: over TensorFlow Serving's REST, Triton over
the Open Inference Protocol. All answers of the load are looked at: their status, and every
probability against Keras's.
"""

import argparse
import asyncio
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import numpy as np
import page_tables

from keras_mtl import serving

EXPORT = """
import json, pathlib, sys
import keras
import numpy as np
import keras_mtl as mtl
from keras_mtl import architectures, data, datasets

folder, scratch = pathlib.Path(sys.argv[1]), sys.argv[2]
keras.utils.set_random_seed(1)
raw = datasets.census_income("train[:20%]", batch_size=512, config="small", data_dir=scratch)
tasks = datasets.census_income_tasks()
encoder = data.tabular_encoder(raw, bins=48)
features = data.embed_columns(encoder, units=4, numeric="piecewise")
network = architectures.hard_sharing(features, tasks, shared=(64,), tower=(16,))
network.compile("adam", **mtl.compile_args(tasks))
rows = raw.map(lambda columns, labels: (encoder(columns), labels))
network.fit(rows, epochs=2, shuffle=False, verbose=0)
served = data.with_preprocessing(encoder, network)
mtl.export.saved_model(served, tasks, folder / "1")
mtl.export.onnx(folder / "1")
columns, _ = next(iter(raw))
answers = served.predict(columns, verbose=0)
plain = {name: np.asarray(values) for name, values in columns.items()}
texts = {k: np.char.decode(v.astype("S")) for k, v in plain.items() if v.dtype == object}
columns = {name: values.tolist() for name, values in (plain | texts).items()}
rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
content = {"rows": rows, "answers": {name: v.ravel().tolist() for name, v in answers.items()}}
(folder / "rows.json").write_text(json.dumps(content))
print(network.count_params())
"""

FASTAPI = """
import sys
import fastapi, uvicorn
import tensorflow as tf

served = tf.saved_model.load(sys.argv[1])
call = served.signatures["serving_default"]
specs = call.structured_input_signature[1]
app = fastapi.FastAPI()

@app.post("/v1/models/census:predict")
def predict(body: dict):
    rows = body["instances"]
    columns = {k: tf.constant([row[k] for row in rows], s.dtype) for k, s in specs.items()}
    outputs = {name: values.numpy().tolist() for name, values in call(**columns).items()}
    return {"predictions": [dict(zip(outputs, row)) for row in zip(*outputs.values())]}

@app.get("/v2/health/ready")
def ready():
    return {}

uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
"""


@contextlib.contextmanager
def running(command, environment=None):
    """Yields a server's port, the seconds until it was ready, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*command, str(port)], env=environment, **quiet)
    try:
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready").read()
                break
            if process.poll() is not None or time.perf_counter() > started + 120:
                raise RuntimeError(f"{command[:4]} does not serve")
            time.sleep(0.02)
        yield port, time.perf_counter() - started, process
    finally:
        process.terminate()
        process.wait()


class Client(asyncio.Protocol):
    """Sends one request after the other over one connection, and keeps times and answers."""

    def __init__(self, requests, end):
        self.requests, self.end = requests, end
        self.count = 0
        self.log = []
        self.done = asyncio.get_running_loop().create_future()
        self.rest = b""

    def connection_made(self, transport):
        self.transport = transport
        self.send()

    def send(self):
        self.started = time.perf_counter()
        self.place = self.count % len(self.requests)
        self.transport.write(self.requests[self.place])
        self.count += 1

    def data_received(self, received):
        self.rest += received
        head, found_end, body = self.rest.partition(b"\r\n\r\n")
        size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]) if found_end else 0
        if not found_end or len(body) < size:
            return
        now = time.perf_counter()
        self.log.append((self.place, now - self.started, int(head.split(b" ")[1]), body))
        self.rest = b""
        if now < self.end:
            self.send()
        else:
            self.transport.close()
            self.done.set_result(self.log)

    def connection_lost(self, error):
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed the connection"))


async def load(port, requests, clients, seconds):
    """Returns the places, seconds, status and bodies of all answers to some clients."""
    loop = asyncio.get_running_loop()
    end = time.perf_counter() + seconds
    protocols = []
    for number in range(clients):
        turned = requests[number:] + requests[:number]
        _, protocol = await loop.create_connection(
            lambda turned=turned: Client(turned, end), "127.0.0.1", port
        )
        protocols.append((number, protocol))
    logs = []
    for number, protocol in protocols:
        for place, *facts in await protocol.done:
            logs.append(((place + number) % len(requests), *facts))
    return logs


def make_requests(rows):
    """Returns the bytes of a request for each row."""
    requests = []
    for row in rows:
        body = json.dumps({"instances": [row]}).encode()
        head = "POST /v1/models/census:predict HTTP/1.1\r\nHost: x\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        requests.append(head.encode() + body)
    return requests


def make_tensors(rows, port):
    """Returns the bytes of a request of the Open Inference Protocol for each row."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/models/census") as reply:
        columns = json.loads(reply.read())["inputs"]
    requests = []
    for row in rows:
        inputs = [
            {
                "name": column["name"],
                "shape": [1] * len(column["shape"]),
                "datatype": column["datatype"],
                "data": np.ravel(row[column["name"]]).tolist(),
            }
            for column in columns
        ]
        body = json.dumps({"inputs": inputs}).encode()
        head = "POST /v2/models/census/infer HTTP/1.1\r\nHost: x\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        requests.append(head.encode() + body)
    return requests


def read_row(content):
    """Returns the predictions of an answer to one row, by task."""
    if "predictions" in content:
        return content["predictions"][0]
    return {output["name"]: output["data"] for output in content["outputs"]}


def check(logs, answers):
    """Returns the largest difference of the answers to Keras's; raises if one failed."""
    worst = 0.0
    for place, _, status, body in logs:
        if status != 200:
            raise RuntimeError(f"status {status}: {body[:200]}")
        row = read_row(json.loads(body))
        for name, values in answers.items():
            worst = max(worst, abs(np.ravel(row[name])[0] - values[place]))
    return worst


def family(process):
    """Returns the ids of a process and of those that it started."""
    parents = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            parents[int(path.parent.name)] = int(fields[1])
    members = {process.pid}
    while more := {child for child, parent in parents.items() if parent in members} - members:
        members |= more
    return members


def memory(process):
    """Returns the resident memory of a process and of those that it started, in MB."""
    texts = [pathlib.Path(f"/proc/{pid}/status").read_text() for pid in family(process)]
    return sum(int(text.split("VmRSS:")[1].split()[0]) for text in texts) / 1024


def processor_seconds(process):
    """Returns the seconds that a process and those that it started have computed."""
    ticks = 0
    for pid in family(process):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(command, content, options, environment=None):
    """Returns the requests per second of one server at 8 clients, and its cells of the table."""
    with running(command, environment) as (port, ready, process):
        is_triton = environment is not None
        rows = content["rows"]
        requests = make_tensors(rows, port) if is_triton else make_requests(rows)
        asyncio.run(load(port, requests, 8, 2))
        one = asyncio.run(load(port, requests, 1, options.seconds))
        before = processor_seconds(process)
        eight = asyncio.run(load(port, requests, 8, options.seconds))
        used_seconds = processor_seconds(process) - before
        worst = check(one + eight, content["answers"])
        used = memory(process)
    times = 1000 * np.array([seconds for _, seconds, _, _ in one])
    cells = [f"{ready:.1f}", f"{used:.0f}"]
    cells += [f"{np.median(times):.1f} / {np.quantile(times, 0.99):.1f}"]
    cells += [f"{len(answers) / options.seconds:.0f}" for answers in (one, eight)]
    cells += [f"{1e6 * used_seconds / len(eight):.0f}", f"{worst:.0e}"]
    return len(eight) / options.seconds, cells


def triton(place, folder, scratch):
    """Returns the command of a Triton that serves a version, and its environment."""
    serving.write_triton(folder / "1", scratch / "repository", "census")
    place = place.resolve()
    (site,) = (place / "lib").glob("python3*/site-packages")
    home = site / "pytriton" / "tritonserver"
    backend = scratch / "backends" / "python"
    shutil.copytree(home / "backends" / "python", backend)
    shutil.copy(home / "python_backend_stubs/3.11/triton_python_backend_stub", backend)
    show = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"
    python = place / "bin" / "python"
    library = subprocess.run([python, "-c", show], capture_output=True, text=True, check=True)
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": f"{library.stdout.strip()}:{site / 'nvidia_pytriton.libs'}",
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(site),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    options = ["--allow-grpc=false", "--allow-metrics=false", "--http-address=127.0.0.1"]
    options += [f"--model-repository={scratch / 'repository'}"]
    options += [f"--backend-directory={scratch / 'backends'}", "--http-port"]
    return [home / "bin" / "tritonserver", *options], environment


def change_versions(folder, content, options):
    """Prints what 20 new versions do to the answers of 4 clients."""
    requests = make_requests(content["rows"])
    command = [sys.executable, "-m", "keras_mtl.serve", str(folder), "--name", "census"]

    async def run(port):
        seconds = 20 * options.change_seconds + 1
        running_load = asyncio.create_task(load(port, requests, 4, seconds))
        for number in range(2, 22):
            await asyncio.sleep(options.change_seconds)
            await asyncio.to_thread(new_version, folder, number)
        return await running_load

    with running([*command, "--poll-seconds", "0.2", "--port"]) as (port, _, _):
        logs = asyncio.run(run(port))
        time.sleep(1)
        address = f"http://127.0.0.1:{port}/v1/models/census"
        states = json.loads(urllib.request.urlopen(address).read())["model_version_status"]
    worst = check(logs, content["answers"])
    slowest = max(seconds for _, seconds, _, _ in logs)
    served = [state["version"] for state in states if state["state"] == "AVAILABLE"]
    print(
        f"20 new versions under the load of 4 clients: {len(logs)} answers, all 200, largest "
        f"difference {worst:.0e}, slowest {1000 * slowest:.0f} ms; at the end version {served[0]}."
    )


def new_version(folder, number):
    """Copies version 1 to another number, by one rename."""
    hidden = folder / f".{number}.copying"
    shutil.copytree(folder / "1", hidden)
    os.rename(hidden, folder / str(number))


def main(options):
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or pathlib.Path(scratch) / "census"
        if not (folder / "rows.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            subprocess.run([sys.executable, "-c", EXPORT, str(folder), scratch], check=True)
        content = json.loads((folder / "rows.json").read_text())
        header = ["server", "ready, s", "MB", "p50 / p99 ms, 1 client", "requests/s, 1", "8"]
        table = page_tables.Table("serving", [*header, "CPU us", "difference"], options.record)

        def add(name, *arguments):
            rate, cells = measure(*arguments)
            table.add(name, *cells)
            return rate

        command = [sys.executable, "-m", "keras_mtl.serve", str(folder), "--name", "census"]
        ours = add("keras_mtl.serve", [*command, "--port"], content, options)
        command = [sys.executable, "-c", FASTAPI, str(folder / "1")]
        theirs = add("FastAPI + TensorFlow", command, content, options)
        if options.triton:
            command, environment = triton(options.triton, folder, pathlib.Path(scratch))
            add("Triton 2.51 + ONNX Runtime", command, content, options, environment)
        table.keep()
        print(f"\n{ours / theirs:.1f} times the requests of FastAPI + TensorFlow at 8 clients.")
        with tempfile.TemporaryDirectory() as changing:
            shutil.copytree(folder / "1", pathlib.Path(changing) / "1")
            change_versions(pathlib.Path(changing), content, options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--change-seconds", type=float, default=0.7)
    parser.add_argument("--folder", type=pathlib.Path, help="keeps the export")
    parser.add_argument("--triton", type=pathlib.Path, help="an environment with Triton")
    page_tables.add_option(parser)
    main(parser.parse_args())

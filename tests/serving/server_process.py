"""`python -m keras_mtl.serve` in a process of its own, and plain requests to it."""

import contextlib
import http.client
import json
import pathlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from running_server import wait_for


def free_port() -> int:
    """Returns a port at which nobody listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port


def ask(port: int, path: str, body: Any = None) -> tuple[int, Any]:
    """Returns the status and the content of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        raw = None if body is None else json.dumps(body).encode()
        connection.request("GET" if body is None else "POST", path, raw)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())


def contents(folder: pathlib.Path) -> dict[pathlib.Path, tuple[int, int]]:
    """Returns when each file of a folder was written, and its size."""
    status = {path: path.stat() for path in folder.rglob("*")}
    return {path: (facts.st_mtime_ns, facts.st_size) for path, facts in status.items()}


def is_ready(port: int) -> bool:
    """Returns whether a server has a version to answer from."""
    try:
        return ask(port, "/v2/health/ready")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def start_server(folder: pathlib.Path, port: int, *options: str) -> subprocess.Popen[str]:
    """Starts a server of a folder, and does not wait for it."""
    command = [sys.executable, "-m", "keras_mtl.serve", str(folder), "--port", str(port), *options]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder.parent)


@contextlib.contextmanager
def running(folder: pathlib.Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Yields a process that serves a folder, and its port."""
    port = free_port()
    process = start_server(folder, port, *options)
    try:
        wait_for(lambda: is_ready(port) or process.poll() is not None)
        yield process, port
    finally:
        process.kill()
        process.communicate()

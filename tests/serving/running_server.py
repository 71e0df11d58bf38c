"""A server in a thread of the test, and plain requests to it."""

import contextlib
import http.client
import json
import pathlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import uvicorn

from keras_mtl.serving import Application, Limits, Settings
from keras_mtl.serving._http._protocol import bound_headers


class Address:
    """Sends requests to a server.

    Args:
        port: Its port at 127.0.0.1.
        application: The application.
    """

    def __init__(self, port: int, application: Application) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.application = application

    def ask(
        self, path: str, body: Any = None, method: str = "", headers: Any = None
    ) -> tuple[int, Any]:
        """Returns the status and the content of an answer; a body that is no bytes is JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            raw = body if body is None or type(body) is bytes else json.dumps(body).encode()
            method = method or ("GET" if body is None else "POST")
            connection.request(method, path, raw, headers or {})
            reply = connection.getresponse()
            text = reply.read()
        is_json = (reply.getheader("content-type") or "").startswith("application/json")
        return reply.status, json.loads(text) if is_json else text.decode()


@contextlib.contextmanager
def serve(
    folder: pathlib.Path,
    settings: Settings | None = None,
    limits: Limits | None = None,
    is_ready: bool = True,
) -> Iterator[Address]:
    """Yields the address of a server of a folder, once it is ready if it is to be waited for."""
    application = Application(folder, settings or Settings(name="tiny", poll_seconds=0.05), limits)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    http_protocol = bound_headers(application.metrics, (limits or Limits()).header_bytes)
    config = uvicorn.Config(
        application, port=port, log_config=None, access_log=False, http=http_protocol
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started and (application.keeper.current or not is_ready))
        yield Address(port, application)
    finally:
        server.should_exit = True
        thread.join(20)


def wait_for(condition: Any, seconds: float = 20.0) -> None:
    """Waits until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the condition did not come true")
        time.sleep(0.005)

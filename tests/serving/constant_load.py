"""Clients that ask all the time, and look at every answer."""

import collections
import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

PATH = "/v2/models/tiny/infer"


class Load:
    """Asks the same again and again from several threads until it is left.

    Args:
        port: Where to ask, at 127.0.0.1.
        body: The body of the requests, of the Open Inference Protocol.
        check: Receives a version and its outputs by name; raises `AssertionError` if one is wrong.
        context: How to trust a server with TLS; `None` for plain HTTP.
        headers: Headers of the requests.
        clients: The number of threads.

    Attributes:
        statuses: How many answers had each status.
        versions: How many answers each version gave.
        broken: How many requests had no whole answer.
        wrong: What was wrong with whole answers.
    """

    def __init__(
        self,
        port: int,
        body: Mapping[str, Any],
        check: Callable[[int, dict[str, list[float]]], None],
        context: ssl.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
        clients: int = 3,
    ) -> None:
        self._port = port
        self._body = json.dumps(body).encode()
        self._check = check
        self._context = context
        self._headers = dict(headers or {})
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask_on) for _ in range(clients)]
        self.statuses: collections.Counter[int] = collections.Counter()
        self.versions: collections.Counter[int] = collections.Counter()
        self.broken = 0
        self.wrong: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def __str__(self) -> str:
        return (
            f"{sum(self.statuses.values())} answers by status {dict(self.statuses)} of "
            f"{len(self.versions)} versions, {len(self.wrong)} wrong, {self.broken} broken off"
        )

    def _ask_on(self) -> None:
        connection = None
        while not self._stopped.is_set():
            try:
                connection = connection or self._connect()
                connection.request("POST", PATH, self._body, self._headers)
                reply = connection.getresponse()
                text = reply.read()
            except (OSError, http.client.HTTPException):
                if connection:
                    connection.close()
                connection = None
                with self._lock:
                    self.broken += 1
                time.sleep(0.02)  # nobody listens while a program starts
                continue
            with self._lock:
                self._look(reply.status, text)
        if connection:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        if self._context:
            return http.client.HTTPSConnection(
                "127.0.0.1", self._port, timeout=10, context=self._context
            )
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)

    def _look(self, status: int, text: bytes) -> None:
        self.statuses[status] += 1
        if status != 200:
            return
        try:
            content = json.loads(text)
            outputs = {output["name"]: output["data"] for output in content["outputs"]}
            version = int(content["model_version"])
            self._check(version, outputs)
        except (AssertionError, ValueError, KeyError) as error:
            self.wrong.append(f"{type(error).__name__} {error}")
        else:
            self.versions[version] += 1

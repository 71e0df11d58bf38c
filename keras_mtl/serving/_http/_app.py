"""The application: from a request of HTTP to its answer."""

import asyncio
import functools
import logging
import pathlib
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias

from keras_mtl.export._beside._signature import read_public_keys
from keras_mtl.serving._batches import Batches
from keras_mtl.serving._http._answers import to_json
from keras_mtl.serving._http._routes import Reply, Routes
from keras_mtl.serving._metrics import Metrics
from keras_mtl.serving._requests._refusal import Refusal
from keras_mtl.serving._requests._request import Request
from keras_mtl.serving._runtimes._runtime import Array
from keras_mtl.serving._settings import Limits, Settings
from keras_mtl.serving._versions._keeper import Keeper
from keras_mtl.serving._versions._version import Version, load_version

Scope: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger("keras_mtl.serving")

_SILENT = {"/metrics", "/v2/health/live", "/v2/health/ready"}


class Application:
    """Answers requests to one model, as an ASGI application.

    Choose `python -m keras_mtl.serve FOLDER` to serve a model in a process of its own; choose this
    to run it under another ASGI server, or beside other applications in one process. It writes
    nothing to the disk.

    Labels that come back later go to `POST /watch/models/<model>/labels` as `{"task": ...,
    "labels": [...], "predictions": [...], "version": 3}`: the calibration error is that of the
    version that predicted them (by default the one that is served), for the last four versions.

    Args:
        folder: The folder of the model, whose sub-folders are versions as
            `keras_mtl.export.saved_model` writes them.
        settings: How it runs.
        limits: What a request may ask for.

    Example:
        >>> import tempfile
        >>> application = Application(tempfile.mkdtemp(), Settings(name="census"))
        >>> application.keeper.current is None  # no version is there yet
        True
    """

    def __init__(
        self,
        folder: str | pathlib.Path,
        settings: Settings | None = None,
        limits: Limits | None = None,
    ) -> None:
        settings, limits = settings or Settings(), limits or Limits()
        folder = pathlib.Path(folder).resolve()
        if not folder.is_dir():
            raise FileNotFoundError(f"{str(folder)!r} is no folder.")
        if settings.public_keys:
            read_public_keys(settings.public_keys)  # rather now than at the first version
        self._settings = settings
        self._limits = limits
        self.metrics = Metrics(settings.name or folder.name)
        load = functools.partial(
            load_version,
            threads=settings.threads,
            tensorflow=settings.tensorflow,
            public_keys=settings.public_keys,
        )
        self.keeper = Keeper(folder, settings.poll_seconds, load, self.metrics.count_version)
        self._batches = Batches(settings, limits, self._watch)
        self._routes = Routes(self.metrics, self.keeper, self._batches, limits)
        self.metrics.follow(
            lambda: self.keeper.current.number if self.keeper.current else -1,
            lambda: self._batches.waiting_rows,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or starts and ends with the server."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def _live(self, receive: Receive, send: Send) -> None:
        """Runs the batches and the keeper from the start of the server to its end."""
        await receive()
        self.keeper.start()
        running = asyncio.create_task(self._batches.run())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self.keeper.stop)
        running.cancel()
        self._batches.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers: tuple[tuple[bytes, bytes], ...] = ()
        try:
            route = self._routes.find(scope["method"], scope["path"])
            body = b"" if scope["method"] == "GET" else await self._read(scope, receive)
            reply, kind = await route(body), "ok"
        except Refusal as refusal:
            reply, kind = (
                Reply(to_json({"error": refusal.sentence}), status=refusal.status),
                refusal.kind,
            )
            if refusal.column:
                self.metrics.watch.count_refused(refusal.column, refusal.kind)
            if refusal.status in (405, 503):
                name, value = (b"allow", b"GET, POST"), (b"retry-after", b"1")
                headers = (name if refusal.status == 405 else value,)
        except Exception as error:
            # Its text may quote a value of a column.
            log.error("a request failed inside the server (%s)", type(error).__name__)
            reply, kind = Reply(to_json({"error": "the server failed."}), status=500), "server"
        await _send(send, reply, headers)
        self._record(scope["path"], reply, kind, time.perf_counter() - started)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        """Returns the body of a request.

        Raises:
            Refusal: If it is too large, compressed, or takes too long.
        """
        limit = self._limits.body_bytes
        for name, value in scope["headers"]:
            if name == b"content-length" and (not value.isdigit() or int(value) > limit):
                raise _refuse_size(limit)
            if name == b"content-encoding" and value.lower() != b"identity":
                raise Refusal(415, "encoding", "a compressed body is not read; send plain JSON.")
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refusal(400, "disconnect", "the client left.")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > limit:
                        raise _refuse_size(limit)
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise Refusal(408, "slow", "the body took too long to arrive.") from None

    def _record(self, path: str, reply: Reply, kind: str, seconds: float) -> None:
        """Counts an answer; logs it without its path or body, which could hold values."""
        if path in _SILENT:
            return
        self.metrics.count_request(reply.status, kind)
        if reply.task:
            self.metrics.observe_seconds(reply.task, seconds)
        if self._settings.log_requests:
            log.info(
                "status=%d kind=%s task=%s version=%s rows=%d ms=%.1f",
                reply.status,
                kind,
                reply.task or "-",
                reply.version,
                reply.rows,
                1000 * seconds,
            )

    def _watch(
        self, version: Version, requests: Sequence[Request], outputs: Mapping[str, Array]
    ) -> None:
        """Observes a batch; called in the thread of the runtime."""
        self.metrics.observe_batch(requests)
        self.metrics.watch.observe(version.number, version.reference, requests, outputs)


async def _send(send: Send, reply: Reply, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    length = str(len(reply.body)).encode()
    base = ((b"content-type", reply.content_type), (b"content-length", length))
    start = {"type": "http.response.start", "status": reply.status, "headers": [*base, *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": reply.body})


def _refuse_size(limit: int) -> Refusal:
    return Refusal(413, "size", f"the body has more than {limit} bytes, the bound of this server.")

"""Requests that arrive together are computed together."""

import asyncio
import concurrent.futures
import dataclasses
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_mtl.serving._requests._refusal import Refusal
from keras_mtl.serving._requests._request import Request
from keras_mtl.serving._runtimes._runtime import Array, BadRows, numpy_dtype
from keras_mtl.serving._settings import Limits, Settings
from keras_mtl.serving._versions._version import Version

log = logging.getLogger("keras_mtl.serving")


@dataclasses.dataclass(slots=True)
class _Waiting:
    """Holds a request that waits, with the version that it will be computed by."""

    version: Version
    request: Request
    answer: asyncio.Future[dict[str, Array]]


class Batches:
    """Gathers waiting requests into batches, and computes one batch at a time in a thread.

    As soon as the runtime is free, everything that waits is computed together, as far as it
    belongs to one version and has rows of one shape. All outputs that any of them asks for are
    computed once. If a batch fails, its requests are computed one by one, so that only those fail
    that are at fault.

    Args:
        settings: The size of a batch and how long to wait for it.
        limits: How many rows may wait.
        watch: Called with the version, the names of the outputs and their values after each batch.
    """

    def __init__(
        self,
        settings: Settings,
        limits: Limits,
        watch: Callable[[Version, Sequence[Request], dict[str, Array]], None],
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._watch = watch
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "runtime")
        self.waiting_rows = 0

    async def ask(self, version: Version, request: Request) -> dict[str, Array]:
        """Returns the outputs of a request once its batch has been computed.

        Raises:
            Refusal: If too many rows wait already, or the model fails on this request.
        """
        if self.waiting_rows + request.rows > self._limits.waiting_rows:
            raise Refusal(503, "busy", "too many rows are waiting for the model; try again later.")
        answer: asyncio.Future[dict[str, Array]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(version, request, answer))
        self.waiting_rows += request.rows
        self._wake.set()
        return await answer

    async def run(self) -> None:
        """Computes batches until it is canceled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            if self._settings.batch_seconds:
                await asyncio.sleep(self._settings.batch_seconds)
            batch = self._take()
            try:
                answers = await loop.run_in_executor(self._thread, self._compute, batch)
            except Exception as error:  # If this loop ended, all clients would wait for ever.
                log.error("a batch failed (%s)", type(error).__name__)
                answers = [Refusal(500, "server", "the server failed.")] * len(batch)
            for waiting, answer in zip(batch, answers, strict=True):
                self.waiting_rows -= waiting.request.rows
                if waiting.answer.done():  # its client has left
                    continue
                if isinstance(answer, Exception):
                    waiting.answer.set_exception(answer)
                else:
                    waiting.answer.set_result(answer)

    def close(self) -> None:
        """Ends the thread of the runtime."""
        self._thread.shutdown(wait=False)

    def _take(self) -> list[_Waiting]:
        """Returns waiting requests that can be computed together; the first one is among them."""
        first = self._waiting.popleft()
        batch, rows = [first], first.request.rows
        later = []
        while self._waiting and rows < self._settings.batch_rows:
            waiting = self._waiting.popleft()
            fits = (
                waiting.version is first.version
                and rows + waiting.request.rows <= self._settings.batch_rows
                and _fits(waiting.request, first.request)
            )
            if fits:
                batch.append(waiting)
                rows += waiting.request.rows
            else:
                later.append(waiting)
        self._waiting.extendleft(reversed(later))
        if not self._waiting:
            self._wake.clear()
        return batch

    def _compute(self, batch: list[_Waiting]) -> Sequence[dict[str, Array] | Exception]:
        version, requests = batch[0].version, [waiting.request for waiting in batch]
        try:
            outputs = run_together(version, requests)
            answers = split(requests, outputs)
            self._watch(version, requests, outputs)
            return answers
        except Exception as error:
            if len(requests) > 1:
                return [self._compute([waiting])[0] for waiting in batch]
            return [refusal_of(error)]


def _fits(request: Request, other: Request) -> bool:
    """Returns whether rows of two requests have the same columns and shapes."""
    return request.shapes == other.shapes


def refusal_of(error: Exception) -> Refusal:
    """Returns what a client is told of an error, without its text: it may quote a value."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, BadRows):
        return Refusal(400, "value", "the model cannot read a value of this request.")
    log.error("the model failed on a request (%s)", type(error).__name__)
    return Refusal(500, "model", "the model failed on this request.")


def run_together(version: Version, requests: Sequence[Request]) -> dict[str, Array]:
    """Returns all outputs for which any of some requests asks, for the rows of all of them."""
    first = requests[0]
    rows = sum(request.rows for request in requests)
    columns = {}
    for name, shape in first.shapes.items():
        values: list[Any] = first.values[name]
        if len(requests) > 1:
            values = [value for request in requests for value in request.values[name]]
        array: Array = np.array(values, numpy_dtype(version.contract.columns[name].dtype))
        columns[name] = array.reshape(rows, *shape)
    outputs = tuple(dict.fromkeys(name for request in requests for name in request.outputs))
    return version.runtime.run(columns, outputs)


def split(requests: Sequence[Request], outputs: dict[str, Array]) -> list[dict[str, Array]]:
    """Returns the outputs of each request.

    Raises:
        Refusal: If the output of a row is not finite. JSON has no NaN, and a client could take
            null for a number.
    """
    finite = all(array.dtype.kind != "f" or np.isfinite(array).all() for array in outputs.values())
    answers, start = [], 0
    for request in requests:
        end = start + request.rows
        answer = {name: outputs[name][start:end] for name in request.outputs}
        if not finite:
            _check_finite(answer)
        answers.append(answer)
        start = end
    return answers


def _check_finite(answer: dict[str, Array]) -> None:
    for name, values in answer.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise Refusal(500, "model", f"the model's answer for {name!r} is not finite.")

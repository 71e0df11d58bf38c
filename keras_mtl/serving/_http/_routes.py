"""The addresses of the server."""

import dataclasses
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from keras_mtl._version import __version__
from keras_mtl.serving._batches import Batches
from keras_mtl.serving._http import _answers as answers
from keras_mtl.serving._metrics import Metrics
from keras_mtl.serving._requests._read_labels import read_labels
from keras_mtl.serving._requests._read_v1 import read_v1
from keras_mtl.serving._requests._read_v2 import read_v2
from keras_mtl.serving._requests._refusal import Refusal, quote
from keras_mtl.serving._settings import Limits
from keras_mtl.serving._versions._keeper import Keeper
from keras_mtl.serving._versions._version import Version


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """Holds an answer, and what metrics and logs say of it."""

    body: bytes
    status: int = 200
    content_type: bytes = b"application/json"
    task: str = ""
    version: str = "-"
    rows: int = 0


Route: TypeAlias = Callable[[bytes], Awaitable[Reply]]


class Routes:
    """Finds what answers an address.

    Args:
        metrics: Holds the name of the model.
        keeper: Holds the version that is served.
        batches: Computes requests.
        limits: The bounds of a request.
    """

    def __init__(self, metrics: Metrics, keeper: Keeper, batches: Batches, limits: Limits) -> None:
        self._model = metrics.model
        self._metrics = metrics
        self._keeper = keeper
        self._batches = batches
        self._limits = limits

    def find(self, method: str, path: str) -> Route:
        """Returns what answers a request.

        Raises:
            Refusal: If there is no such address, model or version, or the method is another.
        """
        match path.split("/")[1:]:
            case ["metrics"]:
                return _only("GET", method, self._answer_metrics)
            case ["v1", "models", *rest]:
                return self._find_v1(method, rest)
            case ["v2"] | ["v2", ""]:
                return _only("GET", method, self._answer_server)
            case ["v2", "health", "live"]:
                return _only("GET", method, self._answer_live)
            case ["v2", "health", "ready"]:
                return _only("GET", method, self._answer_ready)
            case ["v2", "models", name, *rest]:
                return self._find_v2(method, name, rest)
            case ["watch", "models", name, "labels"]:
                self._check(name, None)
                return _only("POST", method, self._add_labels)
        raise _no_address()

    def _find_v1(self, method: str, parts: list[str]) -> Route:
        *parts, last = parts or [""]
        last, colon, verb = last.partition(":")
        match [*parts, last]:
            case [name]:
                version = None
            case [name, "versions", version]:
                pass
            case [name, "metadata"] | [name, "versions", _, "metadata"] if not colon:
                self._check(name, parts[2] if len(parts) > 2 else None)
                return _only("GET", method, self._answer_metadata_v1)
            case _:
                raise _no_address()
        self._check(name, version, is_status=not colon)
        if verb == "predict":
            return _only("POST", method, self._predict_v1)
        if colon:
            raise Refusal(404, "address", f"there is no {quote(verb)}; this server has ':predict'.")
        return _only("GET", method, self._answer_status_v1)

    def _find_v2(self, method: str, name: str, rest: list[str]) -> Route:
        version = None
        if rest[:1] == ["versions"] and len(rest) > 1:
            version, rest = rest[1], rest[2:]
        self._check(name, version)
        match rest:
            case ["infer"]:
                return _only("POST", method, self._infer_v2)
            case ["ready"]:
                return _only("GET", method, self._answer_ready)
            case []:
                return _only("GET", method, self._answer_metadata_v2)
        raise _no_address()

    def _check(self, name: str, version: str | None, is_status: bool = False) -> None:
        """Checks that the model and the version of an address are those that are served."""
        if name != self._model:
            raise Refusal(
                404, "model", f"there is no model {quote(name)}; this server has {self._model!r}."
            )
        current = self._keeper.current
        known = {str(current.number)} if current else set()
        if is_status:
            known |= {str(number) for number in self._keeper.refused}
        if version is not None and version not in known:
            served = f"version {current.number} is" if current else "no version is"
            raise Refusal(404, "version", f"there is no version {quote(version)}; {served} served.")

    def _version(self) -> Version:
        current = self._keeper.current
        if current is None:
            raise Refusal(503, "version", "no version of the model is loaded.")
        return current

    async def _predict_v1(self, body: bytes) -> Reply:
        version = self._version()
        request, by_row = read_v1(body, version.contract, self._limits)
        outputs = await self._batches.ask(version, request)
        content = answers.answer_v1(outputs, by_row)
        return Reply(content, task=request.label, version=str(version.number), rows=request.rows)

    async def _infer_v2(self, body: bytes) -> Reply:
        version = self._version()
        request, label = read_v2(body, version.contract, self._limits)
        outputs = await self._batches.ask(version, request)
        content = answers.answer_v2(self._model, version, outputs, label)
        return Reply(content, task=request.label, version=str(version.number), rows=request.rows)

    async def _add_labels(self, body: bytes) -> Reply:
        current = self._version()
        number, task, labels, predictions = read_labels(body, current.contract, self._limits)
        number = current.number if number is None else number
        try:
            self._metrics.watch.labels.add(number, task, labels, predictions)
        except ValueError as error:
            raise Refusal(400, "labels", str(error)) from error
        return Reply(answers.to_json({"labels": len(labels)}))

    async def _answer_status_v1(self, body: bytes) -> Reply:
        return Reply(answers.status_v1(self._keeper.current, dict(self._keeper.refused)))

    async def _answer_metadata_v1(self, body: bytes) -> Reply:
        return Reply(answers.metadata_v1(self._model, self._version()))

    async def _answer_metadata_v2(self, body: bytes) -> Reply:
        return Reply(answers.metadata_v2(self._model, self._version()))

    async def _answer_server(self, body: bytes) -> Reply:
        facts = {"name": "keras_mtl", "version": __version__, "extensions": []}
        return Reply(answers.to_json(facts))

    async def _answer_live(self, body: bytes) -> Reply:
        return Reply(answers.to_json({"live": True}))

    async def _answer_ready(self, body: bytes) -> Reply:
        self._version()
        return Reply(answers.to_json({"ready": True}))

    async def _answer_metrics(self, body: bytes) -> Reply:
        return Reply(self._metrics.text(), content_type=b"text/plain; version=0.0.4; charset=utf-8")


def _only(expected: str, method: str, route: Route) -> Route:
    if method != expected:
        raise Refusal(405, "method", f"this address takes {expected} only.")
    return route


def _no_address() -> Refusal:
    return Refusal(
        404,
        "address",
        "there is nothing at this address; there are /v1/models/<model>:predict, "
        "/v2/models/<model>/infer, /v2/health/ready and /metrics.",
    )

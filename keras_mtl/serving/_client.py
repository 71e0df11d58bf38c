"""A client of the servers that speak one of the two protocols."""

import base64
import http.client
import json
import threading
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_DATATYPES = {"b": "BOOL", "i": "INT", "u": "UINT", "f": "FP"}


class ServingError(Exception):
    """Says why a server did not answer.

    Args:
        status: The status of HTTP; 0 if the server could not be reached.
        sentence: The server's reason, or what went wrong on the way.

    Example:
        >>> str(ServingError(404, "there is no model 'x'."))
        "404: there is no model 'x'."
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(f"{status}: {sentence}")
        self.status = status
        self.sentence = sentence


class Client:
    """Asks a model server for predictions, one task alone or all.

    It always names the signature or the outputs, and returns a dict by output, whatever form the
    server answers in: TensorFlow Serving answers a signature with one output by its bare values. It
    works with `python -m keras_mtl.serve`, TensorFlow Serving, KServe and Triton, and needs NumPy
    alone. One connection per thread is kept open, until `close` or the end of a `with` block.

    Args:
        url: The address of the server, such as `"http://127.0.0.1:8000"`.
        model: The name of the model.
        protocol: `"v1"`, TensorFlow Serving's REST, or `"v2"`, the Open Inference Protocol.
        version: The number of a version; `None` for the one that is served.
        timeout: Seconds to wait for an answer.
        headers: Further headers, such as that of a token.

    Example:
        >>> with Client("http://127.0.0.1:1", "census") as client:
        ...     client.is_ready()  # nobody listens there
        False
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        protocol: Literal["v1", "v2"] = "v1",
        version: int | None = None,
        timeout: float = 10.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url must be such as 'http://127.0.0.1:8000'; received {url!r}.")
        if protocol not in ("v1", "v2"):
            raise ValueError(f"protocol must be 'v1' or 'v2'; received {protocol!r}.")
        self._url = url
        self._parts = parts
        self._protocol = protocol
        self._timeout = timeout
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        place = f"/models/{urllib.parse.quote(model, safe='')}"
        place += "" if version is None else f"/versions/{version}"
        self._base = parts.path.rstrip("/") + "/" + protocol + place
        self._local = threading.local()
        self._columns: dict[str, dict[str, Any]] | None = None

    def predict(self, columns: Mapping[str, Any], task: str | None = None) -> dict[str, Array]:
        """Returns predictions for some rows, by output.

        Args:
            columns: By name, an array or nested lists whose first axis is that of the rows.
                Strings are `str` or `bytes`.
            task: The task, which needs its columns only; `None` for all tasks.

        Raises:
            ServingError: If the server cannot be reached, or refuses the request.
            ValueError: If there are no columns, or a number is not finite. `None` stands for a
                missing number, where the network fills it.
        """
        arrays = {name: _as_array(name, values) for name, values in columns.items()}
        if not arrays:
            raise ValueError("there are no columns.")
        if self._protocol == "v1":
            return self._predict_v1(arrays, task)
        return self._predict_v2(arrays, task)

    def is_ready(self) -> bool:
        """Returns whether the server can be reached and serves the model."""
        path = self._base + ("/ready" if self._protocol == "v2" else "")
        try:
            content = self._ask("GET", path)
        except ServingError:
            return False
        if self._protocol == "v2":
            return True
        states = content.get("model_version_status", [])
        return any(state.get("state") == "AVAILABLE" for state in states)

    def _predict_v1(self, arrays: Mapping[str, Array], task: str | None) -> dict[str, Array]:
        name = task or "serving_default"
        inputs = {key: _lists(array, "v1") for key, array in arrays.items()}
        body = {"signature_name": name, "inputs": inputs}
        content = self._ask("POST", self._base + ":predict", body)
        if "outputs" not in content:
            raise ServingError(200, "the answer has no 'outputs'; is this TensorFlow Serving?")
        outputs = content["outputs"]
        if not isinstance(outputs, dict):
            if task is None:
                # The name of the only output stands in no answer.
                task = self._only_task()
            outputs = {task: outputs}
        return {key: np.array(values) for key, values in outputs.items()}

    def _only_task(self) -> str:
        """Returns the name of the only output of `serving_default`."""
        content = self._ask("GET", self._base + "/metadata")
        signatures = content["metadata"]["signature_def"]["signature_def"]
        (name,) = signatures["serving_default"]["outputs"]
        return str(name)

    def _predict_v2(self, arrays: Mapping[str, Array], task: str | None) -> dict[str, Array]:
        if self._columns is None:
            columns = self._ask("GET", self._base).get("inputs", [])
            self._columns = {column["name"]: column for column in columns}
        inputs = [
            _tensor(name, array, self._columns.get(name, {})) for name, array in arrays.items()
        ]
        body: dict[str, Any] = {"inputs": inputs}
        if task is not None:
            body["outputs"] = [{"name": task}]
        try:
            content = self._ask("POST", self._base + "/infer", body)
        except ServingError:
            self._columns = None  # a new version may have other ones
            raise
        return {
            output["name"]: np.array(output["data"]).reshape(output["shape"])
            for output in content["outputs"]
        }

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Returns the content of an answer; asks twice if an idle connection was closed."""
        raw = None if body is None else json.dumps(body, allow_nan=False).encode()
        for is_last in (False, True):
            is_new = getattr(self._local, "connection", None) is None
            try:
                return self._ask_once(method, path, raw)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if is_last or is_new:
                    reason = str(error) or type(error).__name__
                    raise ServingError(0, f"{self._url} cannot be reached ({reason}).") from error
        raise AssertionError("not reached")

    def _ask_once(self, method: str, path: str, raw: bytes | None) -> dict[str, Any]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            secure = self._parts.scheme == "https"
            kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            host = self._parts.hostname or ""
            connection = kind(host, self._parts.port, timeout=self._timeout)
            self._local.connection = connection
        connection.request(method, path, raw, self._headers)
        reply = connection.getresponse()
        return _read_reply(reply.status, reply.read())

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection of this thread."""
        connection = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            connection.close()


def _read_reply(status: int, raw: bytes) -> dict[str, Any]:
    if status == 200 and not raw:
        return {}  # Triton says "ready" in this way.
    try:
        content = json.loads(raw)
    except ValueError:
        content = None
    if status == 200 and isinstance(content, dict):
        return content
    if isinstance(content, dict):
        reason = content.get("error") or content.get("detail") or content
    else:
        reason = raw[:200].decode("utf-8", "replace") or "an empty answer"
    raise ServingError(status, str(reason))


def _as_array(name: str, values: Any) -> Array:
    """Returns a column as an array; an array of objects holds strings, or numbers and `None`."""
    array = np.asarray(values)
    if array.ndim == 0:
        raise ValueError(f"column {name!r} must have an axis of rows; received one value.")
    if array.dtype.kind in "SU":
        array = array.astype(object)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(
            f"column {name!r} has a number that is not finite. None stands for a missing number, "
            "where the network fills it."
        )
    return array


def _lists(array: Array, protocol: Sequence[str] | str) -> Any:
    """Returns an array as nested lists of JSON's values."""
    if array.dtype != object:
        return array.tolist()
    entries = [_entry(value, protocol) for value in array.ravel().tolist()]
    content = np.empty(len(entries), object)
    content[:] = entries
    return content.reshape(array.shape).tolist()


def _entry(value: Any, protocol: Sequence[str] | str) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        if protocol == "v2":
            raise ValueError("bytes that are no text need the protocol 'v1'.") from None
        return {"b64": base64.b64encode(value).decode()}


def _tensor(name: str, array: Array, column: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a column in the form of the Open Inference Protocol, as the server describes it."""
    sizes = column.get("shape", [])
    # Triton has no columns of shape (rows,), and adds an axis.
    if len(sizes) == array.ndim + 1 and sizes[-1] == 1:
        array = array[..., np.newaxis]
    return {
        "name": name,
        "shape": list(array.shape),
        "datatype": column.get("datatype") or _datatype(array),
        "data": _lists(array, "v2"),
    }


def _datatype(array: Array) -> str:
    """Returns the protocol's name of a dtype."""
    if array.dtype == object:
        values = array.ravel().tolist()
        is_text = any(isinstance(value, str | bytes) for value in values)
        return "BYTES" if is_text else "FP32"
    kind = _DATATYPES[array.dtype.kind]
    return kind if kind == "BOOL" else f"{kind}{8 * array.dtype.itemsize}"

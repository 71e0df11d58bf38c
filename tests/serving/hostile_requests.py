"""Requests that must be refused, each with the names that the refusal has to mention."""

import copy
import json
import types
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tiny_model import COLUMNS, ONE_ROW, ROWS, SHARED

SECRET = "Secret-7391"
"""A text that no answer and no log may repeat."""

SECRET_NUMBER = 73918273.125

PREDICT, INFER = "/v1/models/tiny:predict", "/v2/models/tiny/infer"
DATATYPES = {"string": "BYTES", "float32": "FP32", "int64": "INT64"}


WRONG: list[Any] = [None, [], [-1], [1, 1, 1], "FP16", {}, 1, [SECRET], [10**12, 1]]
TASKS: list[Any] = ["nobody", "Income", "", "__init_op", "../income", 3, None, [SECRET], {"a": 1}]


class Hostile(NamedTuple):
    """Holds a request, and what its refusal says."""

    label: str
    path: str
    body: bytes | None
    mentions: str = ""
    method: str = "POST"
    headers: Mapping[str, str] = types.MappingProxyType({})
    statuses: tuple[int, ...] = (400,)


def bad_values(name: str) -> list[tuple[str, Any]]:
    """Returns values that an entry of a column may not have; `json` writes NaN as it is."""
    dtype, shape = COLUMNS[name]
    entries: list[Any] = [None, {}, {"b64": 3}, {"a": SECRET}, [SECRET], [[]], [[1]], True]
    if dtype == "float32":
        entries += [1e30, -1e30, 3.5e38, 1e300, 1e13, float("nan"), float("inf"), -float("inf")]
        entries += [SECRET, "", "1.5", "NaN", 10**40, {"b64": "AAAA"}]
        # The network fills a missing age.
        entries = entries[1:] if name == "age" else entries
    elif dtype == "int64":
        entries += [1.5, 2.0, 1e30, float("nan"), float("-inf"), SECRET, "3", 2**63, -(2**63) - 1]
        entries += [10**30, {"b64": "AAAA"}]
    else:
        entries += [1, 1.5, SECRET * 30, SECRET + "\0", "\u00e9" * 129, "x" * 257, {"b64": "/w=="}]
        entries += [{"b64": "not base 64!"}, {"b64": SECRET, "c": 1}, float("nan")]
    if len(shape) == 1:
        return [(repr(entry)[:20], entry) for entry in [*entries, []]]
    nested: list[Any] = [[entry] for entry in entries]
    # Of a right type, but of another shape.
    right = ONE_ROW[name][0]
    nested += [right, [], [right, right], [[right]], None, SECRET, {}, {"x": right}]
    return [(repr(value)[:20], value) for value in nested]


def dump(content: Any) -> bytes:
    """Returns JSON, with NaN and Infinity where they are."""
    return json.dumps(content).encode()


def tensors(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the columns of some rows in the form of the Open Inference Protocol."""
    return [
        {
            "name": name,
            "shape": [len(rows), *COLUMNS[name][1][1:]],
            "datatype": DATATYPES[COLUMNS[name][0]],
            "data": [row[name] for row in rows],
        }
        for name in rows[0]
    ]


def hostile_values() -> Iterator[Hostile]:
    """Yields a bad value in each column, in each of the three forms of a request."""
    for name in COLUMNS:
        for label, value in bad_values(name):
            good = copy.deepcopy(ONE_ROW)
            rows = [good, {**good, name: value}]
            mentions = repr(name)
            label = f"{name} = {label}"
            yield Hostile(f"row: {label}", PREDICT, dump({"instances": rows}), mentions)
            columns = {key: [row[key] for row in rows] for key in COLUMNS}
            yield Hostile(f"column: {label}", PREDICT, dump({"inputs": columns}), mentions)
            body = {"inputs": tensors(good, {**good, name: value})}
            yield Hostile(f"tensor: {label}", INFER, dump(body), mentions)


def hostile_names() -> Iterator[Hostile]:
    """Yields missing, extra and repeated columns, and unknown signatures, tasks and versions."""
    for name in COLUMNS:
        rest = {key: value for key, value in ONE_ROW.items() if key != name}
        mentions = repr(name)
        yield Hostile(f"row without {name}", PREDICT, dump({"instances": [rest]}), mentions)
        columns = {key: [value] for key, value in rest.items()}
        yield Hostile(f"no column {name}", PREDICT, dump({"inputs": columns}), mentions)
        yield Hostile(f"no tensor {name}", INFER, dump({"inputs": tensors(rest)}), mentions)
        twice = {"inputs": [*tensors(ONE_ROW), *tensors({name: ONE_ROW[name]})]}
        yield Hostile(f"twice {name}", INFER, dump(twice), mentions)
        ragged = {**ROWS, name: ROWS[name][:2]}
        yield Hostile(f"fewer rows of {name}", PREDICT, dump({"inputs": ragged}), mentions)
        for key in ("datatype", "shape", "data"):
            for value in WRONG:
                if key == "data" and type(value) is list and len(value) == 1:
                    continue  # flat data of one row
                changed = tensors(ONE_ROW)
                place = list(ONE_ROW).index(name)
                changed[place][key] = value
                body = dump({"inputs": changed})
                yield Hostile(f"{name}: {key} = {value!r}", INFER, body, mentions)
    for extra in ("salary", "Age", "age ", "", "__class__", "a" * 5000, "\u0000", "\u202e"):
        row = {**ONE_ROW, extra: 1}
        start = ascii(extra)[1:20].rstrip("'")
        yield Hostile(f"extra {extra[:9]!r}", PREDICT, dump({"instances": [row]}), start)
        columns = {key: [value] for key, value in row.items()}
        yield Hostile(f"extra column {extra[:9]!r}", PREDICT, dump({"inputs": columns}), start)
        odd = [*tensors(ONE_ROW), {"name": extra, "shape": [1], "datatype": "FP32", "data": [1]}]
        yield Hostile(f"extra tensor {extra[:9]!r}", INFER, dump({"inputs": odd}), start)
    for task in TASKS:
        rows = [{key: ONE_ROW[key] for key in SHARED}]
        body = dump({"signature_name": task, "instances": rows})
        mentions = task[:5] if type(task) is str else ""
        yield Hostile(f"signature {task!r}", PREDICT, body, mentions, statuses=(400, 404))
        body = dump({"inputs": tensors(ONE_ROW), "outputs": [{"name": task}]})
        yield Hostile(f"output {task!r}", INFER, body, mentions, statuses=(400, 404))


def hostile_bodies() -> Iterator[Hostile]:
    """Yields bodies that are too large, too deep, no JSON, no UTF-8, or of another form."""
    good = dump({"instances": [ONE_ROW]})
    for end in range(0, len(good), 5):
        yield Hostile(f"the first {end} bytes", PREDICT, good[:end], "JSON")
    bodies: list[Any] = [[], [1], "text", 1, None, True, {}, {"instances": []}, {"instances": {}}]
    for form in bodies:
        for path in (PREDICT, INFER):
            yield Hostile(f"body {form!r} to {path[:3]}", path, dump(form), statuses=(400,))
    both = {"instances": [ONE_ROW], "inputs": ROWS}
    forms: list[Any] = [
        both,
        {"instances": [ONE_ROW], "x": 1},
        {"instances": [None]},
        {"instances": [[1]]},
    ]
    forms += [{"instances": [1, 2]}, {"instances": "text"}, {"inputs": [1]}, {"inputs": SECRET}]
    forms += [{"inputs": {}}, {"instances": [{}]}, {"instances": [ONE_ROW, SECRET]}]
    for form in forms:
        yield Hostile(f"form {form!r}"[:40], PREDICT, dump(form))
    forms = [{"inputs": [1]}, {"inputs": [{}]}, {"inputs": tensors(ONE_ROW), "outputs": 1}]
    forms += [{"inputs": tensors(ONE_ROW), "outputs": [1]}, {"inputs": tensors(ONE_ROW), "id": 1}]
    forms += [{"inputs": tensors(ONE_ROW), "id": "x" * 200}, {"inputs": {"name": SECRET}}]
    for form in forms:
        yield Hostile(f"v2 form {form!r}"[:40], INFER, dump(form))
    for depth in (10, 500, 5_000, 200_000):
        deep = b"[" * depth + b"]" * depth
        yield Hostile(f"{depth} deep", PREDICT, b'{"instances": ' + deep + b"}")
        yield Hostile(f"{depth} open", PREDICT, b'{"instances": ' + deep[:depth])
        inside = dump({"instances": [{**ONE_ROW, "age": 0.5}]}).replace(b"0.5", deep)
        yield Hostile(f"age {depth} deep", PREDICT, inside)
        objects = b'{"a":' * depth + b"1" + b"}" * depth
        yield Hostile(f"{depth} objects", INFER, objects, statuses=(400, 413))
    for broken in (b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"\x00", b"\x80abc", b"\xf5\x80"):
        text = good.replace(b"private", broken)
        yield Hostile(f"bytes {broken!r}", PREDICT, text, "JSON in UTF-8")
        yield Hostile(f"only {broken!r}", INFER, broken, "JSON in UTF-8")
    yield Hostile("UTF-16", PREDICT, good.decode().encode("utf-16"), "UTF-8")
    yield Hostile("a byte order mark", PREDICT, b"\xef\xbb\xbf" + good, "JSON")
    yield Hostile("a lone surrogate", PREDICT, good.replace(b"private", b"\\ud800"), "JSON")
    for text in (b"NaN", b"[NaN]", b'{"instances": NaN}', b"Infinity", b'{"a": -Infinity}'):
        yield Hostile(f"{text!r}", PREDICT, text)
    yield Hostile(
        "1,025 rows", PREDICT, dump({"instances": [ONE_ROW] * 1025}), "1025", "POST", {}, (413,)
    )
    yield Hostile("a large body", PREDICT, b" " * (1 << 20) + b"{}", "bytes", "POST", {}, (413,))
    gzip = {"Content-Encoding": "gzip"}
    yield Hostile("compressed", PREDICT, good, "compressed", "POST", gzip, (415,))


def hostile_addresses() -> Iterator[Hostile]:
    """Yields addresses of other models, versions and files, and other methods."""
    body = dump({"instances": [ONE_ROW]})
    paths = ["/", "//", "/v1", "/v1/models", "/v1/models/", "/v1/models/tiny/", "/v3/models/tiny"]
    paths += [
        "/v1/models/tiny:classify",
        "/v1/models/tiny:regress",
        "/v1/models/tiny:",
        "/v1/models/tiny:predict/",
        "/v1/models/tiny:predict:predict",
        "/v1/models/Tiny:predict",
        "/v1/models/other:predict",
        "/v1/models/tiny/versions/2:predict",
        "/v1/models/tiny/versions/01:predict",
        "/v1/models/tiny/versions/-1:predict",
        "/v1/models/tiny/versions/:predict",
        "/v1/models/tiny/versions/1/2:predict",
        "/v1/models/tiny/labels/stable:predict",
        "/v2/models/other/infer",
        "/v2/models/tiny/infer/infer",
        "/v2/models/tiny/versions/9/infer",
        "/v2/models/tiny/versions/infer",
        "/v2/models/../tiny/infer",
        "/v2/models/tiny%00/infer",
        "/v2/repository/index",
        "/v2/repository/models/tiny/unload",
        "/v2/logging",
        "/docs",
        "/openapi.json",
        "/metrics/",
        "/v1/models/../../etc/passwd",
        "/v1/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd:predict",
        "/..%2f..%2f..%2fetc/passwd",
        "/v1/models/tiny/versions/..%2f..%2f1:predict",
        "/v1/models/tiny/../tiny:predict",
        "/%c0%ae%c0%ae/etc/passwd",
        "/v1/models/" + "a" * 3000 + ":predict",
        "/v1/models/tiny/versions/" + "9" * 3000 + ":predict",
    ]
    for path in paths:
        yield Hostile(f"POST {path[:40]}", path, body, statuses=(404, 405))
        yield Hostile(f"GET {path[:40]}", path, None, method="GET", statuses=(404, 405))
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"):
        for path in (PREDICT, INFER, "/metrics", "/v2/health/live"):
            yield Hostile(f"{method} {path}", path, body, "", method, statuses=(405, 400))
    for path in (PREDICT, INFER):
        yield Hostile(f"GET {path}", path, None, "POST", "GET", statuses=(405,))


def hostile_requests() -> list[Hostile]:
    """Returns all of them."""
    kinds = (hostile_values, hostile_names, hostile_bodies, hostile_addresses)
    return [request for kind in kinds for request in kind()]

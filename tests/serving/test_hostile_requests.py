"""The guard: whatever is wrong with a request, its answer is a sentence, and the server lives."""

import contextlib
import http.client
import json
import logging
import socket

import numpy as np
import pytest
from hostile_requests import PREDICT, SECRET, hostile_requests
from running_server import serve
from tiny_model import ONE_ROW, ROWS, reference, write_version

from keras_mtl.serving import Limits, Settings


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_version(folder / "1")
    settings = Settings(name="tiny", log_requests=True)
    with serve(folder, settings, Limits(body_seconds=0.3)) as address:
        yield address


def is_right(server):
    status, content = server.ask(PREDICT, {"inputs": ROWS})
    expected = reference(ROWS)
    return status == 200 and all(
        np.allclose(content["outputs"][name], values, atol=1e-6)
        for name, values in expected.items()
    )


def test_five_hundred_hostile_requests_are_refused_by_a_sentence(server, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    # The command switches this logger off by taking its handlers; pytest adds one of its own.
    monkeypatch.setattr(logging.getLogger("uvicorn.access"), "handlers", [])
    requests = hostile_requests()
    assert len(requests) > 500
    wrong = []
    for number, request in enumerate(requests):
        status, content = server.ask(request.path, request.body, request.method, request.headers)
        sentence = content["error"] if isinstance(content, dict) and "error" in content else ""
        holds = (
            status in request.statuses
            and len(sentence) > 10
            and len(sentence) < 500
            and request.mentions in sentence
            and SECRET not in sentence
        )
        if not holds:
            wrong.append(f"{request.label}: {status} {content}"[:300])
        if number % 50 == 0:
            assert is_right(server)
    assert not wrong, f"{len(wrong)} of {len(requests)}:\n" + "\n".join(wrong)
    assert is_right(server)
    assert "kind=columns" in caplog.text
    for value in (SECRET, "never seen", "private", "39.0", "passwd"):
        assert value not in caplog.text


def test_no_request_is_answered_by_a_server_error(server):
    assert 'code="500"' not in server.ask("/metrics")[1]


def raw(server, *parts, wait=0.0):
    """Sends bytes as they are; returns the answer until the server closes or nothing comes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=2) as connection:
        for part in parts:
            connection.sendall(part)
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        return reply.status


HEAD = b"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: x\r\n"


def test_what_is_no_http_is_refused(server):
    assert raw(server, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n") == 400
    assert raw(server, b"BREW /v2 HTTP/1.1\r\nHost: x\r\n\r\n") == 400
    assert raw(server, HEAD + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n{}") == 400
    assert raw(server, HEAD + b"Content-Length: -5\r\n\r\n{}") == 400
    assert is_right(server)


def test_a_body_that_does_not_arrive_is_given_up(server):
    assert raw(server, HEAD + b"Content-Length: 500\r\n\r\n", b'{"instances"') == 408
    assert is_right(server)


def test_a_body_without_a_stated_length_ends_at_the_bound(server):
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    assert raw(server, head, *[chunk] * 17) == 413
    assert is_right(server)


def test_long_headers_and_addresses_are_refused_however_they_arrive(server):
    long = b"X-Long: " + b"a" * 20_000 + b"\r\n\r\n"
    assert raw(server, HEAD + long) == 431
    # Of 164 lines of 100 bytes, the last one is too much.
    assert raw(server, HEAD, *[b"X-%03d: " % i + b"a" * 91 + b"\r\n" for i in range(164)]) == 431
    assert raw(server, b"GET /" + b"a" * 20_000) == 431  # and it goes on
    assert raw(server, HEAD + b"X-Endless: " + b"a" * 10_000, b"a" * 10_000) == 431
    # On one connection, a head counts for itself: the body and the head before it do not.
    body = json.dumps({"inputs": ROWS}).encode() + b" " * 30_000
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
        for length, status in ((9_000, 200), (9_000, 200), (17_000, 431)):
            connection.request("POST", PREDICT, body, {"X-Long": "a" * length})
            reply = connection.getresponse()
            text = reply.read()
            assert reply.status == status
    assert b"more than 16384 bytes" in text
    assert 'mtl_requests_total{code="431",kind="headers",model="tiny"}' in server.ask("/metrics")[1]
    assert is_right(server)


def test_clients_that_leave_do_no_harm(server):
    body = b'{"instances": []}'
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(HEAD + b"Content-Length: 17\r\n\r\n" + body)
    assert is_right(server)


@pytest.mark.parametrize("number", [1e12, -1e12, 0.0, -0.0, 1e-40])
def test_numbers_within_the_bound_are_answered(server, number):
    row = {**ONE_ROW, "hours": number}
    status, content = server.ask(PREDICT, {"instances": [row]})
    assert status == 200
    assert content["predictions"][0]["left"] == pytest.approx(40 - number)


def test_long_strings_are_measured_in_bytes(server):
    row = {**ONE_ROW, "worker": ["\u00e9" * 128]}
    assert server.ask(PREDICT, {"instances": [row]})[0] == 200


def test_more_rows_than_may_wait_are_told_to_come_later(tmp_path):
    write_version(tmp_path / "tiny" / "1")
    with serve(tmp_path / "tiny", None, Limits(waiting_rows=2)) as small:
        assert small.ask(PREDICT, {"instances": [ONE_ROW] * 2})[0] == 200
        status, content = small.ask(PREDICT, {"instances": [ONE_ROW] * 3})
        assert (status, "try again later" in content["error"]) == (503, True)

"""The client: both protocols, both forms of TensorFlow Serving's answers, clear errors."""

import contextlib
import http.server
import json
import threading

import numpy as np
import pytest
from running_server import serve
from tiny_model import ROWS, SHARED, reference, write_version

from keras_mtl.serving import Client, ServingError


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_version(folder / "1")
    with serve(folder) as address:
        yield address


@pytest.fixture(params=["v1", "v2"])
def client(server, request):
    with Client(server.url + "/", "tiny", protocol=request.param) as client:
        yield client


def close(answers, expected):
    assert set(answers) == set(expected)
    for name, values in expected.items():
        assert answers[name].shape == values.shape
        np.testing.assert_allclose(answers[name], values, rtol=1e-6, atol=1e-6)


def test_all_tasks_are_answered_by_name(client):
    assert client.is_ready()
    close(client.predict(ROWS), reference(ROWS))


@pytest.mark.parametrize("task", ["never_married", "left"])
def test_one_task_is_answered_by_name_from_its_columns(client, task):
    rows = {name: ROWS[name] for name in (["hours"] if task == "left" else SHARED)}
    close(client.predict(rows, task), {task: reference(ROWS)[task]})


def test_arrays_of_any_dtype_and_bytes_are_sent_as_what_the_columns_are(client):
    rows = {
        "worker": np.array([[b"public"], ["private"], [b"x"]], object),
        "age": np.array([[1.0], [2.0], [3.0]], np.float64),
        "weeks": np.array([[1], [2], [3]], np.int32),
        "hours": np.array([1, 2, 3]),
    }
    plain = {**rows, "worker": [["public"], ["private"], ["x"]]}
    close(client.predict(rows), reference(plain))


def test_errors_hold_the_sentence_of_the_server(client):
    with pytest.raises(ServingError, match=r"400: column 'age' .*is missing"):
        client.predict({name: ROWS[name] for name in ("worker", "weeks", "hours")})
    with pytest.raises(ServingError, match=r"404: there is no .*'nobody'") as caught:
        client.predict(ROWS, "nobody")
    assert caught.value.status == 404
    close(client.predict(ROWS), reference(ROWS))


def test_what_cannot_be_sent_is_refused_before(client):
    with pytest.raises(ValueError, match="column 'age' has a number that is not finite"):
        client.predict({**ROWS, "age": [[1.0], [np.nan], [2.0]]})
    with pytest.raises(ValueError, match="column 'age' must have an axis of rows"):
        client.predict({**ROWS, "age": 3.0})
    with pytest.raises(ValueError, match="no columns"):
        client.predict({})
    with pytest.raises(ValueError, match="url must be such as"):
        Client("127.0.0.1:8000", "tiny")


def test_another_model_or_version_is_not_ready(server):
    for protocol, model, version, expected in (
        ("v1", "other", None, False),
        ("v2", "tiny", 9, False),
        ("v1", "tiny", 1, True),
    ):
        with Client(server.url, model, protocol=protocol, version=version) as client:
            assert client.is_ready() == expected


@contextlib.contextmanager
def answering(*replies):
    """Yields the address of a server that gives some replies in turn, and what it was asked."""
    asked, left = [], list(replies)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            size = int(self.headers.get("content-length", 0))
            asked.append((self.path, self.rfile.read(size)))
            status, body = left.pop(0)
            if status is None:
                self.close_connection = True
                return
            raw = body if type(body) is bytes else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_POST = do_GET

        def log_message(self, *arguments):
            pass

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}", asked
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def test_a_bare_answer_to_all_tasks_is_named_by_the_signature():
    signature = {"serving_default": {"outputs": {"click": {}}}}
    metadata = {"metadata": {"signature_def": {"signature_def": signature}}}
    with answering((200, {"outputs": [[0.5]]}), (200, metadata)) as (url, asked):
        client = Client(url, "shop")
        close(client.predict({"x": [[1.0]]}), {"click": np.array([[0.5]])})
        client.close()
    assert json.loads(asked[0][1])["signature_name"] == "serving_default"
    assert [path for path, _ in asked] == ["/v1/models/shop:predict", "/v1/models/shop/metadata"]


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        ((500, {"error": "out of memory"}), "500: out of memory"),
        ((422, {"detail": "no body"}), "422: no body"),
        ((502, b"<html>bad gateway</html>"), "502: <html>bad gateway"),
        ((503, b""), "503: an empty answer"),
        ((200, b"not JSON"), "200: not JSON"),
        ((200, {"predictions": []}), "200: the answer has no 'outputs'"),
    ],
)
def test_answers_of_other_servers_and_proxies_are_errors_with_their_text(reply, sentence):
    with answering(reply) as (url, _):
        client = Client(url, "shop")
        with pytest.raises(ServingError) as caught:
            client.predict({"x": [[1.0]]})
        client.close()
    assert str(caught.value).startswith(sentence)


def test_a_connection_that_the_server_closed_meanwhile_is_opened_again():
    good = (200, {"outputs": {"click": [[0.5]]}})
    with answering(good, (None, b""), good) as (url, asked):
        client = Client(url, "shop")
        client.predict({"x": [[1.0]]})
        close(client.predict({"x": [[2.0]]}), {"click": np.array([[0.5]])})
        client.close()
    assert len(asked) == 3


def test_a_server_that_is_not_there_is_named():
    client = Client("http://127.0.0.1:9", "shop", timeout=2)
    assert not client.is_ready()
    with pytest.raises(ServingError, match=r"0: http://127.0.0.1:9 cannot be reached \(.*refused"):
        client.predict({"x": [[1.0]]})

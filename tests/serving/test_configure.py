"""Configurations are read by the programs themselves, or by schemas; skipped where those lack."""

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from alert_cases import CASES, unit_tests
from running_server import serve, wait_for
from tiny_model import ONE_ROW, write_version

from keras_mtl.serving import Front, Settings, configure

PREDICT = "/v1/models/tiny:predict"
NOT_FOR_CLIENTS = [
    "/metrics",
    "/v2/health/ready",
    "/v1/models/tiny",
    "/v1/models/tiny/metadata",
    "/watch/models/tiny/labels",
    "/v2/repository/index",
    "/v1/models/other:predict",
    "/v1/models/tiny/../../metrics",
    "/v1/models/%2e%2e/metrics",
]
BODY = json.dumps({"instances": [ONE_ROW]}).encode()


def program(name):
    """Marks a test that needs a program."""
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"needs {name}")


def run(*command, **options):
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, **options
    )
    return done.returncode, done.stdout + done.stderr


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_the_files_name_the_model_and_nothing_is_left_open(tmp_path):
    paths = configure(tmp_path, Front(model="Census_2", servers=("a:1", "b:2")))
    assert len(paths) == 6
    for path in paths:
        text = path.read_text()
        assert "{%" not in text and "None" not in text
        assert "Census_2" in text or path.name == "prometheus.yaml"
    assert "server a:1;\n        server b:2;" in (tmp_path / "front/nginx.conf").read_text()
    assert "name: census-2" in (tmp_path / "kubernetes.yaml").read_text()
    alerts = (tmp_path / "alerts.yaml").read_text()
    assert "{{ $labels.task }}" in alerts
    assert {*re.findall("alert: (.*)", alerts)} == {alert for alert, _, _ in CASES}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"model": "a b"}, "model must have letters"),
        ({"model": "../x"}, "model must have letters"),
        ({"model": "m", "host": "x;\n    allow all"}, "host cannot stand"),
        ({"model": "m", "servers": ()}, "at least one address"),
        ({"model": "m", "servers": ("a:1; root /",)}, "servers cannot stand"),
        ({"model": "m", "burst": 0}, "burst must be positive"),
        ({"model": "m", "min_replicas": 11}, "more than max_replicas"),
    ],
)
def test_what_would_break_a_configuration_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        Front(**settings)


@pytest.mark.slow
@program("promtool")
def test_alerts_ring_when_they_should_and_only_then(tmp_path):
    configure(tmp_path, Front(model="census"))
    assert run("promtool", "check", "rules", str(tmp_path / "alerts.yaml"))[0] == 0
    code, text = run("promtool", "check", "config", str(tmp_path / "prometheus.yaml"))
    assert code == 0, text
    (tmp_path / "tests.yaml").write_text(json.dumps(unit_tests("alerts.yaml")))
    code, text = run("promtool", "test", "rules", str(tmp_path / "tests.yaml"))
    assert code == 0, text[-3000:]


@pytest.mark.slow
@program("promtool")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("> 0.1 and", "> 0.5 and"),
        ("mtl_prediction_rows >= 1000", "mtl_prediction_rows >= 0"),
        ("mtl_prediction_psi > mtl_prediction_psi_null99 and ", ""),
        ("> 0.01", "> 0.1"),
        ("< 0\n", "< -5\n"),
        ('event="refused"', 'event="loaded"'),
        ("2 * mtl_column_missing_share", "0 * mtl_column_missing_share"),
        (',kind="nonfinite"', ""),
    ],
)
def test_a_planted_fault_in_an_alert_is_noticed(tmp_path, old, new):
    configure(tmp_path, Front(model="census"))
    alerts = tmp_path / "alerts.yaml"
    text = alerts.read_text()
    assert old in text
    alerts.write_text(text.replace(old, new))
    (tmp_path / "tests.yaml").write_text(json.dumps(unit_tests("alerts.yaml")))
    assert run("promtool", "test", "rules", str(tmp_path / "tests.yaml"))[0] == 1


@pytest.mark.slow
@program("kubernetes-validate")
@pytest.mark.parametrize(
    ("old", "new", "is_right"),
    [
        ("", "", True),
        ("minReplicas: 2", "minReplicas: two", False),
        ("  maxReplicas: 10\n", "", False),
        ("containerPort", "containerport", False),
    ],
)
def test_kubernetes_reads_the_file_and_refuses_planted_faults(tmp_path, old, new, is_right):
    configure(tmp_path, Front(model="census"))
    path = tmp_path / "kubernetes.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    code, output = run("kubernetes-validate", "--strict", str(path))
    assert (code == 0) == is_right, output


@pytest.mark.slow
@program("check-jsonschema")
@pytest.mark.parametrize(
    ("old", "new", "is_right"),
    [("", "", True), ("image:", "imag:", False), ("depends_on:", "dependson:", False)],
)
def test_compose_reads_the_file_and_refuses_planted_faults(tmp_path, old, new, is_right):
    configure(tmp_path, Front(model="census"))
    path = tmp_path / "compose.yaml"
    path.write_text(path.read_text().replace(old, new))
    schema = ["--builtin-schema", "vendor.compose-spec"]
    code, output = run("check-jsonschema", *schema, str(path))
    assert (code == 0) == is_right, output


@contextlib.contextmanager
def proxy(tmp_path, make_command, **settings):
    """Yields how to ask through a proxy in front of a server."""
    write_version(tmp_path / "tiny" / "1")
    front = tmp_path / "front"
    front.mkdir()
    key, certificate = front / "key.pem", front / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-days", "2"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files)
    (front / "certificate_and_key.pem").write_text(certificate.read_text() + key.read_text())
    issuer = str(front / "issuer.pem")
    run("openssl", "genrsa", "-out", issuer, "2048")
    run("openssl", "rsa", "-in", issuer, "-pubout", "-out", str(front / "public_key.pem"))
    code, digest = run("openssl", "passwd", "-apr1", "right")
    assert code == 0
    (front / "passwords").write_text(f"somebody:{digest.strip()}\n")
    with serve(tmp_path / "tiny", Settings(name="tiny")) as server:
        port = free_port()
        servers = (f"127.0.0.1:{server.port}",)
        configure(tmp_path, Front(model="tiny", port=port, servers=servers, **settings))
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(
                make_command(front), cwd=front, stdout=log, stderr=log, start_new_session=True
            )
        context = ssl.create_default_context(cafile=certificate)
        context.check_hostname = False

        def ask(path=PREDICT, body=BODY, method="POST", scheme="https", **headers):
            """Returns the status of an answer."""
            request = urllib.request.Request(f"{scheme}://127.0.0.1:{port}{path}", body, headers)
            request.method = method
            try:
                with urllib.request.urlopen(request, timeout=20, context=context) as reply:
                    return reply.status
            except urllib.error.HTTPError as error:
                error.close()
                return error.code

        try:
            wait_for(lambda: process.poll() is not None or is_open(port))
            assert process.poll() is None, (tmp_path / "log").read_text()
            yield ask
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def basic(password):
    return {"Authorization": "Basic " + base64.b64encode(f"somebody:{password}".encode()).decode()}


@pytest.mark.slow
@program("nginx")
def test_nginx_lets_through_what_is_right_and_nothing_else(tmp_path):
    def command(front):
        # Workers of root are nobody, who cannot read a temporary folder.
        directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
        return ["nginx", "-p", str(front), "-c", "nginx.conf", "-g", directives]

    with proxy(tmp_path, command, requests_per_second=5) as ask:
        right = basic("right")
        assert ask() == 401
        assert ask(**basic("wrong")) == 401
        assert ask(**right) == 200
        assert ask("/v1/models/tiny/versions/1:predict", **right) == 200
        assert ask("/v2/models/tiny/infer", b"{}", **right) == 400
        assert ask(body=None, method="GET", **right) == 403
        for path in NOT_FOR_CLIENTS:
            assert ask(path, **right) == 404, path
        assert ask(body=b" " * 70_000, **right) == 413
        assert ask(scheme="http", **right) == 400
        time.sleep(1)
        statuses = [ask(**right) for _ in range(150)]
        assert {*statuses} == {200, 429}
        assert 20 <= statuses.count(200) < 150
    assert "private" not in (tmp_path / "log").read_text()


def token(front, algorithm="RS256", **claims):
    def encode(content):
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    body = encode({"alg": algorithm, "typ": "JWT"}) + "." + encode(claims)
    if algorithm == "none":
        return {"Authorization": f"Bearer {body}."}
    sign = ["-sign", "issuer.pem"] if algorithm == "RS256" else ["-hmac", "public_key.pem"]
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", *sign, "-binary"],
        input=body.encode(),
        cwd=front,
        capture_output=True,
        check=True,
    )
    return {"Authorization": f"Bearer {body}.{encode(done.stdout)}"}


@pytest.mark.slow
@program("haproxy")
def test_haproxy_lets_through_whoever_has_a_token(tmp_path):
    front = tmp_path / "front"
    command = ["haproxy", "-f", "haproxy.cfg"]
    soon, past = int(time.time()) + 600, int(time.time()) - 600
    with proxy(tmp_path, lambda _: command, requests_per_second=5) as ask:
        right = token(front, sub="a", exp=soon)
        wait_for(lambda: ask(**right) == 200)
        assert ask() == 401
        assert ask(**token(front, "none", sub="a", exp=soon)) == 401
        assert ask(**token(front, "HS256", sub="a", exp=soon)) == 401
        assert ask(**token(front, sub="a", exp=past)) == 401
        assert ask(**token(front, sub="a")) == 401
        assert ask(**token(front, exp=soon)) == 401
        head, _, signature = right["Authorization"].split(".")
        other = token(front, sub="b", exp=soon)["Authorization"].split(".")[1]
        assert ask(Authorization=f"{head}.{other}.{signature}") == 401
        assert ask("/v2/models/tiny/infer", b"{}", **right) == 400
        assert ask("/metrics", **right) == 404
        assert ask("/v1/models/tiny/../../metrics", **right) == 404
        assert ask(body=None, method="GET", **right) == 405
        assert ask(body=b" " * 70_000, **right) == 413
        time.sleep(1.1)
        statuses = [ask(**right) for _ in range(150)]
        assert {*statuses} == {200, 429}
        assert ask(**token(front, sub="b", exp=soon)) == 200
    assert "private" not in (tmp_path / "log").read_text()

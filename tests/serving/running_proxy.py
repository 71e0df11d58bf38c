"""A proxy in front of a server, with the configuration that `configure` writes."""

import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from running_server import serve, wait_for
from tiny_model import ONE_ROW, write_version

from keras_mtl.serving import Front, Settings, configure

PREDICT = "/v1/models/tiny:predict"
BODY = json.dumps({"instances": [ONE_ROW]}).encode()


def program(name: str) -> pytest.MarkDecorator:
    """Marks a test that needs a program."""
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"needs {name}")


def run(*command: str, **options: Any) -> tuple[int, str]:
    """Runs a program to its end; returns its status and what it wrote."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, **options
    )
    return done.returncode, done.stdout + done.stderr


def free_port() -> int:
    """Returns a port at which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def write_front(folder: pathlib.Path, port: int, server_port: int, **settings: Any) -> pathlib.Path:
    """Writes configurations, certificates, keys and passwords; returns their folder."""
    front = folder / "front"
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
    servers = (f"127.0.0.1:{server_port}",)
    configure(folder, Front(model="tiny", port=port, servers=servers, **settings))
    return front


def start_proxy(name: str, front: pathlib.Path, port: int) -> subprocess.Popen[bytes]:
    """Starts nginx or haproxy in a group of processes of its own; returns once it listens."""
    command = ["haproxy", "-f", "haproxy.cfg"]
    if name == "nginx":
        # Workers of root are nobody, who cannot read a temporary folder.
        directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
        command = ["nginx", "-p", str(front), "-c", "nginx.conf", "-g", directives]
    log = front.parent / "log"
    with log.open("a") as file:
        process = subprocess.Popen(
            command, cwd=front, stdout=file, stderr=file, start_new_session=True
        )
    wait_for(lambda: process.poll() is not None or is_open(port))
    assert process.poll() is None, log.read_text()
    return process


def trust(front: pathlib.Path) -> ssl.SSLContext:
    """Returns what a client needs to trust the certificate of a proxy."""
    context = ssl.create_default_context(cafile=front / "certificate.pem")
    context.check_hostname = False
    return context


@contextlib.contextmanager
def proxy(tmp_path: pathlib.Path, name: str, **settings: Any) -> Iterator[Callable[..., int]]:
    """Yields how to ask through a proxy in front of a server."""
    write_version(tmp_path / "tiny" / "1")
    with serve(tmp_path / "tiny", Settings(name="tiny")) as server:
        port = free_port()
        front = write_front(tmp_path, port, server.port, **settings)
        context = trust(front)

        def ask(
            path: str = PREDICT,
            body: bytes | None = BODY,
            method: str = "POST",
            scheme: str = "https",
            **headers: str,
        ) -> int:
            """Returns the status of an answer."""
            request = urllib.request.Request(f"{scheme}://127.0.0.1:{port}{path}", body, headers)
            request.method = method
            try:
                with urllib.request.urlopen(request, timeout=20, context=context) as reply:
                    status: int = reply.status
                    return status
            except urllib.error.HTTPError as error:
                error.close()
                return error.code

        process = start_proxy(name, front, port)
        try:
            yield ask
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def is_open(port: int) -> bool:
    """Returns whether somebody listens at a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def basic(password: str) -> dict[str, str]:
    """Returns the header of a name and a password."""
    return {"Authorization": "Basic " + base64.b64encode(f"somebody:{password}".encode()).decode()}


def token(front: pathlib.Path, algorithm: str = "RS256", **claims: Any) -> dict[str, str]:
    """Returns the header of a JSON Web Token."""

    def encode(content: Any) -> str:
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

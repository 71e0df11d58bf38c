"""Files for the programs around the server: proxies, containers, Kubernetes, Prometheus."""

import dataclasses
import importlib.resources
import os
import pathlib
import re

import jinja2

# What may stand in a configuration without quotes: nothing that ends a word or a line.
_WORD = re.compile(r"[A-Za-z0-9_./:@-]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")

_FILES = {
    "nginx.conf": "front/nginx.conf",
    "haproxy.cfg": "front/haproxy.cfg",
    "compose.yaml": "compose.yaml",
    "kubernetes.yaml": "kubernetes.yaml",
    "prometheus.yaml": "prometheus.yaml",
    "alerts.yaml": "alerts.yaml",
    "alertmanager.yaml": "alertmanager.yaml",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Front:
    """States what stands in the files that `configure` writes.

    Args:
        model: The name of the model.
        servers: Addresses of the model servers as the proxy and Prometheus see them.
        host: The name under which clients reach the proxy.
        port: The port of the proxy.
        certificate: File with the certificate of `host`, as nginx sees it.
        key: File with its private key.
        certificate_and_key: File with both, for haproxy.
        public_key: File with the public key of those who issue tokens, for haproxy.
        body_bytes: The largest body of a request.
        requests_per_second: Requests per second of one client that are let through.
        burst: Requests of one client beyond that which are let through at once.
        image: The image of the model server.
        models: The folder with the versions, on the machine that runs the containers.
        min_replicas: The fewest model servers.
        max_replicas: The most model servers.
        slow_seconds: The 99 % latency beyond which an alert rings.
        alertmanager: The address of Alertmanager as Prometheus sees it.
        pages: Where Alertmanager posts what somebody must look at now: no version is served, the
            server fails, or answers slowly. A webhook of your messenger or pager.
        tickets: Where it posts what can wait for the next day.

    Example:
        >>> Front(model="census").servers
        ('model:8000',)
    """

    model: str
    servers: tuple[str, ...] = ("model:8000",)
    host: str = "localhost"
    port: int = 8443
    certificate: str = "certificate.pem"
    key: str = "key.pem"
    certificate_and_key: str = "certificate_and_key.pem"
    public_key: str = "public_key.pem"
    body_bytes: int = 65536
    requests_per_second: int = 50
    burst: int = 20
    image: str = "registry.example.com/keras_mtl:latest"
    models: str = "./models"
    min_replicas: int = 2
    max_replicas: int = 10
    slow_seconds: float = 0.1
    alertmanager: str = "alertmanager:9093"
    pages: str = "http://localhost:9095/pages"
    tickets: str = "http://localhost:9095/tickets"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.model):
            raise ValueError(
                f"model must have letters, digits, '_' and '-' only; received {self.model!r}."
            )
        if not self.servers:
            raise ValueError("servers must have at least one address, such as 'model:8000'.")
        for name, value in vars(self).items():
            texts = value if isinstance(value, tuple) else [value] if isinstance(value, str) else []
            for text in texts:
                if not _WORD.fullmatch(text):
                    raise ValueError(f"{name} cannot stand in a configuration: {text!r}.")
            if isinstance(value, int | float) and not value > 0:
                raise ValueError(f"{name} must be positive; received {value!r}.")
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"min_replicas is {self.min_replicas}, more than max_replicas, {self.max_replicas}."
            )


def configure(folder: str | os.PathLike[str], front: Front) -> list[pathlib.Path]:
    """Writes configurations for the programs around `python -m keras_mtl.serve`.

    - `front/nginx.conf`: TLS, passwords, limits of bodies and rates; predictions only, all other
      addresses are 404. Its file `passwords` is made by `openssl passwd -apr1`.
    - `front/haproxy.cfg`: the same with JSON Web Tokens in place of passwords: RS256 only, with an
      expiry, limited per subject. nginx itself cannot check tokens. Use one of the two.
    - `compose.yaml`: the server without any right, nginx, Prometheus and Alertmanager, for docker
      compose.
    - `kubernetes.yaml`: a deployment that loses no request while it rolls, its service, and an
      autoscaler on rows that wait.
    - `prometheus.yaml` and `alerts.yaml`: scraping, and alerts on errors, latency, refused
      versions, drift, calibration and unusual columns.
    - `alertmanager.yaml`: where alerts go, pages apart from tickets, both by webhook.

    The files are a start and say what was decided: read them before they go to production. The
    server has no passwords and no TLS: never let clients reach it without such a front.

    Args:
        folder: Where to write; existing files are replaced.
        front: What stands in them.

    Returns:
        The files.

    Example:
        >>> import tempfile
        >>> files = configure(tempfile.mkdtemp(), Front(model="census"))
        >>> [path.name for path in files][:2]
        ['nginx.conf', 'haproxy.cfg']
    """
    folder = pathlib.Path(folder)
    (folder / "front").mkdir(parents=True, exist_ok=True)
    templates = importlib.resources.files("keras_mtl.serving._configurations")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    values = {**vars(front), "dns_name": front.model.lower().replace("_", "-")}
    written = []
    for name, place in _FILES.items():
        template = environment.from_string((templates / f"{name}.j2").read_text("utf-8"))
        path = folder / place
        path.write_text(template.render(values), "utf-8")
        written.append(path)
    return written

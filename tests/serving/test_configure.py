"""Configurations are read by the programs themselves, or by schemas; skipped where those lack."""

import json
import re
import time

import pytest
from alert_cases import CASES, unit_tests
from running_proxy import basic, program, proxy, run, token
from running_server import wait_for

from keras_mtl.serving import Front, configure

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


def test_the_files_name_the_model_and_nothing_is_left_open(tmp_path):
    paths = configure(tmp_path, Front(model="Census_2", servers=("a:1", "b:2")))
    assert len(paths) == 7
    for path in paths:
        text = path.read_text()
        assert "{%" not in text and "None" not in text
        assert "Census_2" in text or path.name in ("prometheus.yaml", "alertmanager.yaml")
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
        ({"model": "m", "pages": 'http://x/"}]'}, "pages cannot stand"),
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
        ("> mtl_prediction_psi_bound", "> 4 * mtl_prediction_psi_bound"),
        ("mtl_prediction_rows >= 1000", "mtl_prediction_rows >= 0"),
        ("> mtl_prediction_psi_bound and", "> 0.1 and"),
        ("> 0.01", "> 0.1"),
        ("< 0\n", "< -5\n"),
        ('event="refused"', 'event="loaded"'),
        ("2 * mtl_column_missing_share", "0 * mtl_column_missing_share"),
        ("2 * mtl_column_unknown_share", "0 * mtl_column_unknown_share"),
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
@program("amtool")
@pytest.mark.parametrize(
    ("old", "new", "is_right"),
    [
        ("", "", True),
        ("receiver: tickets", "receiver: nobody", False),
        ("matchers: ['severity=\"page\"']", "matchers: ['severity is page']", False),
        ("equal: [model]", "equals: [model]", False),
        ("http://localhost:9095/pages", "localhost", False),
    ],
)
def test_alertmanager_reads_the_file_and_refuses_planted_faults(tmp_path, old, new, is_right):
    configure(tmp_path, Front(model="census"))
    path = tmp_path / "alertmanager.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    code, output = run("amtool", "check-config", str(path))
    assert (code == 0) == is_right, output


@pytest.mark.slow
@program("amtool")
def test_alerts_go_where_their_severity_says(tmp_path):
    configure(tmp_path, Front(model="census"))
    alerts = re.findall(
        r"alert: (\w+)\n(?:.*\n)*?.*severity: (\w+)", (tmp_path / "alerts.yaml").read_text()
    )
    assert {name for name, _ in alerts} == {name for name, _, _ in CASES}
    for name, severity in alerts:
        labels = [f"alertname={name}", f"severity={severity}", "model=census"]
        config = f"--config.file={tmp_path / 'alertmanager.yaml'}"
        code, output = run("amtool", "config", "routes", "test", config, *labels)
        assert (code, output.splitlines()[0]) == (0, f"{severity}s")


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


@pytest.mark.slow
@program("nginx")
def test_nginx_lets_through_what_is_right_and_nothing_else(tmp_path):
    with proxy(tmp_path, "nginx", requests_per_second=5) as ask:
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


@pytest.mark.slow
@program("haproxy")
def test_haproxy_lets_through_whoever_has_a_token(tmp_path):
    front = tmp_path / "front"
    soon, past = int(time.time()) + 600, int(time.time()) - 600
    with proxy(tmp_path, "haproxy", requests_per_second=5) as ask:
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
        # It answers at once, while a whole body would still be on its way.
        assert ask(**{"Content-Length": "70000"}, **right) == 413
        time.sleep(1.1)
        statuses = [ask(**right) for _ in range(150)]
        assert {*statuses} == {200, 429}
        assert ask(**token(front, sub="b", exp=soon)) == 200
    assert "private" not in (tmp_path / "log").read_text()

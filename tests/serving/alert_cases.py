"""Series of metrics, and the alerts that ring for them, as unit tests of promtool."""

from typing import Any

LABELS = 'model="census",instance="a:8000",job="keras_mtl"'


def series(name: str, values: str, labels: str = "") -> dict[str, str]:
    """Returns a series of one value per minute, in promtool's notation."""
    inside = LABELS + ("," + labels if labels else "")
    return {"series": f"{name}{{{inside}}}", "values": values}


def drift(psi: float, rows: int = 5000, bound: float = 0.1) -> list[dict[str, str]]:
    """Returns the metrics of a task with some drift, for two hours."""
    task = 'task="income"'
    return [
        series("mtl_prediction_psi", f"{psi}x120", task),
        series("mtl_prediction_psi_bound", f"{bound}x120", task),
        series("mtl_prediction_rows", f"{rows}x120", task),
    ]


def calibration(ece: float) -> list[dict[str, str]]:
    """Returns the metrics of a task with some calibration error, for two hours."""
    task = 'task="income",version="3"'
    return [
        series("mtl_calibration_ece", f"{ece}x120", task),
        series("mtl_calibration_ece_bound", "0.03x120", task),
        series("mtl_calibration_rows", "2000x120", task),
    ]


def requests(good: int, code: str, bad: int) -> list[dict[str, str]]:
    """Returns good and bad requests per minute, for two hours."""
    return [
        series("mtl_requests_total", f"0+{good}x120", 'code="200",kind="ok"'),
        series("mtl_requests_total", f"0+{bad}x120", f'code="{code}",kind="x"'),
    ]


def share(kind: str, count: int) -> list[dict[str, str]]:
    """Returns a column with 1,000 values per minute, some of them unknown, missing or outside."""
    column = 'column="country"'
    return [
        series(f"mtl_column_{kind}_total", f"0+{count}x120", column),
        series("mtl_column_values_total", "0+1000x120", column),
        series(f"mtl_column_{kind}_share", "0.1x120", column),
    ]


def latency(slow: int) -> list[dict[str, str]]:
    """Returns 1,000 requests per minute, some of them slower than 0.1 s."""
    fast = 1000 - slow
    return [
        series("mtl_request_seconds_bucket", f"0+{fast}x120", 'task="income",le="0.1"'),
        series("mtl_request_seconds_bucket", "0+1000x120", 'task="income",le="0.5"'),
        series("mtl_request_seconds_bucket", "0+1000x120", 'task="income",le="+Inf"'),
    ]


CASES: list[tuple[str, list[dict[str, str]], bool]] = [
    ("MtlPredictionDrift", drift(0.3), True),
    ("MtlPredictionDrift", drift(0.09), False),
    ("MtlPredictionDrift", drift(0.3, rows=900), False),
    ("MtlPredictionDrift", drift(0.3, bound=0.4), False),
    ("MtlCalibrationOff", calibration(0.05), True),
    ("MtlCalibrationOff", calibration(0.025), False),
    ("MtlServerErrors", requests(97, "500", 3), True),
    ("MtlServerErrors", requests(1000, "500", 3), False),
    ("MtlRequestsRefused", requests(90, "400", 10), True),
    ("MtlRequestsRefused", requests(99, "400", 1), False),
    ("MtlUnknownStrings", share("unknown", 300), True),
    ("MtlUnknownStrings", share("unknown", 150), False),
    ("MtlNumbersOutOfRange", share("outside", 20), True),
    ("MtlNumbersOutOfRange", share("outside", 5), False),
    ("MtlMissingNumbers", share("missing", 300), True),
    ("MtlMissingNumbers", share("missing", 150), False),
    ("MtlSlow", latency(50), True),
    ("MtlSlow", latency(5), False),
    ("MtlNoVersion", [series("mtl_model_version", "-1x120")], True),
    ("MtlNoVersion", [series("mtl_model_version", "3x120")], False),
    ("MtlVersionRefused", [series("mtl_versions_total", "0x110 1x20", 'event="refused"')], True),
    ("MtlVersionRefused", [series("mtl_versions_total", "1x120", 'event="refused"')], False),
    (
        "MtlNonfiniteNumbers",
        [series("mtl_refused_values_total", "0+1x120", 'column="age",kind="nonfinite"')],
        True,
    ),
    (
        "MtlNonfiniteNumbers",
        [series("mtl_refused_values_total", "0+1x120", 'column="age",kind="shape"')],
        False,
    ),
]


def unit_tests(rules: str) -> dict[str, Any]:
    """Returns a file of promtool in which every case asks whether its alert rings at two hours."""
    return {
        "rule_files": [rules],
        "evaluation_interval": "1m",
        "tests": [
            {
                "name": f"{alert} {rings}",
                "interval": "1m",
                "input_series": data,
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})',
                        "eval_time": "120m",
                        "exp_samples": [{"labels": "{}", "value": 1}] if rings else [],
                    }
                ],
            }
            for alert, data, rings in CASES
        ],
    }

"""Metrics in `evaluate`, by both doors, on one device and on two."""

import json
import pathlib
import subprocess
import sys

import metric_models as models
import pytest


def values_by_hand(names=()):
    """Returns the value of each metric, fed with the batches by hand."""
    x, y, w = models.data(names)
    predictions = models.network(names).predict(x, verbose=0)
    values = {}
    for task in models.tasks(names):
        metrics = task.make_metrics()
        for first in range(0, models.ROWS, models.BATCH):
            rows = slice(first, first + models.BATCH)
            for metric in metrics:
                metric.update_state(*(part[task.name][rows] for part in (y, predictions, w)))
        values |= {f"{task.name}_{metric.name}": float(metric.result()) for metric in metrics}
    return values


@pytest.mark.parametrize("names", [models.QUICK, pytest.param((), marks=pytest.mark.slow)])
def test_both_doors_log_the_metrics_of_the_valid_labels(names):
    expected = values_by_hand(names)
    for logs in models.logs_of_models(names, run_eagerly=names == models.QUICK):
        assert {name: logs[name] for name in expected} == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_two_replicas_log_them_as_well():
    expected = values_by_hand()
    script = str(pathlib.Path(models.__file__))
    done = subprocess.run(
        [sys.executable, script, "2"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # Which values a bin holds is decided by the first batch of each replica.
    binned = "targets_spearman"
    for logs in json.loads(done.stdout.splitlines()[-1]):
        assert logs[binned] == pytest.approx(expected[binned], abs=2e-2)
        values = {name: logs[name] if name != binned else expected[name] for name in expected}
        assert values == pytest.approx(expected, abs=1e-5)

"""Steps that do not wait: who may take part, and what the workers of one machine do."""

import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import small_problem as problem

import keras_mtl as mtl
from keras_mtl import balancers
from keras_mtl.training._asynchronous._parameter_servers import _read
from keras_mtl.training._asynchronous._rules import check_rule, standing

SCRIPT = pathlib.Path(__file__).with_name("async_run.py")
ALLOWED = (
    *("Equal", "ScaleInvariant", "GeometricMean", "UncertaintySoftmax", "RandomWeighting"),
    *("PCGrad", "CAGrad", "MGDA", "IMTLG", "AlignedMTL", "UPGrad", "DualProj", "ConFIG"),
    "NashMTL",
)
WARNED = (
    *("Uncertainty", "IMTLL", "GradNorm", "GradVac", "DWA", "CoV", "MoCo", "MConFIG"),
    *("MetaBalance", "DBMTL"),
)
REFUSED = ("FAMO", "AutoLambda", "MOML", "FORUM")


@pytest.mark.parametrize(
    ("names", "expected"), [(ALLOWED, "allowed"), (WARNED, "warned"), (REFUSED, "refused")]
)
def test_the_needs_of_a_rule_say_how_it_stands(names, expected):
    for name in names:
        rule = getattr(balancers, name)()
        rule.build(3)
        assert standing(rule) == expected, name
        if expected == "refused":
            with pytest.raises(ValueError, match=f"{name} compares the losses"):
                check_rule(rule, problem.network())
        if expected == "warned":
            with pytest.warns(UserWarning, match=f"{name} has a state"):
                check_rule(rule, problem.network())


def test_batch_statistics_are_warned_of():
    x = keras.Input((4,))
    network = keras.Model(x, keras.layers.BatchNormalization(name="norm")(x))
    rule = balancers.Equal()
    rule.build(2)
    with pytest.warns(UserWarning, match=r"\['norm'\] normalize batches"):
        check_rule(rule, network)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "TF_CONFIG is not set"),
        ("{", "TF_CONFIG is '{'"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}',
            "has the jobs",
        ),
        (
            '{"cluster": {"chief": ["a:1"], "worker": ["b:2"], "ps": ["c:3"]}, '
            '"task": {"type": "worker", "index": 1}}',
            "expected one of the cluster",
        ),
    ],
)
def test_a_cluster_without_chief_workers_and_servers_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        _read({"TF_CONFIG": text})


def test_the_delay_bounds_the_rate():
    def result(*taus):
        return mtl.training.Asynchronous({}, 3, {7: list(taus)})

    assert result(0).stable_rate(2.0) == pytest.approx(1.0)  # descent without delay: 2 / L
    # The roots of z^(tau + 1) - z^tau + rate L lie on the unit circle at the bound.
    for tau in (1, 4, 16):
        rate = result(0, tau).stable_rate(1.0)
        for factor, stable in ((0.999, True), (1.001, False)):
            roots = np.roots([1, -1, *[0] * (tau - 1), factor * rate])
            assert (abs(roots).max() < 1) == stable


def run(folder, *arguments, seconds=200):
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "keras_mtl.launch", "--workers", "2", "--servers", "1"]
    command += ["--seconds", str(seconds), str(SCRIPT), str(folder), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=seconds + 60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads((folder / "result.json").read_text())


@pytest.mark.slow
def test_no_step_is_lost_when_a_worker_is_killed_and_comes_back(tmp_path):
    output, result = run(tmp_path, "--kill", "--steps", "200")
    assert "[launch] worker 1 ended with signal 9" in output
    assert result["steps"] == result["iterations"] == 400
    losses = result["history"]["val_loss"]
    assert result["finite"] and losses[-1] < losses[0]
    assert sum(len(taus) for taus in result["staleness"].values()) == 200
    assert (tmp_path / "export" / "2" / "saved_model.pb").exists()
    # The checkpoint: the same command goes on behind its epochs.
    _, more = run(tmp_path, "--epochs", "3", "--steps", "200")
    assert more["steps"] == 600 and len(more["history"]["val_loss"]) == 1
    assert more["history"]["val_loss"][0] < losses[0]


@pytest.mark.slow
def test_no_step_is_staler_than_the_bound(tmp_path):
    _, result = run(tmp_path, "--max-staleness", "1")
    taus = [tau for of_worker in result["staleness"].values() for tau in of_worker]
    assert len(taus) == 60 and max(taus) <= 1
    assert result["history"]["max_staleness"][-1] == max(taus)

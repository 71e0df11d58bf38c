"""Builders and rules under `KERAS_BACKEND=jax`, in a process that has no TensorFlow.

`KERAS_MTL_JAX_PYTHON` names an interpreter with Keras and JAX, if this one has no JAX.
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from keras_mtl import architectures, balancers

SCRIPT = pathlib.Path(__file__).with_name("jax_run.py")
PYTHON = os.environ.get("KERAS_MTL_JAX_PYTHON", sys.executable)
# They take other tasks than two binary ones, or maps.
OTHER_TASKS = {"escm2", "esm2", "esmm", "mti_net", "pad_net"}
NEEDS_ARGUMENTS = {"CRMOGM", "ParetoMTL", "GramianBalancer", "FORUM"}


def has_jax():
    done = subprocess.run([PYTHON, "-c", "import jax"], capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture(scope="module")
def results():
    if not has_jax():
        pytest.skip("needs JAX")
    done = subprocess.run(
        [PYTHON, SCRIPT],
        # The solvers ask for float64, which JAX gives by this switch only: without it `EPO` finds
        # other weights.
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_ENABLE_X64": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_every_builder_trains(results):
    assert results["backend"] == "jax"
    for name in {*architectures.__all__} - OTHER_TASKS:
        loss = results[f"architectures.{name}"]
        assert isinstance(loss, float) and np.isfinite(loss), f"{name}: {loss}"


@pytest.mark.slow
def test_every_rule_on_the_gramian_weighs_as_with_tensorflow(results):
    gradients = np.array([[-4, 1, 1], [6, 1, 1], [1, 2, 0]], "float32")
    compared = 0
    for name in balancers.__all__:
        make = getattr(balancers, name)
        is_rule = isinstance(make, type) and issubclass(make, balancers.GramianBalancer)
        if not is_rule or name in NEEDS_ARGUMENTS:
            continue
        actual = results[f"balancers.{name}"]
        assert isinstance(actual, list), f"{name}: {actual}"
        compared += 1
        if name in ("PCGrad", "GradVac"):  # other draws
            continue
        expected = make().weigh(gradients @ gradients.T, np.ones(3, "float32"))
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4, err_msg=name)
    assert compared > 15

"""Every regime under each kind of balancer, and in each way in which Keras runs a step.

Eager with `every=2`, XLA, float16, two replicas; SGD and AdamW; killed and resumed. Labels are
missing in all of them. What cannot be exact is refused where the model is made, by the tests of
each regime: losses over the batch beside moved rows, a rule on gradients where nothing is shared,
`MetaModel` on replicas, in float16 and under XLA.
"""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import regime_cases as cases

SCRIPT = pathlib.Path(__file__).with_name("regime_runs.py")


def close(one, other, tolerance, name):
    for a, b in zip(cases.values(one), cases.values(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance, err_msg=name)


WAYS = {
    "eager": ({"run_eagerly": True}, 2, None),
    "XLA": ({"jit_compile": True}, 1, None),
    "AdamW": ({"run_eagerly": True}, 2, cases.adamw),
}
CELLS = [(name, kind) for name in cases.CASES for kind in cases.BALANCERS]
# XLA draws other normal numbers: `test_modulation.py` looks at their deviation.
CELLS_OF_WAYS = [
    (*cell, way) for cell in CELLS for way in WAYS if (cell[0], way) != ("noisy modulation", "XLA")
]


@pytest.mark.parametrize(
    ("name", "kind", "way"),
    [
        ("VAT", "Gramian", "eager"),
        *(pytest.param(*cell, marks=pytest.mark.slow) for cell in CELLS_OF_WAYS),
    ],
)
def test_the_ways_to_run_a_step_agree(name, kind, way):
    options, every, optimizer = WAYS[way]
    results = [
        cases.trained(name, kind, every, optimizer=optimizer and optimizer(), **compiled)
        for compiled in ({}, options)
    ]
    # XLA draws other numbers, from which the steps of virtual adversarial training begin.
    tolerance = 0.01 if (name, way) == ("VAT", "XLA") else 2e-5
    close(*results, tolerance, f"{name} {kind} {way}")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("flags", "gradients"),
        *(pytest.param(*cell, marks=pytest.mark.slow) for cell in CELLS),
    ],
)
def test_a_killed_run_ends_bit_by_bit_as_one_that_was_not(name, kind, tmp_path):
    whole = cases.backed_up(name, kind, tmp_path / "whole")
    with pytest.raises(cases.Killed):
        cases.backed_up(name, kind, tmp_path / "killed", kill=True)
    resumed = cases.backed_up(name, kind, tmp_path / "killed")
    assert int(resumed.optimizer.iterations) == 6
    pairs = zip(cases.all_values(resumed), cases.all_values(whole), strict=True)
    for number, (actual, expected) in enumerate(pairs):
        np.testing.assert_array_equal(actual, expected, err_msg=str(number))


@pytest.mark.slow
@pytest.mark.parametrize("name", cases.CASES)
def test_half_precision_takes_nearly_the_same_steps(name):
    start = cases.CASES[name]()[0].get_weights()
    plain = cases.trained(name, "Gramian")
    keras.config.set_dtype_policy("mixed_float16")
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.05), initial_scale=2.0**10)
    try:
        half = cases.trained(name, "Gramian", optimizer=scaled)
    finally:
        keras.config.set_dtype_policy("float32")
    assert float(scaled.dynamic_scale) == 2.0**10  # no step was skipped
    moved = max(
        np.abs(a - b).max() for a, b in zip(plain.network.get_weights(), start, strict=True)
    )
    close(plain, half, 0.01 * moved, name)


@pytest.mark.slow
def test_two_replicas_take_the_steps_of_one_device(tmp_path):
    results = []
    for replicas in (1, 2):
        out = tmp_path / f"{replicas}.npz"
        command = [sys.executable, str(SCRIPT), "--replicas", str(replicas), "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        results.append(dict(np.load(out)))
    one, two = results
    assert one.keys() == two.keys()
    for key, value in one.items():
        np.testing.assert_allclose(two[key], value, rtol=0, atol=5e-6, err_msg=key)

"""Every balancer in every way in which Keras runs a step; all tests but one are slow.

In the everyday run, test_keras_behaviors.py runs one balancer in each way.
"""

import every_balancer
import keras
import numpy as np
import pytest
import small_problem as problem

import keras_mtl as mtl

# The rule that is most sensitive to the scale of its gradients.
SAMPLE = ("NashMTL",)
DRAWN = {"random", "random order", "drawn", "drawn for all"}
names = every_balancer.names()


def trained(name, optimizer=None, **options):
    balancer = every_balancer.make(name)
    network = every_balancer.network(balancer)
    model = mtl.BalancedModel(network, problem.tasks(), balancer)
    model.compile(optimizer or keras.optimizers.SGD(0.05), **options)
    model.fit(problem.dataset(4), verbose=0, **every_balancer.more_data(balancer))
    return model


@pytest.mark.slow
@pytest.mark.parametrize("name", names)
def test_the_ways_to_run_a_step_agree(name):
    plain = trained(name)
    ways = [{"run_eagerly": True}, {"steps_per_execution": 4}]
    if not {"random signs", *DRAWN} & every_balancer.CASES[name].laws:  # XLA draws other numbers
        ways.append({"jit_compile": True})
    for way in ways:
        model = trained(name, **way)
        for one, same in zip(model.variables, plain.variables, strict=True):
            np.testing.assert_allclose(one, same, rtol=1e-4, atol=1e-5, err_msg=f"{way}")


@pytest.mark.parametrize(
    "name", [n if n in SAMPLE else pytest.param(n, marks=pytest.mark.slow) for n in names]
)
def test_half_precision_sees_unscaled_gradients(name):
    keras.config.set_dtype_policy("mixed_float16")
    # At the default scale 2^15 the gradient of few examples overflows, and the step is skipped.
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.05), initial_scale=2.0**11)
    try:
        model = trained(name, scaled)
    finally:
        keras.config.set_dtype_policy("float32")
    assert float(scaled.dynamic_scale) == 2.0**11
    assert all(np.isfinite(np.asarray(variable, "float32")).all() for variable in model.variables)
    if DRAWN & every_balancer.CASES[name].laws:
        return
    # A rule that saw scaled losses or gradients would be off by the scale.
    expected = trained(name).task_weights
    for task, weight in model.task_weights.items():
        assert abs(weight - expected[task]) < 0.1 + 0.2 * abs(expected[task]), (task, weight)

"""Under the default dtype float64, or with a network of float64, a model trains as in float32."""

import contextlib
import functools

import every_balancer
import keras
import numpy as np
import pytest
import small_problem as problem

import keras_mtl as mtl

# The dtype policy of the network, and the default dtype (`keras.config.floatx()`).
SETTINGS = {"both": ("float64", "float64"), "network": ("float64", "float32")}
# A rule that draws, and one that looks at a second batch.
EVERYDAY = {("COSMOS", "both"), ("AutoLambda", "network")}
every_setting = pytest.mark.parametrize(
    ("name", "setting"),
    [
        pytest.param(*pair, marks=[] if pair in EVERYDAY else pytest.mark.slow)
        for name in every_balancer.names()
        for pair in ((name, setting) for setting in SETTINGS)
    ],
)


@contextlib.contextmanager
def dtypes(policy, floatx):
    """Sets the policy and the default dtype inside of the context."""
    keras.config.set_dtype_policy(policy)
    keras.config.set_floatx(floatx)
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")
        keras.config.set_floatx("float32")


def penalize(network):
    """Adds regularizers, whose losses have the dtypes of their kernels."""
    for layer in network.layers:
        if layer.name in ("shared_0", "z_tower"):
            layer.kernel_regularizer = keras.regularizers.L2(1e-3)
            layer.kernel.regularizer = layer.kernel_regularizer
    return network


def trained(name, policy="float32", floatx="float32", at="parameters", every=1, **options):
    """Returns a model after two steps, and its logs; an epoch per step where a rule reads logs."""
    balancer = every_balancer.make(name)
    start = every_balancer.network(balancer).get_weights()
    with dtypes(policy, floatx):
        network = penalize(every_balancer.network(balancer))
        network.set_weights(start)
        model = mtl.BalancedModel(network, problem.tasks(), balancer, at=at, every=every)
        model.compile(keras.optimizers.SGD(0.1), **options)
        more = every_balancer.more_data(balancer)
        batches, epochs = (1, 2) if name in every_balancer.BY_LOGS else (2, 1)
        logs = model.fit(problem.dataset(batches), epochs=epochs, verbose=0, **more).history
    assert {str(variable.dtype) for variable in network.variables} == {policy}
    return model, logs


in_float32 = functools.cache(functools.partial(trained, run_eagerly=True))


@every_setting
def test_float64_gives_the_network_of_float32(name, setting):
    assert_same(trained(name, *SETTINGS[setting], run_eagerly=True), in_float32(name))


def trained_by_keras(policy, floatx):
    """Returns a network that plain Keras has trained, and its logs."""
    start = problem.network().get_weights()
    with dtypes(policy, floatx):
        network = problem.network()
        network.set_weights(start)
        options = mtl.compile_args(problem.tasks())
        network.compile(keras.optimizers.SGD(0.1), run_eagerly=True, **options)
        logs = network.fit(problem.dataset(2), shuffle=False, verbose=0).history
    return network, logs


@pytest.mark.parametrize("setting", SETTINGS)
def test_plain_keras_trains_tasks_in_float64_as_in_float32(setting):
    network, logs = trained_by_keras(*SETTINGS[setting])
    expected, expected_logs = trained_by_keras("float32", "float32")
    problem.assert_close(problem.values(network.variables), problem.values(expected.variables))
    assert logs.keys() == expected_logs.keys()
    for key, values in expected_logs.items():
        np.testing.assert_allclose(logs[key], values, rtol=1e-5, err_msg=key)


# A branch of a graph takes tensors of one dtype.
@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(
    "way",
    [
        *(("FORUM", "parameters", 1), ("FAMO", "parameters", 2), ("MoDo", "parameters", 2)),
        *(("MGDA", "parameters", 2), ("MGDA", "representation", 2)),
        *(("GradDrop", "parameters", 2), ("GradDrop", "representation", 2)),
    ],
)
def test_float64_is_traced_in_each_kind_of_step(way, setting):
    name, at, every = way
    result = trained(name, *SETTINGS[setting], at=at, every=every)
    assert_same(result, trained(name, at=at, every=every, run_eagerly=True))


def assert_same(result, reference):
    (model, logs), (expected, expected_logs) = result, reference
    for variables in ("network", "balancer"):
        one, other = (problem.values(getattr(m, variables).variables) for m in (model, expected))
        problem.assert_close(one, other, 1e-5)
    assert logs.keys() == expected_logs.keys()
    for key, values in expected_logs.items():
        np.testing.assert_allclose(logs[key], values, rtol=1e-5, atol=1e-5, err_msg=key)

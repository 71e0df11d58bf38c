"""Under the policy and the default dtype float64 a model trains as in float32."""

import contextlib

import every_balancer
import keras
import numpy as np
import pytest
import small_problem as problem

import keras_mtl as mtl


@contextlib.contextmanager
def precision(dtype):
    """Sets the policy and the default dtype inside of the context."""
    keras.config.set_dtype_policy(dtype)
    keras.config.set_floatx(dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")
        keras.config.set_floatx("float32")


def trained(name, dtype, start):
    with precision(dtype):
        network = problem.network()
        network.set_weights(start)
        model = mtl.BalancedModel(network, problem.tasks(), every_balancer.make(name))
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        model.fit(problem.dataset(2), verbose=0)
    assert {str(variable.dtype) for variable in network.variables} == {dtype}
    return network


@pytest.mark.parametrize("name", ["Equal", "PCGrad", "GradDrop"])
def test_float64_gives_the_network_of_float32(name):
    start = problem.network().get_weights()
    networks = [trained(name, dtype, start) for dtype in ("float32", "float64")]
    for one, other in zip(*(network.variables for network in networks), strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=0, atol=1e-6)

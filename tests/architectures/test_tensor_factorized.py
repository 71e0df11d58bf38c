import keras
import numpy as np
import pytest
from expert_references import draw, randomize, relu, value

from keras_mtl import Task, architectures, layers

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3)]
ROWS = {
    "laf": lambda factors, u: np.einsum("ijc,c->ij", factors[0], u),
    "tucker": lambda f, u: np.einsum("ia,abc,jb,c->ij", f[0], f[1], f[2], u),
    "tt": lambda factors, u: np.einsum("ia,ajc,c->ij", *factors, u),
}


def build(**arguments):
    network = architectures.tensor_factorized(
        keras.Input((5,)), TASKS, **{"body": (6, 4), "rank": 3} | arguments
    )
    randomize(network)
    return network


@pytest.mark.parametrize("form", ROWS)
def test_a_task_reads_kernels_made_from_the_factors(form):
    network = build(form=form, task_rank=2)
    x = draw(7, 5)
    for task in TASKS:
        y = x
        for i in range(2):
            layer = network.get_layer(f"shared_factorized_{i}")
            u = value(network.get_layer(f"{task.name}_factor_{i}").embeddings)[0]
            kernel = ROWS[form]([value(factor) for factor in layer.factors], u)
            y = relu(np.c_[y, np.ones(7)] @ kernel)
        head = network.get_layer(f"{task.name}_logits")
        expected = y @ value(head.kernel) + value(head.bias)
        np.testing.assert_allclose(network(x)[task.name], expected, rtol=1e-4, atol=1e-5)


def unfolded_ranks(form, rank, task_rank, count=6):
    """Returns the ranks of the unfoldings of the tensor of the kernels of many tasks."""
    layer = layers.FactorizedDense(9, form, rank)
    rng = np.random.default_rng(0)
    layer.build([(None, 7), (1, task_rank)])
    for factor in layer.factors:
        factor.assign(rng.normal(size=factor.shape))
    factors = rng.normal(size=(count, 1, task_rank)).astype("float32")
    tensor = np.stack([value(layer.kernel(factor)) for factor in factors], -1)
    return [
        np.linalg.matrix_rank(np.moveaxis(tensor, axis, 0).reshape(tensor.shape[axis], -1), 1e-4)
        for axis in range(3)
    ]


def test_the_tensor_of_all_tasks_kernels_has_the_ranks_of_its_form():
    assert unfolded_ranks("laf", 3, 2) == [8, 9, 2]
    assert unfolded_ranks("tucker", 3, 2) == [3, 3, 2]
    assert unfolded_ranks("tt", 3, 2) == [3, 6, 2]  # units: at most rank x task_rank


@pytest.mark.parametrize("form", ROWS)
def test_kernels_start_with_the_variance_of_a_dense_layer_and_biases_at_zero(form):
    layer = layers.FactorizedDense(300, form, rank=30)
    layer.build([(None, 200), (1, 20)])
    drawn = [
        value(layer.kernel(np.random.default_rng(i).normal(size=(1, 20)) / np.sqrt(20)))
        for i in range(8)
    ]
    np.testing.assert_allclose(
        np.std([kernel[:-1] for kernel in drawn]), np.sqrt(2 / 500), rtol=0.15
    )
    assert not np.any([kernel[-1] for kernel in drawn])


def test_other_stages_are_shared_and_run_once_where_they_can():
    convolution = keras.layers.Conv2D(4, 3, name="convolution")
    pool = keras.layers.GlobalAveragePooling2D(name="pool")
    network = architectures.tensor_factorized(
        keras.Input((8, 8, 3)), TASKS, body=[convolution, 6, lambda x: x[:, 1:], pool, 5]
    )
    assert len(convolution._inbound_nodes) == 1 and len(pool._inbound_nodes) == 2
    assert network(draw(2, 8, 8, 3))["alpha"].shape == (2, 3)


def test_tasks_of_equal_factors_and_heads_are_equal():
    tasks = [Task.regression("zeta"), Task.regression("alpha")]
    network = architectures.tensor_factorized(keras.Input((5,)), tasks, body=(6,))
    x = draw(7, 5)
    assert np.abs(network(x)["zeta"] - network(x)["alpha"]).max() > 0.01
    for part in ("factor_0", "logits"):
        weights = network.get_layer(f"zeta_{part}").get_weights()
        network.get_layer(f"alpha_{part}").set_weights(weights)
    np.testing.assert_array_equal(network(x)["zeta"], network(x)["alpha"])


def test_arguments_are_checked():
    with pytest.raises(ValueError, match=r"form must be one of \['laf', 'tucker', 'tt'\]"):
        build(form="cp")
    with pytest.raises(ValueError, match="task_rank must be an integer of at least 1"):
        build(task_rank=0)
    with pytest.raises(ValueError, match=r"rank must be an integer of at least 1"):
        build(rank=0)
    with pytest.raises(ValueError, match=r"no stage of .* is units"):
        build(body=[keras.layers.Dense(3)])

import keras
import numpy as np
import pytest
import tensorflow as tf
from expert_references import draw, logits, randomize, relu, value

import keras_mtl as mtl
from keras_mtl import Task, architectures

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3)]


def build(**arguments):
    return architectures.low_rank(keras.Input((5,)), TASKS, **{"body": (6, 4)} | arguments)


def test_a_task_reads_the_shared_kernels_plus_its_products():
    network = build(rank=2)
    randomize(network)
    x = draw(7, 5)
    outputs = network(x)
    body = network.get_layer("shared_body").layer
    for task in TASKS:
        factors = [value(factor) for factor in network.get_layer(f"{task.name}_low_rank").factors]
        y = x
        for i in range(2):
            dense = body.get_layer(f"shared_body_{i}")
            kernel = value(dense.kernel) + factors[2 * i] @ factors[2 * i + 1]
            y = relu(y @ kernel + value(dense.bias))
        expected = logits(network, task.name, y, towers=1)
        np.testing.assert_allclose(outputs[task.name], expected, rtol=1e-4, atol=1e-4)


def test_a_task_trains_the_shared_weights_and_its_own_factors():
    network = build()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(draw(7, 5))["zeta"] ** 2)
    variables = network.trainable_variables
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    reached = {
        variable.path.split("/")[0]
        for variable, gradient in zip(variables, gradients, strict=True)
        if gradient is not None and np.abs(gradient).max() > 0
    }
    expected = {"shared_body_0", "shared_body_1", "zeta_low_rank", "zeta_tower_0", "zeta_logits"}
    assert reached == expected


def test_products_start_small_beside_the_shared_kernels():
    network = build(body=(128, 128), rank=4)
    a, b = (value(factor) for factor in network.get_layer("zeta_low_rank").factors[2:])
    kernel = value(network.get_layer("shared_body").layer.get_layer("shared_body_1").kernel)
    assert 0.2 < (a @ b).std() / kernel.std() < 0.5


def test_a_model_is_the_body_and_targets_say_which_layers_differ():
    body = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, name="first"),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(5, 3, name="second"),
        ]
    )
    tasks = [Task.segmentation("zeta", 3), Task.segmentation("alpha", 2)]
    network = architectures.low_rank(body.inputs[0], tasks, body=body, targets=["second"])
    assert network.get_layer("shared_body").layer is body
    assert network.get_layer("alpha_low_rank").shapes == {"second": (36, 5)}
    assert network(draw(2, 8, 8, 3))["alpha"].shape == (2, 4, 4, 2)


def test_a_balancer_of_gradients_weighs_the_shared_body():
    network = build()
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.MGDA())
    model.compile("sgd")
    y = {"zeta": np.ones(8, "float32"), "alpha": np.zeros((8, 3), "float32")}
    start = network.get_weights()
    model.fit(draw(8, 5), y, verbose=0)
    assert all(np.abs(a - b).max() > 0 for a, b in zip(start, network.get_weights(), strict=True))


def test_a_body_of_several_outputs_or_no_kernel_is_refused():
    inputs = keras.Input((5,))
    two = keras.Model(inputs, {"a": keras.layers.Dense(2)(inputs), "b": inputs})
    with pytest.raises(ValueError, match=r"body: expected one tensor.*model.output\[...\]"):
        architectures.low_rank(keras.Input((5,)), TASKS, body=two)
    with pytest.raises(ValueError, match="no kernel to update"):
        build(body=keras.layers.LayerNormalization())
    with pytest.raises(ValueError, match="rank must be an integer of at least 1"):
        build(rank=0)

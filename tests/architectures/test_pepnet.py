import keras
import numpy as np
import pytest
import tensorflow as tf
from expert_references import dense, draw, linear, randomize, relu, sigmoid, value

from keras_mtl import Task, architectures

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3)]
COLUMNS = {"user": (2,), "page": (3,), "stats": (2, 2)}


def make_inputs():
    return {name: keras.Input(shape, name=name) for name, shape in COLUMNS.items()}


def rows():
    rng = np.random.default_rng(0)
    return {k: rng.normal(size=(7, *shape)).astype("float32") for k, shape in COLUMNS.items()}


def gate(network, name, x, gamma):
    layer = network.get_layer(name)
    hidden = relu(x @ value(layer.hidden_kernel) + value(layer.hidden_bias))
    return gamma * sigmoid(hidden @ value(layer.kernel) + value(layer.bias))


def test_the_output_equals_the_papers_equations():
    network = architectures.pepnet(
        make_inputs(), TASKS, domain=["page"], prior=["user", "stats"], tower=(6, 5), gamma=3.0
    )
    randomize(network)
    x = {name: column.reshape(7, -1) for name, column in rows().items()}
    features = np.concatenate(list(x.values()), -1)
    domain = np.concatenate([x["page"], features], -1)
    features = gate(network, "shared_domain_gate", domain, 3.0) * features
    prior = np.concatenate([x["user"], x["stats"], features], -1)
    outputs = network(rows())
    for k, task in enumerate(TASKS):
        y = features
        for i in range(3):
            factors = gate(network, f"shared_prior_gate_{i}", prior, 3.0)
            y = np.split(factors, 2, -1)[k] * y
            if i < 2:
                y = dense(network, f"{task.name}_tower_{i}", y)
        expected = dense(network, f"{task.name}_logits", y, linear)
        np.testing.assert_allclose(outputs[task.name], expected, rtol=1e-4, atol=1e-5)


def test_gates_send_no_gradient_into_the_features():
    inputs = keras.Input((4,))
    embed = keras.layers.Dense(4, use_bias=False, name="embedding")
    network = architectures.pepnet(embed(inputs), TASKS, tower=())
    x = draw(7, 4)

    def gradient():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(network(x)["zeta"])
        return tape.gradient(loss, embed.kernel.value)

    features = x @ np.asarray(embed.kernel)
    domain = gate(network, "shared_domain_gate", features, 2.0)
    prior = gate(network, "shared_prior_gate_0", domain * features, 2.0)[:, :4]
    head = value(network.get_layer("zeta_logits").kernel)[:, 0]
    expected = x.T @ (domain * prior * head)  # as if the factors were constants
    np.testing.assert_allclose(gradient(), expected, rtol=1e-4, atol=1e-5)


def test_a_recipe_tower_has_one_gate_in_front_of_it():
    def recipe(features):
        return keras.layers.Dense(4)(features)

    network = architectures.pepnet(keras.Input((5,)), TASKS, tower=recipe)
    gates = [layer.name for layer in network.layers if "prior_gate" in layer.name]
    assert gates == ["shared_prior_gate_0"]


@pytest.mark.parametrize("names", [["city"], "user"])
def test_the_names_of_inputs_are_checked(names):
    with pytest.raises(ValueError, match=r"prior must list names of inputs, which are \['user'"):
        architectures.pepnet(make_inputs(), TASKS, prior=names)
    with pytest.raises(ValueError, match="Pass inputs as a dict to name some"):
        architectures.pepnet(keras.Input((5,)), TASKS, domain=["city"])

"""shared_private: the paper's equations, and the path of the adversary."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task

TASKS = [Task.binary("films"), Task.binary("books"), Task.multiclass("domain", 2)]
ARGUMENTS = {"shared": (6, 5), "private": (4,), "tower": (3,)}


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    network = mtl.architectures.shared_private(
        keras.Input((7,)), TASKS, adversary="domain", strength=0.5, orthogonality=0.1, **ARGUMENTS
    )
    rng = np.random.default_rng(0)
    for variable in network.trainable_variables:  # zeros of biases would hide faults
        variable.assign(rng.normal(size=variable.shape))
    return network


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(1).normal(size=(8, 7)).astype("float32")


def dense(network, name, features):
    kernel, bias = (np.asarray(v, "float64") for v in network.get_layer(name).variables)
    return features @ kernel + bias


def relu_dense(network, name, features):
    return np.maximum(dense(network, name, features), 0)


def test_outputs_follow_the_equations(network, inputs):
    shared = relu_dense(network, "shared_body_0", inputs)
    shared = relu_dense(network, "shared_body_1", shared)
    outputs, penalty = network(inputs), 0
    for task in "films", "books", "domain":
        features = shared
        if task != "domain":
            private = relu_dense(network, f"{task}_private_0", inputs)
            features = np.concatenate([shared, private], axis=1)
            penalty += 0.1 * np.sum((shared.T @ private / len(inputs)) ** 2)
        tower = relu_dense(network, f"{task}_tower_0", features)
        logits = dense(network, f"{task}_logits", tower)
        if task == "domain":
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            expected = powers / powers.sum(axis=1, keepdims=True)
        else:
            expected = 1 / (1 + np.exp(-logits))
        np.testing.assert_allclose(outputs[task], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(sum(network.losses), penalty, rtol=1e-4)


def test_the_adversary_trains_its_tower_and_turns_round_for_the_shared_body_alone(network, inputs):
    features = keras.Model(network.input, network.get_layer("domain_reversal").input)
    top = network.get_layer("domain_tower_0")
    labels = np.arange(8) % 2

    def loss_of(prediction):
        return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, prediction))

    body = network.get_layer("shared_body_0").kernel.value
    with tf.GradientTape(persistent=True) as tape:
        turned = loss_of(network(inputs)["domain"])
        logits = network.get_layer("domain_logits")(top(features(inputs)))
        straight = loss_of(network.get_layer("domain_softmax")(logits))
    np.testing.assert_allclose(
        tape.gradient(turned, body), -0.5 * tape.gradient(straight, body), rtol=1e-4, atol=1e-7
    )
    np.testing.assert_allclose(
        tape.gradient(turned, top.kernel.value), tape.gradient(straight, top.kernel.value)
    )
    for name in "films_private_0", "books_private_0":
        assert tape.gradient(turned, network.get_layer(name).kernel.value) is None


def test_it_trains_on_rows_of_either_set_and_one_task_is_cut_out_without_the_adversary(network):
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.Equal())
    model.compile(keras.optimizers.SGD(0.01))
    domain = np.arange(16) % 2
    inputs = np.random.default_rng(2).normal(size=(16, 7)).astype("float32")
    labels = {"films": domain, "books": domain, "domain": domain}
    weights = {"films": 1.0 - domain, "books": 1.0 * domain, "domain": np.ones(16)}
    history = model.fit(inputs, labels, sample_weight=weights, batch_size=8, verbose=0).history
    assert np.isfinite(history["loss"][0])
    cut = mtl.export.single_task(network, "films")
    np.testing.assert_allclose(cut(inputs)["films"], network(inputs)["films"], rtol=1e-5)
    names = {layer.name for layer in cut.layers}
    assert "shared_body_0" in names
    assert not {"domain_reversal", "books_private_0"} & names


@pytest.mark.parametrize(("tasks", "adversary"), [(TASKS, "origin"), (TASKS[2:], "domain")])
def test_an_adversary_without_a_task_or_alone_is_refused(tasks, adversary):
    with pytest.raises(ValueError, match=r"adversary must be one of the tasks \["):
        mtl.architectures.shared_private(keras.Input((7,)), tasks, adversary=adversary)


def test_a_private_body_that_tasks_would_share_is_refused():
    layer = keras.layers.Dense(4)
    with pytest.raises(ValueError, match="share"):
        mtl.architectures.shared_private(keras.Input((7,)), TASKS, private=lambda x: layer(x))

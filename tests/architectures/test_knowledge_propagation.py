import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special

import keras_mtl as mtl
from keras_mtl import Task, architectures, layers

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3), Task.regression("mean")]
NAMES = [task.name for task in TASKS]
GIVEN = [[0, 0.5, 0], [2.0, 0, -1.0], [0, 0, 0]]
X = np.random.default_rng(0).normal(size=(8, 5)).astype("float32")


def build(**arguments):
    arguments = {"body": (6, 4), "tower": (3,)} | arguments
    return architectures.knowledge_propagation(keras.Input((5,)), TASKS, **arguments)


def gradients(network, name, weights):
    """Computes the gradient of the weighted sum of all tasks' losses in one task's body."""
    kernel = network.get_layer(f"shared_{name}_body_0").kernel
    with tf.GradientTape() as tape:
        outputs = network(X)
        losses = [w * tf.reduce_mean(outputs[n] ** 2) for n, w in zip(NAMES, weights, strict=True)]
        total = tf.add_n(losses)
    return np.asarray(tape.gradient(total, kernel.value))


def by_towers(network, x, name):
    """Computes a tower's prediction from its features."""
    for layer in (f"{name}_tower_0", f"{name}_logits"):
        x = network.get_layer(layer)(x)
    return x


def features_of(network, name):
    x = X
    for i in range(2):
        x = network.get_layer(f"shared_{name}_body_{i}")(x)
    return x


@pytest.mark.parametrize("relations", [GIVEN, None], ids=["given", "estimated"])
def test_a_tower_reads_its_own_features_and_those_of_its_relatives(relations):
    network = build(strength=0.3, relations=relations)
    layer = network.get_layer("shared_relations")
    if relations is None:
        logits = np.random.default_rng(1).normal(size=(3, 3))
        layer.logits.assign(logits)
        relations = special.expit(logits) * (1 - np.eye(3)) / 2
    np.testing.assert_allclose(layer.relations, relations, rtol=1e-5, atol=1e-7)
    x = np.stack([features_of(network, name) for name in NAMES])
    mixed = x + 0.3 * np.einsum("kj,jbu->kbu", relations, x)
    for name, features in zip(NAMES, mixed.astype("float32"), strict=True):
        expected = by_towers(network, features, name)
        np.testing.assert_allclose(network(X)[name], expected, rtol=1e-4, atol=1e-5)


def test_the_loss_of_a_body_carries_lambda_times_its_relatives_terms():
    network = build(strength=0.3, relations=GIVEN)
    deltas = []
    mixed = keras.Model(network.input, network.get_layer("shared_relations").output)(X)
    for name, features in zip(NAMES, mixed, strict=True):
        with tf.GradientTape() as tape:
            tape.watch(features)
            loss = tf.reduce_mean(by_towers(network, features, name) ** 2)
        deltas.append(tape.gradient(loss, features))
    for j, name in enumerate(NAMES):
        term = deltas[j] + 0.3 * sum(GIVEN[k][j] * deltas[k] for k in range(3))
        kernel = network.get_layer(f"shared_{name}_body_0").kernel
        with tf.GradientTape() as tape:
            pulled = tf.reduce_sum(term * features_of(network, name))
        expected = tape.gradient(pulled, kernel.value)
        np.testing.assert_allclose(gradients(network, name, [1, 1, 1]), expected, atol=1e-6)


def test_a_task_without_relatives_learns_alone():
    network = build(relations=GIVEN)
    assert np.abs(gradients(network, "mean", [0, 1, 0])).max() > 0  # alpha takes from mean
    assert np.abs(gradients(network, "mean", [1, 0, 0])).max() == 0  # zeta does not


def test_training_moves_relations_within_their_bounds():
    network = build(strength=1.0)
    start = network.get_layer("shared_relations").relations
    np.testing.assert_allclose(start, (1 - np.eye(3)) / 4)
    network.compile(keras.optimizers.Adam(0.05), run_eagerly=True, **mtl.compile_args(TASKS))
    labels = {"zeta": X[:, 0], "alpha": X[:, :3], "mean": np.zeros(8, "float32")}
    network.fit(X, labels, epochs=3, batch_size=8, verbose=0)
    after = network.get_layer("shared_relations").relations
    assert np.abs(after - start)[~np.eye(3, dtype=bool)].min() > 1e-4
    assert after.min() >= 0 and after.max() <= 0.5 and not np.diag(after).any()


@pytest.mark.parametrize(
    "relations",
    [[[0, 1], [1, 0]], [[1, 0, 0], [0, 0, 0], [0, 0, 0]], np.full((3, 3), np.nan), [0, 1, 0]],
)
def test_relations_that_are_no_matrix_of_the_tasks_are_refused(relations):
    with pytest.raises(ValueError, match="relations must be a matrix 3 x 3 of finite numbers"):
        build(relations=relations)


def test_features_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="relations: features of related tasks are added up"):
        layers.TaskRelations(name="relations")([keras.Input((4,)), keras.Input((5,))])


@pytest.mark.parametrize("relations", [None, [[0, 1.5], [0, 0]]])
def test_a_layer_comes_back_from_its_config(relations):
    layer = layers.TaskRelations(0.2, relations, name="relations")
    config = layer.get_config()
    assert layers.TaskRelations.from_config(config).get_config() == config

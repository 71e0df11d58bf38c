import keras
import numpy as np
import pytest
import tensorflow as tf
from expert_references import draw, experts, logits, mixture, randomize

from keras_mtl import Task, architectures

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3)]
NAMES = [task.name for task in TASKS]


def build(levels, **arguments):
    arguments = {
        "num_shared_experts": 3,
        "num_task_experts": 2,
        "expert": (6, 4),
        "tower": (5,),
    } | arguments
    return architectures.ple(keras.Input((5,)), TASKS, num_levels=levels, **arguments)


def reference(network, x, levels):
    """Computes the outputs level after level, by equations 6 and 7."""
    task_features = {name: x for name in [*NAMES, "shared"]}
    for level in range(levels):
        below = level < levels - 1
        owner = {name: f"shared_{name}" if below else name for name in NAMES}
        task_experts = {
            name: experts(network, f"{owner[name]}_experts_{level}", task_features[name])
            for name in NAMES
        }
        shared = experts(network, f"shared_experts_{level}", task_features["shared"])
        mixed = {
            name: mixture(
                network,
                f"{owner[name]}_gate_{level}",
                task_features[name],
                task_experts[name] + shared,
            )
            for name in NAMES
        }
        if below:
            everything = task_experts["zeta"] + task_experts["alpha"] + shared
            gate = f"shared_gate_{level}"
            mixed["shared"] = mixture(network, gate, task_features["shared"], everything)
        task_features = mixed
    return {name: logits(network, name, task_features[name]) for name in NAMES}


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_the_output_equals_the_papers_equations(levels):
    network = build(levels)
    randomize(network)
    x = draw(7, 5)
    expected, outputs = reference(network, x, levels), network(x)
    for name in NAMES:
        np.testing.assert_allclose(outputs[name], expected[name], rtol=1e-4, atol=1e-5)


def test_all_levels_but_the_last_have_a_gate_of_the_shared_experts():
    names = [layer.name for layer in build(3).layers]
    assert [name for name in names if name.startswith("shared_gate")] == [
        "shared_gate_0",
        "shared_gate_1",
    ]


def test_the_shared_gate_mixes_the_experts_of_all_tasks():
    network = build(2)
    assert network.get_layer("shared_gate_0").units == 2 + 2 + 3
    kernel = network.get_layer("shared_alpha_experts_0").kernels[0]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(draw(7, 5))["zeta"] ** 2)
    assert np.abs(tape.gradient(loss, kernel.value)).max() > 0


def test_the_last_level_is_parted():
    network = build(2)
    kernel = network.get_layer("alpha_experts_1").kernels[0]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(draw(7, 5))["zeta"] ** 2)
    assert tape.gradient(loss, kernel.value) is None


def test_one_level_is_cgc():
    network = build(1)
    other = architectures.cgc(
        keras.Input((5,)),
        TASKS,
        num_shared_experts=3,
        num_task_experts=2,
        expert=(6, 4),
        tower=(5,),
    )
    named = {layer.name.removesuffix("_0"): layer for layer in network.layers if layer.weights}
    for layer in other.layers:
        if layer.weights:
            layer.set_weights(named[layer.name.removesuffix("_0")].get_weights())
    x = draw(7, 5)
    for name, output in network(x).items():
        np.testing.assert_array_equal(output, other(x)[name])


def test_every_expert_of_every_level_starts_different_and_as_wide_as_a_dense_layer():
    network = architectures.ple(
        keras.Input((64,)), TASKS, num_task_experts=2, num_shared_experts=3, expert=(64, 64)
    )
    kernels = [
        np.asarray(kernel)[:, e]
        for layer in network.layers
        if "_experts_" in layer.name
        for kernel in layer.kernels
        for e in range(layer.num_experts)
    ]
    assert len(kernels) == 2 * 2 * (2 * 2 + 3)
    dense = np.sqrt(2 / (64 + 64))  # Glorot
    np.testing.assert_allclose([kernel.std() for kernel in kernels], dense, rtol=0.05)
    correlations = np.corrcoef([kernel.ravel() for kernel in kernels]) - np.eye(len(kernels))
    assert np.abs(correlations).max() < 0.1


@pytest.mark.parametrize("count", ["num_levels", "num_shared_experts", "num_task_experts"])
def test_the_counts_are_checked(count):
    with pytest.raises(ValueError, match=f"{count} must be an integer of at least 1; received 0"):
        architectures.ple(keras.Input((5,)), TASKS, **{count: 0})


def test_recipes_that_pool_a_sequence_are_gated_by_means():
    def recipe(features):
        if len(features.shape) == 3:
            features = keras.layers.GlobalMaxPooling1D()(features)
        return keras.layers.Dense(4)(features)

    network = architectures.ple(keras.Input((None, 5)), TASKS, expert=recipe, tower=())
    assert network(draw(3, 6, 5))["alpha"].shape == (3, 3)
    assert network.get_layer("zeta_gate_1").output.shape == (None, 4)

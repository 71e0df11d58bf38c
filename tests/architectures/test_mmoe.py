import keras
import numpy as np
import pytest

from keras_mtl import Task, architectures

TASKS = [Task.regression("zeta"), Task.multiclass("alpha", 3)]


def value(variable):
    return np.asarray(variable, "float64")


def softmax(logits):
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def reference(network, features, expert, task, tower):
    """Computes f_k(x) = sum_i g_k(x)_i f_i(x), the tower and the head, in float64."""
    gate = softmax(features @ value(network.get_layer(f"{task}_gate").kernel))
    mixture = sum(gate[..., i : i + 1] * output for i, output in enumerate(expert(features)))
    for i in range(tower):
        layer = network.get_layer(f"{task}_tower_{i}")
        mixture = np.maximum(mixture @ value(layer.kernel) + value(layer.bias), 0)
    layer = network.get_layer(f"{task}_logits")
    return mixture @ value(layer.kernel) + value(layer.bias)


def randomize(network):
    rng = np.random.default_rng(2)
    network.set_weights([rng.normal(size=w.shape) for w in network.get_weights()])


@pytest.mark.parametrize("shape", [(7, 5), (2, 4, 5), (2, 3, 4, 5)])
def test_the_output_equals_the_papers_equation(shape):
    inputs = keras.Input((*[None] * (len(shape) - 2), 5))
    make = {2: Task.multiclass, 3: Task.tagging, 4: Task.segmentation}[len(shape)]
    tasks = [make("zeta", 4), make("alpha", 3)]
    network = architectures.mmoe(inputs, tasks, num_experts=3, expert=(6, 4), tower=(5,))
    randomize(network)
    experts = network.get_layer("shared_experts")

    def expert(x):
        for i in range(3):
            y = x
            for kernel, bias in zip(experts.kernels, experts.biases, strict=True):
                y = np.maximum(y @ value(kernel)[:, i] + value(bias)[i], 0)
            yield y

    features = np.random.default_rng(1).normal(size=shape)
    outputs = network(features)
    for task in tasks:
        expected = softmax(reference(network, features, expert, task.name, 1))
        np.testing.assert_allclose(outputs[task.name], expected, atol=1e-5)


def test_recipes_are_experts_too():
    def recipe(features):
        return keras.layers.Dense(4, activation="relu")(features)

    network = architectures.mmoe(keras.Input((5,)), TASKS, num_experts=3, expert=recipe, tower=())
    randomize(network)
    prefixes = ("shared", "zeta", "alpha")
    dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    dense = [layer for layer in dense if not layer.name.startswith(prefixes)]
    assert len(dense) == 3

    def expert(x):
        return [np.maximum(x @ value(layer.kernel) + value(layer.bias), 0) for layer in dense]

    features = np.random.default_rng(1).normal(size=(7, 5))
    expected = reference(network, features, expert, "zeta", 0)
    np.testing.assert_allclose(network(features)["zeta"], expected, rtol=1e-4, atol=1e-4)


def test_the_gate_is_reachable_by_name_and_sums_to_one_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network = architectures.mmoe(keras.Input((5,)), TASKS, num_experts=3)
    finally:
        keras.config.set_dtype_policy("float32")
    gate = keras.Model(network.input, network.get_layer("alpha_gate").output)
    weights = gate(np.random.default_rng(0).normal(size=(7, 5)).astype("float32"))
    assert keras.backend.standardize_dtype(weights.dtype) == "float32"
    np.testing.assert_allclose(np.sum(weights, -1), 1, atol=1e-6)


def test_each_task_has_a_gate_a_mixture_and_a_tower_of_its_own():
    network = architectures.mmoe(keras.Input((5,)), TASKS)
    names = [layer.name for layer in network.layers]
    for task in ("zeta", "alpha"):
        assert {f"{task}_gate", f"{task}_mixture", f"{task}_tower_0"} <= set(names)
    assert names.count("shared_experts") == 1


def test_experts_that_pool_a_sequence_are_gated_by_its_mean():
    def recipe(features):
        return keras.layers.GRU(4)(features)

    network = architectures.mmoe(
        keras.Input((None, 5)), TASKS, num_experts=2, expert=recipe, tower=()
    )
    features = np.random.default_rng(0).normal(size=(3, 6, 5)).astype("float32")
    assert network(features)["alpha"].shape == (3, 3)
    gate = keras.Model(network.input, network.get_layer("alpha_gate").output)(features)
    kernel = value(network.get_layer("alpha_gate").kernel)
    np.testing.assert_allclose(gate, softmax(features.mean(1) @ kernel), atol=1e-6)


def test_experts_that_halve_an_image_are_gated_by_its_mean():
    def recipe(features):
        return keras.layers.Conv2D(4, 3, strides=2, padding="same")(features)

    tasks = [Task.segmentation("zeta", 3), Task.segmentation("alpha", 2)]
    network = architectures.mmoe(keras.Input((8, 8, 3)), tasks, num_experts=2, expert=recipe)
    assert network.get_layer("zeta_gate").output.shape == (None, 2)
    assert network(np.ones((1, 8, 8, 3)))["zeta"].shape == (1, 4, 4, 3)


def test_experts_that_share_a_live_layer_are_refused():
    live = keras.layers.Dense(4)
    with pytest.raises(ValueError, match="'shared_expert_0' and 'shared_expert_1' share the layer"):
        architectures.mmoe(keras.Input((5,)), TASKS, expert=lambda x: live(x))
    with pytest.raises(TypeError, match="shared_expert_0: received the live layer"):
        architectures.mmoe(keras.Input((5,)), TASKS, expert=live)


@pytest.mark.parametrize("num_experts", [0, -1, 2.0, True, None])
def test_the_number_of_experts_is_checked(num_experts):
    with pytest.raises(ValueError, match="num_experts must be an integer of at least 1"):
        architectures.mmoe(keras.Input((5,)), TASKS, num_experts=num_experts)


def test_empty_experts_are_refused():
    with pytest.raises(ValueError, match="expert is empty"):
        architectures.mmoe(keras.Input((5,)), TASKS, expert=())

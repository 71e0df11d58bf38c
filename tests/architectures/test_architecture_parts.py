"""Units, recipes and models as the parts of a network."""

import keras
import numpy as np
import pytest
from all_cases import build

from keras_mtl import Task, architectures

TASKS = [Task.binary("zeta"), Task.regression("alpha")]
INPUT = (4,)


def normalized(features):
    features = keras.layers.Dense(5)(features)
    return keras.layers.LayerNormalization()(features)


def test_units_make_the_layers_that_the_summary_names():
    network = architectures.hard_sharing(keras.Input(INPUT), TASKS, shared=(8, 7), tower=[6])
    sizes = {layer.name: layer.units for layer in network.layers if hasattr(layer, "units")}
    assert sizes == {
        **{"shared_body_0": 8, "shared_body_1": 7, "zeta_tower_0": 6, "alpha_tower_0": 6},
        **{"zeta_logits": 1, "alpha_logits": 1},
    }
    assert network.get_layer("shared_body_0").activation is keras.activations.relu


@pytest.mark.parametrize("name", architectures.__all__)
def test_the_activation_reaches_the_layers_made_from_units(name):
    network = build(name, activation="tanh", name="census")
    assert network.name == "census"
    part = "body" if name == "joint_network" else "tower"  # where all is shared
    activations = [layer.activation for layer in network.layers if part in layer.name]
    assert activations and set(activations) == {keras.activations.tanh}


def test_empty_units_are_no_layer():
    network = architectures.hard_sharing(keras.Input(INPUT), TASKS, shared=(), tower=())
    features = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    expected = features @ np.asarray(network.get_layer("alpha_logits").kernel)
    np.testing.assert_allclose(network(features)["alpha"], expected, rtol=1e-5, atol=1e-6)


def test_a_recipe_makes_layers_of_its_own_for_each_task():
    network = architectures.single_task(keras.Input(INPUT), TASKS, tower=normalized)
    assert sum(isinstance(layer, keras.layers.LayerNormalization) for layer in network.layers) == 2


def test_a_model_is_the_shared_body():
    body = keras.Sequential([keras.Input(INPUT), keras.layers.Dense(5, name="pretrained")])
    network = architectures.hard_sharing(keras.Input(INPUT), TASKS, shared=body, tower=())
    features = np.ones((2, 4), "float32")
    before = np.asarray(network(features)["alpha"])
    kernel = body.get_layer("pretrained").kernel
    assert any(kernel is variable for variable in network.trainable_variables)
    kernel.assign(2 * kernel.value)
    np.testing.assert_allclose(network(features)["alpha"], 2 * before, rtol=1e-5)


def test_a_frozen_layer_may_serve_all_towers():
    live = keras.layers.Dense(4, trainable=False)
    network = architectures.single_task(keras.Input(INPUT), TASKS, tower=lambda x: live(x))
    assert len(network.trainable_variables) == 4


def test_towers_may_read_one_trained_layer_in_front_of_the_network():
    inputs = keras.Input(INPUT)
    encode = keras.layers.Dense(3)
    left, right = encode(inputs), encode(2 * inputs)  # one layer twice, above the towers

    def tower(features):
        return keras.layers.Dense(2)(keras.layers.Concatenate()([features, left, right]))

    network = architectures.hard_sharing(inputs, TASKS, tower=tower)
    assert network(np.ones((2, 4)))["zeta"].shape == (2, 1)


def test_a_head_that_reuses_a_live_layer_is_refused():
    live = keras.layers.Dense(1)
    tasks = [Task(name, head=lambda x: live(x), loss="mse") for name in ("zeta", "alpha")]
    with pytest.raises(ValueError, match="'zeta' and 'alpha' share the layer"):
        architectures.hard_sharing(keras.Input(INPUT), tasks)


@pytest.mark.parametrize("part", [64, (64, 0), (64.0,), (True,), "relu", None, keras.layers.Dense])
def test_parts_that_are_neither_units_nor_recipes_are_refused(part):
    with pytest.raises(TypeError, match=r"zeta_tower: expected positive units such as \(64, 32\)"):
        architectures.hard_sharing(keras.Input(INPUT), TASKS, tower=part)
    with pytest.raises(TypeError, match="shared_body: expected positive units"):
        architectures.hard_sharing(keras.Input(INPUT), TASKS, shared=part)


def test_a_recipe_that_returns_no_tensor_is_refused():
    with pytest.raises(TypeError, match="a recipe returns one symbolic tensor; received None"):
        architectures.hard_sharing(keras.Input(INPUT), TASKS, tower=lambda features: None)

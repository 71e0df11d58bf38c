import keras
import numpy as np
import pytest
from expert_references import draw, experts, logits, mixture, randomize

from keras_mtl import Task, architectures

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3)]
COUNTS = {"num_shared_experts": 3, "num_task_experts": 2}


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return architectures.cgc(keras.Input((5,)), TASKS, expert=(6, 4), tower=(5,), **COUNTS)


def test_a_task_mixes_its_own_experts_and_the_shared_ones(network):
    randomize(network)
    x = draw(7, 5)
    outputs, shared = network(x), experts(network, "shared_experts", x)
    for task in TASKS:
        task_experts = experts(network, f"{task.name}_experts", x)
        mixed = mixture(network, f"{task.name}_gate", x, task_experts + shared)
        expected = logits(network, task.name, mixed)
        np.testing.assert_allclose(outputs[task.name], expected, rtol=1e-4, atol=1e-5)


def test_each_kind_of_expert_has_its_own_count(network):
    assert network.get_layer("shared_experts").num_experts == 3
    assert network.get_layer("zeta_experts").num_experts == 2
    assert network.get_layer("zeta_gate").units == 5


def test_recipes_are_experts_too():
    def recipe(features):
        return keras.layers.Dense(4, activation="relu")(features)

    network = architectures.cgc(keras.Input((5,)), TASKS, expert=recipe, tower=(), **COUNTS)
    assert sum(layer.name.startswith("dense") for layer in network.layers) == 3 + 2 * 2
    assert network.get_layer("alpha_mixture").input[1].shape == (None, 5, 4)


def test_experts_of_different_groups_may_not_share_a_live_layer():
    live = keras.layers.Dense(4)
    with pytest.raises(ValueError, match="'shared_expert_0' and 'zeta_expert_0' share the layer"):
        architectures.cgc(
            keras.Input((5,)),
            TASKS,
            num_shared_experts=1,
            num_task_experts=1,
            expert=lambda features: live(features),
        )


@pytest.mark.parametrize("count", ["num_shared_experts", "num_task_experts"])
def test_the_numbers_of_experts_are_checked(count):
    with pytest.raises(ValueError, match=f"{count} must be an integer of at least 1; received 0"):
        architectures.cgc(keras.Input((5,)), TASKS, **{count: 0})


def test_a_task_may_not_be_called_shared():
    with pytest.raises(ValueError, match="task 'shared': a task's name becomes"):
        Task.binary("shared")

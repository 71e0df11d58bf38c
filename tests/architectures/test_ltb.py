import keras
import numpy as np
import pytest
from expert_references import draw, experts, logits, parallel, randomize, value

from keras_mtl import Task, architectures

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3), Task.regression("mu")]


def best(network, i):
    return value(network.get_layer(f"shared_branch_{i}").theta).argmax(-1)


def test_each_node_and_task_reads_the_parent_that_it_chose():
    network = architectures.ltb(keras.Input((5,)), TASKS, body=(6, 4), num_branches=4, tower=(5,))
    randomize(network, seed=5)
    network.get_layer("shared_branch_2").theta.assign(np.eye(4)[[1, 3, 1]])
    x = draw(7, 5)
    low = experts(network, "shared_nodes_0", x)
    high = parallel(network, "shared_nodes_1", [low[parent] for parent in best(network, 1)])
    chosen = best(network, 2)
    assert chosen.tolist() == [1, 3, 1]
    outputs = network(x)
    for task, parent in zip(TASKS, chosen, strict=True):
        expected = logits(network, task.name, high[parent])
        np.testing.assert_allclose(outputs[task.name], expected, rtol=1e-4, atol=1e-5)


def test_training_draws_new_mixtures_that_a_seed_repeats():
    x, draws = draw(7, 5), []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        network = architectures.ltb(keras.Input((5,)), TASKS, body=(6,))
        draws.append([np.asarray(network(x, training=True)["mu"]) for _ in range(2)])
    assert np.abs(draws[0][0] - draws[0][1]).max() > 1e-4
    np.testing.assert_array_equal(draws[0], draws[1])


def test_there_is_a_node_per_task_by_default():
    for tasks, count in ((TASKS, 3), (TASKS[:1], 2)):
        network = architectures.ltb(keras.Input((5,)), tasks, body=(6, 4))
        assert network.get_layer("shared_nodes_0").num_experts == count
        assert network.get_layer("shared_branch_1").num_children == count


def test_recipes_and_models_are_nodes_with_weights_of_their_own():
    def recipe(features):
        return keras.layers.Conv2D(4, 3, padding="same")(features)

    model = keras.Sequential([keras.Input((8, 8, 4)), keras.layers.Conv2D(5, 3)])
    tasks = [Task.segmentation("zeta", 3), Task.segmentation("alpha", 2)]
    network = architectures.ltb(keras.Input((8, 8, 3)), tasks, body=[recipe, model], tower=())
    assert network(draw(2, 8, 8, 3))["alpha"].shape == (2, 6, 6, 2)
    kernels = [v for v in network.trainable_variables if v.shape[:2] == (3, 3)]
    assert len({id(v) for v in kernels}) == 4
    live = keras.layers.Dense(4)
    with pytest.raises(ValueError, match="'shared_node_0_0' and 'shared_node_0_1' share the la"):
        architectures.ltb(keras.Input((5,)), TASKS, body=[lambda x: live(x)])


def test_the_number_of_branches_is_checked():
    with pytest.raises(ValueError, match="num_branches must be an integer of at least 2"):
        architectures.ltb(keras.Input((5,)), TASKS, num_branches=1)

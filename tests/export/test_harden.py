"""Networks with learned branches become plain networks with the same predictions."""

import keras
import numpy as np
import pytest

from keras_mtl import Task, architectures, export, layers

TASKS = [Task.regression("zeta"), Task.multiclass("alpha", 3), Task.binary("mu")]


def draw(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype("float32")


def choose(network, seed=0):
    """Assigns random logits to all branches and policies."""
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, layers.Branching):
            layer.theta.assign(rng.normal(size=layer.theta.shape))
        if isinstance(layer, layers.SelectOrSkip):
            layer.logits.assign(rng.normal(size=layer.logits.shape))


def check_equal(network, plain, x):
    learned = layers.Branching | layers.SelectOrSkip | layers.Experts | layers.ParallelDense
    assert not any(isinstance(layer, learned) for layer in plain.layers)
    before, after = network(x), plain(x)
    assert list(before) == list(after)
    for name, output in before.items():
        np.testing.assert_allclose(after[name], output, rtol=1e-5, atol=1e-6)


def test_a_tree_of_units_becomes_a_network_of_dense_layers(tmp_path):
    network = architectures.ltb(keras.Input((5,)), TASKS, body=(6, 4), num_branches=4)
    choose(network)
    plain = export.harden(network)
    x = draw(7, 5)
    check_equal(network, plain, x)
    parents = network.get_layer("shared_branch_2").choices
    roots = network.get_layer("shared_branch_1").choices[parents]
    nodes = [layer.name for layer in plain.layers if layer.name.startswith("shared_nodes")]
    expected = {f"shared_nodes_1_{p}" for p in parents} | {f"shared_nodes_0_{r}" for r in roots}
    assert sorted(nodes) == sorted(expected)
    plain.save(tmp_path / "tree.keras")
    again = keras.models.load_model(tmp_path / "tree.keras")
    np.testing.assert_array_equal(again(x)["alpha"], plain(x)["alpha"])


def test_training_the_plain_network_does_not_change_the_original():
    network = architectures.ltb(keras.Input((5,)), TASKS, body=(6,))
    x = draw(7, 5)
    before = np.asarray(network(x)["alpha"])
    plain = export.harden(network)
    assert not {id(v) for v in network.variables} & {id(v) for v in plain.variables}
    for variable in plain.trainable_variables:
        variable.assign(variable.value + 1.0)
    np.testing.assert_array_equal(network(x)["alpha"], before)


def test_a_tree_of_recipes_keeps_the_layers_that_are_used():
    def recipe(features):
        return keras.layers.Conv2D(4, 3, padding="same", activation="relu")(features)

    tasks = [Task.segmentation("zeta", 3), Task.segmentation("alpha", 2)]
    network = architectures.ltb(keras.Input((8, 8, 3)), tasks, body=[recipe] * 2, num_branches=3)
    choose(network)
    plain = export.harden(network)
    check_equal(network, plain, draw(2, 8, 8, 3))
    convolutions = [layer for layer in plain.layers if isinstance(layer, keras.layers.Conv2D)]
    assert 2 <= len(convolutions) <= 4


@pytest.mark.parametrize("body", [(6, 6, 6), [lambda x: keras.layers.Dense(6)(x)] * 3])
def test_a_policy_becomes_a_network_without_the_skipped_blocks(body):
    network = architectures.adashare(keras.Input((5,)), TASKS, stem=(6,), body=body)
    choose(network)
    network.get_layer("shared_policy_1").logits.assign([[1.0, 0.0]] * 3)  # No task uses it.
    plain = export.harden(network)
    check_equal(network, plain, draw(7, 5))
    names = [layer.name for layer in plain.layers]
    assert "shared_block_1" not in names and "shared_stem_0" in names
    kernels = [
        variable
        for variable in plain.trainable_variables
        if "block" in variable.path or variable.shape == (6, 6)
    ]
    assert len({variable.path for variable in kernels}) <= 4


def test_several_inputs_keep_their_names():
    inputs = {"age": keras.Input((1,), name="age"), "wage": keras.Input((2,), name="wage")}
    network = architectures.ltb(inputs, TASKS, body=(6,))
    plain = export.harden(network)
    check_equal(network, plain, {"age": draw(7, 1), "wage": draw(7, 2)})
    assert set(plain.input) == {"age", "wage"}


def test_a_sequence_keeps_its_mask():
    words = keras.Input((None,), dtype="int32")
    features = keras.layers.Embedding(9, 5, mask_zero=True)(words)
    tasks = [Task.tagging("zeta", 3), Task.tagging("alpha", 2)]
    plain = export.harden(architectures.ltb(features, tasks, body=(6, 4)))
    tokens = np.array([[3, 1, 0], [2, 0, 0]])
    np.testing.assert_array_equal(plain(tokens)["alpha"]._keras_mask, tokens != 0)


def test_a_plain_network_is_refused():
    network = architectures.hard_sharing(keras.Input((5,)), TASKS)
    with pytest.raises(ValueError, match="'hard_sharing' has no learned branches"):
        export.harden(network)

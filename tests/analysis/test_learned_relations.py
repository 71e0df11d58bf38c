"""Learned relations: each matrix by the names of the tasks that its positions serve."""

import keras
import numpy as np
import pytest

import keras_mtl as mtl
from keras_mtl import architectures
from keras_mtl.analysis import learned_relations

TASKS = [mtl.Task.binary("zeta"), mtl.Task.regression("age"), mtl.Task.regression("mid")]
NAMES = ("zeta", "age", "mid")


def matrix(rows, columns=None):
    return np.arange(rows * (columns or rows), dtype="float32").reshape(rows, columns or rows)


def build(name, **arguments):
    return getattr(architectures, name)(keras.Input((6,)), TASKS, **arguments)


def output_changes(network, task, layer, position, values):
    """Returns whether the output of a task depends on an entry of a variable of a layer."""
    x = np.random.default_rng(0).normal(size=(20, 6))
    before = network.predict(x, verbose=0)[task]
    variable = network.get_layer(layer).weights[0]
    kept = variable.numpy()
    changed = kept.copy()
    changed[position] = values
    variable.assign(changed)
    after = network.predict(x, verbose=0)[task]
    variable.assign(kept)
    return not np.array_equal(before, after)


def test_stitches_of_all_stages_have_the_names_of_tasks():
    network = build("cross_stitch", body=(5, 4))
    layer = network.get_layer("shared_stitch_0")
    layer.alphas.assign(matrix(3))
    tables = learned_relations(network, TASKS).tables
    assert list(tables) == ["shared_stitch_0", "shared_stitch_1"]
    for table in tables.values():
        assert table.rows == table.columns == NAMES
    np.testing.assert_array_equal(tables["shared_stitch_0"].values, matrix(3))
    # Row "age" of the last stitch is what the output "age" reads, and no other.
    for task in NAMES:
        row = tables["shared_stitch_1"].rows.index(task)
        for other in NAMES:
            assert output_changes(network, other, "shared_stitch_1", row, 7.0) == (other == task)


def test_the_order_of_tasks_and_a_part_of_them():
    network = build("cross_stitch", body=(5,))
    table = learned_relations(network, TASKS[::-1]).tables["shared_stitch_0"]
    assert table.rows == NAMES  # the rows of the layer stay where they are
    assert learned_relations(network, TASKS[1:2]).tables["shared_stitch_0"].rows == (
        "0",
        "age",
        "2",
    )
    one = architectures.cross_stitch(keras.Input((6,)), TASKS[:1], body=(5,))
    assert learned_relations(one, TASKS[:1]).tables["shared_stitch_0"].rows == ("zeta",)
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.Equal())
    assert learned_relations(model, TASKS).tables["shared_stitch_0"].rows == NAMES


def test_subspaces_channels_and_depths():
    network = build("sluice", body=(4, 4), num_subspaces=2)
    tables = learned_relations(network, TASKS).tables
    assert tables["shared_stitch_1"].rows[:4] == ("zeta/0", "zeta/1", "age/0", "age/1")
    assert tables["age_layers"].rows == ("age",)
    np.testing.assert_allclose(tables["age_layers"].values, [[0.1, 0.9]], rtol=1e-6)
    network = build("cross_stitch", body=(4,), per_channel=True)
    layer = network.get_layer("shared_stitch_0")
    layer.alphas.assign(np.stack([matrix(3), matrix(3) + 2] * 2, axis=-1))
    table = learned_relations(network, TASKS).tables["shared_stitch_0"]
    np.testing.assert_allclose(table.values, matrix(3) + 1)
    assert "mean over channels" in table.meaning


def test_blocks_of_a_projection():
    network = build("nddr", body=(4,), alpha=0.8)
    layer = network.get_layer("shared_nddr_0")
    table = learned_relations(network, TASKS).tables["shared_nddr_0"]
    np.testing.assert_allclose(table.values, 0.1 + 0.7 * np.eye(3), rtol=1e-5)
    kernel = layer.kernel.numpy()
    kernel[:4, 4:8] = 0.0  # from zeta to age
    layer.kernel.assign(kernel)
    table = learned_relations(network, TASKS).tables["shared_nddr_0"]
    assert table.values[NAMES.index("age"), NAMES.index("zeta")] == 0
    assert table.values[NAMES.index("zeta"), NAMES.index("age")] > 0


def test_relations_of_knowledge_propagation():
    relations = [[0, 0.5, 0.25], [0, 0, 1], [0.125, 0, 0]]
    inputs = keras.Input((6,))
    features = [keras.layers.Dense(3, name=f"{task.name}_body")(inputs) for task in TASKS]
    mixed = mtl.layers.TaskRelations(0.5, relations, name="relations")(features)
    outputs = {task.name: task.output(x) for task, x in zip(TASKS, mixed, strict=True)}
    table = learned_relations(keras.Model(inputs, outputs), TASKS).tables["relations"]
    assert table.rows == table.columns == NAMES
    np.testing.assert_allclose(table.values, relations)


def test_branches_routes_and_policies():
    network = build("ltb", body=(5, 4), num_branches=2)
    theta = np.zeros((3, 2))
    theta[1, 1] = 1.0
    network.get_layer("shared_branch_2").theta.assign(theta)
    tables = learned_relations(network, TASKS).tables
    assert list(tables) == ["shared_branch_1", "shared_branch_2"]
    assert tables["shared_branch_1"].rows == ("0", "1")
    assert tables["shared_branch_2"].rows == NAMES
    np.testing.assert_array_equal(tables["shared_branch_2"].values, [[1, 0], [0, 1], [1, 0]])
    network = build("snr", num_subnetworks=2, subnetwork=(4,))
    table = learned_relations(network, TASKS).tables["shared_routing_2"]
    assert table.rows == NAMES and table.values.shape == (3, 2)
    network = build("adashare", stem=(4,), body=(4, 4))
    network.get_layer("shared_policy_1").logits.assign([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    tables = learned_relations(network, TASKS).tables
    assert list(tables) == ["policies"] and tables["policies"].rows == NAMES
    np.testing.assert_array_equal(tables["policies"].values, [[1, 1], [1, 0], [1, 1]])


def test_fifty_tasks_and_the_text():
    tasks = [mtl.Task.regression(f"t{i}") for i in range(50)]
    network = architectures.cross_stitch(keras.Input((3,)), tasks, body=(2,), tower=())
    table = learned_relations(network, tasks).tables["shared_stitch_0"]
    assert table.rows == tuple(f"t{i}" for i in range(50))
    assert str(table).splitlines()[-1] == "... 50 rows, 50 columns; see .values"


def test_a_network_without_relations_is_refused():
    with pytest.raises(ValueError, match=r"has no layer that learns a relation.*'Dense'"):
        learned_relations(build("hard_sharing"), TASKS)

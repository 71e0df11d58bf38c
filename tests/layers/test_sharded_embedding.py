"""A table in several variables: the same rows and the same training as one table."""

import keras
import numpy as np
import pytest

import keras_mtl as mtl

ROWS, UNITS = 7, 3


def network(table):
    tasks = [mtl.Task.binary("z", metrics=()), mtl.Task.regression("b", metrics=())]
    inputs = keras.Input((4,), dtype="int32")
    features = keras.layers.Flatten()(table(inputs))
    network = keras.Model(inputs, {task.name: task.output(features) for task in tasks})
    return mtl.BalancedModel(network, tasks, mtl.balancers.PCGrad())


@pytest.mark.parametrize("shards", [1, 3])
def test_it_is_trained_as_one_table_is(shards, tmp_path):
    sharded = mtl.layers.ShardedEmbedding(ROWS, UNITS, shards, name="table")
    whole = keras.layers.Embedding(ROWS, UNITS, name="table")
    model, expected = network(sharded), network(whole)
    start = np.random.default_rng(0).normal(size=(ROWS, UNITS)).astype("float32")
    sharded.assign_table(start)
    whole.set_weights([start])
    for task in ("z_logits", "b_output"):
        layers = [layer for layer in expected.network.layers if layer.name.startswith(task[0])]
        for layer in layers:
            model.network.get_layer(layer.name).set_weights(layer.get_weights())
    x = np.array([[0, 6, 6, 2], [3, 3, 3, 1], [5, 0, 4, 2]])
    y = {"z": np.array([0.0, 1.0, 1.0]), "b": np.array([0.5, -1.0, 2.0])}
    for trained in (model, expected):
        trained.compile(keras.optimizers.Adam(0.1), run_eagerly=True)
        trained.fit(x, y, epochs=2, verbose=0, shuffle=False)
    (table,) = whole.get_weights()
    for i, part in enumerate(sharded.get_weights()):
        np.testing.assert_allclose(part, table[i::shards], atol=1e-6)
    model.network.save(tmp_path / "n.keras")
    again = keras.models.load_model(tmp_path / "n.keras")
    for name, values in again(x).items():
        np.testing.assert_allclose(values, expected.network(x)[name], atol=1e-6)


def test_each_variable_draws_other_rows():
    initializer = keras.initializers.RandomNormal(seed=1)
    layer = mtl.layers.ShardedEmbedding(6, 50, 3, initializer)
    layer.build()
    values = np.stack([np.asarray(table) for table in layer.tables])
    assert values.shape == (3, 2, 50)
    assert len(np.unique(values.round(6))) > 295
    twice = mtl.layers.ShardedEmbedding(6, 50, 3, initializer)
    twice.build()
    np.testing.assert_array_equal(np.stack([np.asarray(t) for t in twice.tables]), values)


@pytest.mark.parametrize("numbers", [(2, 3, 3), (0, 1, 1), (4, 0, 2)])
def test_numbers_that_do_not_fit_are_refused(numbers):
    with pytest.raises(ValueError, match="expected 1 or more of each, and no more shards"):
        mtl.layers.ShardedEmbedding(*numbers)
    layer = mtl.layers.ShardedEmbedding(4, 2, 2)
    layer.build()
    with pytest.raises(ValueError, match=r"shape \(3, 2\); expected \(4, 2\)"):
        layer.assign_table(np.zeros((3, 2)))

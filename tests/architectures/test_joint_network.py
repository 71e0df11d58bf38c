import keras
import numpy as np
import pytest

import keras_mtl as mtl
from keras_mtl import Task, architectures

TASKS = [Task.multiclass("zeta", 3), Task.binary("alpha"), Task.regression("mean", 2)]
X = np.random.default_rng(0).normal(size=(8, 5)).astype("float32")


def build(tasks=TASKS, **arguments):
    return architectures.joint_network(keras.Input((5,)), tasks, **{"shared": (4,)} | arguments)


def test_slices_of_one_head_are_the_heads_of_hard_sharing():
    network = build()
    kernel, bias = network.get_layer("shared_logits").get_weights()
    bias = np.arange(6.0, dtype="float32")
    network.get_layer("shared_logits").set_weights([kernel, bias])
    apart = architectures.hard_sharing(keras.Input((5,)), TASKS, shared=(4,), tower=())
    apart.get_layer("shared_body_0").set_weights(network.get_layer("shared_body_0").get_weights())
    for name, start, stop in [("zeta", 0, 3), ("alpha", 3, 4), ("mean", 4, 6)]:
        apart.get_layer(f"{name}_logits").set_weights([kernel[:, start:stop], bias[start:stop]])
    assert network.count_params() == apart.count_params()
    expected = apart(X)
    for name, output in network(X).items():
        np.testing.assert_allclose(output, expected[name], rtol=1e-5, atol=1e-6)


def test_each_slice_moves_its_own_output_alone():
    network = build()
    bias = network.get_layer("shared_logits").bias
    before = {name: np.asarray(output) for name, output in network(X).items()}
    bias.assign([0.0, 0.0, 0.0, 2.0, 0.0, 0.0])
    after = network(X)
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {"alpha"}


def test_all_variables_are_shared_by_all_tasks():
    model = mtl.BalancedModel(build(), TASKS, mtl.balancers.PCGrad())
    model.compile("sgd")
    labels = {"zeta": np.zeros(8), "alpha": np.ones(8), "mean": np.ones((8, 2))}
    history = model.fit(X, labels, batch_size=8, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())


def test_a_head_that_is_a_recipe_is_refused():
    task = Task("spam", head=lambda x: keras.layers.Dense(1)(x), loss="mse")
    with pytest.raises(ValueError, match="task 'spam': all tasks are slices of one dense head"):
        build([Task.binary("alpha"), task])

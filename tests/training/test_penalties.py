"""Variables that only `add_loss` or a regularizer reaches get the gradient of that, exactly."""

import keras
import numpy as np
import penalty_networks
import pytest
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl

RULES = {
    "Equal": mtl.balancers.Equal,
    "MGDA": mtl.balancers.MGDA,
    "GradDrop": mtl.balancers.GradDrop,
    "MoCo": mtl.balancers.MoCo,
    "MetaBalance": mtl.balancers.MetaBalance,
    "MoDo": mtl.balancers.MoDo,
}
WAYS = [
    ("Equal", "parameters", 1),
    ("Equal", "parameters", 2),
    ("MGDA", "parameters", 1),
    ("MGDA", "parameters", 2),
    ("MGDA", "representation", 1),
    ("GradDrop", "parameters", 1),
    ("GradDrop", "representation", 2),
    ("MoCo", "parameters", 1),
    ("MetaBalance", "parameters", 1),
    ("MoDo", "parameters", 2),
]
EVERYDAY = {
    ("tower", "Equal", "parameters", 1),
    ("centers", "Equal", "parameters", 2),
    ("tower", "MGDA", "parameters", 2),
    ("centers", "MGDA", "representation", 1),
    ("tower", "GradDrop", "representation", 2),
    ("centers", "MoCo", "parameters", 1),
    ("centers", "MetaBalance", "parameters", 1),
    ("centers", "MoDo", "parameters", 2),
}


def plain(kind, steps):
    network = penalty_networks.network(kind)
    network.compile(
        keras.optimizers.SGD(0.1), **mtl.compile_args(problem.tasks()), run_eagerly=True
    )
    for index in range(steps):
        network.train_on_batch(*penalty_networks.batch(index))
    return network


def alone(network):
    (variable,) = network.get_layer("alone").trainable_variables
    return np.asarray(variable)


def balanced(kind, name, at="parameters", every=1):
    return problem.balanced(
        RULES[name](), network=lambda: penalty_networks.network(kind), at=at, every=every
    )


@pytest.mark.parametrize("kind", penalty_networks.KINDS)
def test_equal_weights_give_the_network_of_plain_keras(kind):
    model, expected = balanced(kind, "Equal"), plain(kind, 2)
    start = alone(model.network)
    for index in range(2):
        model.train_on_batch(*penalty_networks.batch(index))
    for one, other in zip(model.network.weights, expected.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6, err_msg=one.path)
    assert np.abs(alone(model.network) - start).min() > 0


@pytest.mark.parametrize(
    ("kind", "name", "at", "every"),
    [
        case if case in EVERYDAY else pytest.param(*case, marks=pytest.mark.slow)
        for case in ((kind, *way) for kind in ("centers", "tower") for way in WAYS)
    ],
)
def test_no_rule_changes_the_gradient_of_a_penalty(kind, name, at, every):
    model, expected = balanced(kind, name, at, every), plain(kind, 1)
    model.train_on_batch(*penalty_networks.batch())
    np.testing.assert_allclose(alone(model.network), alone(expected), atol=1e-6)
    model.train_on_batch(*penalty_networks.batch(1))  # with every=2, by stored weights
    assert all(np.isfinite(value).all() for value in problem.values(model.variables))


def test_the_rule_sees_the_gradients_of_the_tasks_alone():
    model = balanced("centers", "MGDA")
    inputs, labels = penalty_networks.batch()
    variables = [v.value for v in model.network.get_layer("shared_0").trainable_variables]
    rows = []
    for task in problem.tasks():
        with tf.GradientTape() as tape:
            prediction = model.network(inputs, training=True)[task.name]
            loss = task.weight * task.make_loss()(labels[task.name], prediction)
        rows.append(np.concatenate([np.ravel(g) for g in tape.gradient(loss, variables)]))
    weights = mtl.balancers.MGDA().weigh(np.array(rows) @ np.array(rows).T, np.ones(3))
    model.train_on_batch(inputs, labels)
    assert [*model.task_weights.values()] == pytest.approx(weights.numpy(), rel=1e-5)

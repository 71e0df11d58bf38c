"""Networks that stop gradients, and tasks that are measured but not trained."""

import keras
import numpy as np
import pytest
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Head, Task
from keras_mtl.layers import StopGradient

RATE = 0.1
TASKS = [Task(name, head=Head(1), loss="mse") for name in ("z", "a")]
MEASURED = Task("measured", head=Head(1), loss="mse", weight=0.0)


def walled(wall):
    """Task a reads what task z hides, but leaves it as it is."""
    x = keras.Input((4,))
    body = keras.layers.Dense(5, activation="tanh", name="body")(x)
    hidden = keras.layers.Dense(3, activation="tanh", name="hidden")(body)
    reads = keras.layers.Concatenate()([body, wall(hidden)])
    return keras.Model(x, {"z": TASKS[0].output(hidden), "a": TASKS[1].output(reads)})


def data():
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    return x, {"z": x[:, 0] * x[:, 1], "a": np.abs(x[:, 1])}


@pytest.mark.parametrize("wall", [StopGradient(), keras.ops.stop_gradient], ids=["layer", "op"])
def test_what_lies_behind_a_wall_belongs_to_the_task_before_it(wall):
    network, (x, y) = walled(wall), data()
    shared = network.get_layer("body").trainable_variables
    own = network.get_layer("hidden").trainable_variables
    rows = []
    for task in TASKS:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((network(x)[task.name][:, 0] - y[task.name]) ** 2)
        gradients = tape.gradient(loss, [v.value for v in [*shared, *own]])
        rows.append([None if g is None else np.array(g, "float64") for g in gradients])
    assert rows[1][2:] == [None, None]
    before = problem.values([*shared, *own])

    model = mtl.BalancedModel(network, TASKS, mtl.balancers.MGDA())
    model.compile(keras.optimizers.SGD(RATE), run_eagerly=True)
    model.train_on_batch(x, y)

    weights = np.array(list(model.task_weights.values()))
    jacobian = problem.joined([row[:2] for row in rows])
    gramian = (jacobian @ jacobian.T).astype("float32")
    expected = mtl.balancers.MGDA().weigh(gramian, np.ones(2, "float32"))
    np.testing.assert_allclose(weights, expected, rtol=1e-4)
    steps = [
        weights @ np.stack([a, b]).reshape(2, -1)
        for a, b in zip(*rows, strict=True)
        if b is not None
    ]
    steps += [g.ravel() for g in rows[0][2:]]
    for variable, old, step in zip([*shared, *own], before, steps, strict=True):
        problem.assert_close([np.array(variable)], [old - RATE * step.reshape(old.shape)])


def test_a_network_with_a_wall_has_no_single_frontier():
    with pytest.raises(ValueError, match=r"\['z', 'a'\] stop each other's gradients. Use at="):
        mtl.BalancedModel(walled(StopGradient()), TASKS, mtl.balancers.MGDA(), at="representation")


@pytest.mark.parametrize("name", ["MGDA", "PCGrad", "Uncertainty", "Equal"])
def test_a_task_without_weight_takes_no_part_in_the_balancing(name):
    balancer, (x, y) = getattr(mtl.balancers, name), data()

    def train(tasks):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4,))
        body = keras.layers.Dense(5, activation="tanh", name="body")(inputs)
        outputs = {task.name: task.output(body) for task in [*TASKS, MEASURED]}
        outputs = {task.name: outputs[task.name] for task in tasks}
        model = mtl.BalancedModel(keras.Model(inputs, outputs), tasks, balancer())
        model.compile(keras.optimizers.SGD(RATE), run_eagerly=True)
        for _ in range(2):
            logs = model.train_on_batch(x, y | {"measured": x[:, 2]}, return_dict=True)
        return model, logs

    model, logs = train([TASKS[0], MEASURED, TASKS[1]])
    assert logs["measured_loss"] > 0 == model.task_weights["measured"] == logs["measured_weight"]
    without, _ = train(TASKS)
    for task in TASKS:
        assert model.task_weights[task.name] == pytest.approx(without.task_weights[task.name])
    found = model.network.get_layer("body").kernel
    np.testing.assert_allclose(found, without.network.get_layer("body").kernel, atol=1e-6)

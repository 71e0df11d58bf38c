"""Networks that stop gradients: only the gradients tell which variables are shared."""

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


def network_of(stop):
    """Builds a network in which task a reads a hidden layer of task z, but does not train it."""
    x = keras.Input((4,))
    body = keras.layers.Dense(5, activation="tanh", name="body")(x)
    hidden = keras.layers.Dense(3, activation="tanh", name="hidden")(body)
    reads = keras.layers.Concatenate()([body, stop(hidden)])
    return keras.Model(x, {"z": TASKS[0].output(hidden), "a": TASKS[1].output(reads)})


def data():
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    return x, {"z": x[:, 0] * x[:, 1], "a": np.abs(x[:, 1])}


@pytest.mark.parametrize("stop", [StopGradient(), keras.ops.stop_gradient], ids=["layer", "op"])
def test_layers_below_a_stopped_gradient_belong_to_the_task_that_trains_them(stop):
    network, (x, y) = network_of(stop), data()
    shared = network.get_layer("body").trainable_variables
    of_z = network.get_layer("hidden").trainable_variables
    rows = []
    for task in TASKS:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((network(x)[task.name][:, 0] - y[task.name]) ** 2)
        gradients = tape.gradient(loss, [v.value for v in [*shared, *of_z]])
        rows.append([None if g is None else np.array(g, "float64") for g in gradients])
    assert rows[1][2:] == [None, None]
    before = problem.values([*shared, *of_z])

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
    for variable, old, step in zip([*shared, *of_z], before, steps, strict=True):
        problem.assert_close([np.array(variable)], [old - RATE * step.reshape(old.shape)])


def test_a_network_that_stops_gradients_has_no_single_frontier():
    with pytest.raises(ValueError, match=r"\['z', 'a'\] stop each other's gradients. Use at="):
        mtl.BalancedModel(
            network_of(StopGradient()), TASKS, mtl.balancers.MGDA(), at="representation"
        )

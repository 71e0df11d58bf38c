"""MetaBalance in a model equals the paper's rule, in NumPy, on the gradients of a tape.

The rule knows each shared variable apart. Where only the gradients of a step tell which variables
are shared, the network holds more of them than the graph suggests, or fewer.
"""

import keras
import numpy as np
import pytest
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.layers import StopGradient

layers = keras.layers
RATE, RELAX, BETA, TARGET = 0.1, 0.6, 0.8, 1
COLUMNS = ("c", "b")
MSE = {"loss": "mse", "head": mtl.Head(1)}
TASKS = [
    mtl.Task("z", **MSE),
    mtl.Task("a", weight=0.5, **MSE),
    mtl.Task.multilabel("m", columns=COLUMNS, metrics=()),
]


def dense(units, name):
    return layers.Dense(units, activation="tanh", name=name)


def ends(features, **replaced):
    """Returns the output of each task: a tower and a head on its features."""
    return {
        task.name: task.output(dense(5, f"{task.name}_tower")(replaced.get(task.name, features)))
        for task in TASKS
    }


def plain(x):
    return ends(dense(8, "body_1")(dense(6, "body_0")(x)))


def tied(x):
    """Lets two towers call one layer, and a layer of the trunk stand twice in it."""
    twice, both = dense(6, "body_twice"), dense(7, "body_both")
    h = twice(twice(dense(6, "body_0")(x)))
    return ends(h, z=both(h), a=both(dense(6, "a_before")(h)))


def tied_alone(x):
    """Shares no layer but the one that all towers call."""
    both = dense(7, "body_both")
    return ends(x, **{task.name: both(dense(4, f"{task.name}_before")(x)) for task in TASKS})


def nested(x):
    """Calls a nested trunk with one output."""
    inner = keras.Input((4,))
    stem = dense(6, "body_stem")(inner)
    body = keras.Model(inner, dense(8, "body_top")(stem), name="nest")
    return ends(body(x))


def branched(x):
    """Calls a nested trunk with an output for each task, and one that two tasks read."""
    inner = keras.Input((4,))
    stem = dense(8, "body_stem")(inner)
    outputs = [dense(5, f"{task.name}_branch")(stem) for task in TASKS]
    outputs[2] = layers.Concatenate()([outputs[2], dense(3, "body_side")(stem)])
    body = keras.Model(inner, [*outputs, dense(2, "body_last")(stem)], name="nest")
    z, a, m, last = body(x)
    return ends(None, z=layers.Concatenate()([z, last]), a=layers.Concatenate()([a, last]), m=m)


def walled(x):
    """Lets the first task alone train a layer that all tasks read."""
    body = dense(6, "body_0")(x)
    hidden = dense(3, "z_hidden")(body)
    reads = layers.Concatenate()([body, StopGradient()(hidden)])
    return ends(dense(5, "body_1")(reads), z=layers.Concatenate()([hidden, body]))


EVERYDAY = (plain, tied)
SLOW = (branched, tied_alone, nested, walled)


def batch(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(8, 4)).astype("float32")
    y = {"z": 10 * x[:, 0], "a": np.abs(x[:, 1]), "m": (x[:, 1:3] > 0).astype("float32")}
    return x, y


def losses_by_hand(outputs, y):
    """Computes the loss of each task, and of each column, times `Task.weight`."""
    p = outputs["m"]
    columns = -y["m"] * tf.math.log(p) - (1 - y["m"]) * tf.math.log(1 - p)
    return [
        tf.reduce_mean((outputs["z"][:, 0] - y["z"]) ** 2),
        0.5 * tf.reduce_mean((outputs["a"][:, 0] - y["a"]) ** 2),
        *[tf.reduce_mean(columns[:, i]) for i in range(len(COLUMNS))],
    ]


def gradients_by_hand(network, x, y):
    """Computes for each loss the gradients of all variables; zeros where it does not reach one."""
    rows = []
    for k in range(2 + len(COLUMNS)):
        with tf.GradientTape() as tape:
            loss = losses_by_hand(network(x, training=True), y)[k]
        values = [variable.value for variable in network.trainable_variables]
        rows.append(problem.values(tape.gradient(loss, values, unconnected_gradients="zero")))
    return rows


class Reference:
    """Trains a network by the paper's rule."""

    def __init__(self, network):
        self.network, self.magnitudes = network, {}

    def step(self, x, y):
        rows = gradients_by_hand(self.network, x, y)
        for i, variable in enumerate(self.network.trainable_variables):
            gradients = [row[i] for row in rows]
            of_tasks = [gradients[0], gradients[1], gradients[2] + gradients[3]]
            if sum(bool(np.any(g)) for g in of_tasks) > 1:
                assert "body_" in variable.path, variable.path  # else a tower's or a head's
                gradients = self._adjusted(variable.path, gradients)
            else:
                assert "body_" not in variable.path or "side" in variable.path, variable.path
            variable.assign(variable - RATE * np.sum(gradients, axis=0))

    def _adjusted(self, path, gradients):
        """Computes (1) and (2) of the docstring, for one variable."""
        old = self.magnitudes.get(path, np.zeros(len(gradients)))
        lengths = np.array([np.linalg.norm(g) for g in gradients])
        new = self.magnitudes[path] = BETA * old + (1 - BETA) * lengths
        factors = np.ones(len(gradients))
        if new[TARGET] > 0:
            for k in np.flatnonzero(new):
                factors[k] = RELAX * new[TARGET] / new[k] + (1 - RELAX)
        return [factor * g for factor, g in zip(factors, gradients, strict=True)]


def make(build):
    keras.utils.set_random_seed(1)
    x = keras.Input((4,))
    return keras.Model(x, build(x))


@pytest.mark.parametrize(
    "build", [*EVERYDAY, *(pytest.param(build, marks=pytest.mark.slow) for build in SLOW)]
)
def test_each_shared_variable_is_adjusted_by_itself(build):
    model = problem.balanced(
        mtl.balancers.MetaBalance(target="a", relax=RELAX, beta=BETA),
        lambda: make(build),
        lambda: TASKS,
        keras.optimizers.SGD(RATE),
    )
    reference = Reference(make(build))
    for seed in range(2):
        model.train_on_batch(*batch(seed))
        reference.step(*batch(seed))
        for one, other in zip(model.network.variables, reference.network.variables, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=2e-5, err_msg=one.path)

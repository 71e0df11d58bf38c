"""A NaN inside of the network spoils no variable, whatever the rule, and is reported.

ReLU in a graph takes a NaN for a number below 0: the losses stay finite, and so do all gradients
but that of the kernel before it. `rectify` does the same in every mode.
"""

import broken_networks
import every_balancer
import keras
import numpy as np
import pytest
import small_problem as problem
import tensorflow as tf
from broken_networks import BREAKING, break_large, data, rectify
from keras import ops

import keras_mtl as mtl

WAYS = [(name, *way) for name in every_balancer.names() for way in every_balancer.ways(name)]
EVERYDAY = [
    ("MGDA", "parameters", 2),
    ("GradDrop", "representation", 1),
    ("AutoLambda", "parameters", 1),
]
every_way = pytest.mark.parametrize(
    ("name", "at", "every"),
    [way if way in EVERYDAY else pytest.param(*way, marks=pytest.mark.slow) for way in WAYS],
)


def trained(name, at, every, spoiled, batches):
    balancer = every_balancer.make(name)
    network = broken_networks.network(spoiled, balancer.needs.preference)
    model = mtl.BalancedModel(network, problem.tasks(), balancer, at=at, every=every)
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    more = {"balance_data": data(broken=False)} if balancer.needs.second_batch else {}
    model.fit(batches, verbose=0, **more)
    return model


def assert_same_network(model, expected, tolerance=0.0):
    variables = (problem.values(m.network.trainable_variables) for m in (model, expected))
    for one, other in zip(*variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)


@every_way
def test_a_step_in_which_a_shared_kernel_breaks_changes_nothing(name, at, every):
    with pytest.warns(UserWarning, match=r"'z' in 1 step\(s\), 'b' in 1 .*'r' in 1 "):
        model = trained(name, at, every, "shared", data(broken=True))
    assert_same_network(model, trained(name, at, every, "shared", data(broken=False).take(1)))
    assert model.left_out == {"z": 1, "b": 1, "r": 1}
    assert all(np.isfinite(v).all() for v in problem.values(model.balancer.variables))


# The weights of these depend on all losses, and that of a task whose tower breaks is finite: the
# other tasks have the weights of a step in which it took part.
WEIGHTS_READ_ALL_LOSSES = {
    *("COSMOS", "CoV", "FAMO", "GO4Align", "GeometricMean", "PBI", "RandomWeighting", "STCH"),
    *("SelfPaced", "Tchebycheff", "UncertaintySoftmax"),
}


@every_way
def test_a_task_whose_tower_breaks_is_left_out_alone(name, at, every):
    with pytest.warns(UserWarning, match=r"finite for 'r' in 1 step\(s\);"):
        model = trained(name, at, every, "r", data(broken=True))
    expected = trained(name, at, every, "r", data(broken=False, absent="r"))
    assert model.left_out == {"z": 0, "b": 0, "r": 1}
    assert all(np.isfinite(v).all() for v in problem.values(model.network.trainable_variables))
    towers = [problem.values(m.network.get_layer("r_tower").variables) for m in (model, expected)]
    for one, other in zip(*towers, strict=True):  # it does not move in the step that breaks
        np.testing.assert_array_equal(one, other)
    if name not in WEIGHTS_READ_ALL_LOSSES:
        assert_same_network(model, expected, 1e-6)


def small_network(*layers):
    """Builds a network of one body and three heads."""
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    features = break_large(x)
    for layer in layers:
        features = layer(features)
    return keras.Model(x, {task.name: task.output(features) for task in problem.tasks()})


def breaking_batch():
    x, y, _ = problem.batch()
    x[3, 2] = BREAKING
    return x, y


@pytest.mark.parametrize("name", ["Equal", "MGDA"])
def test_relu_in_a_graph_hides_no_nan(name):
    model = mtl.BalancedModel(
        small_network(keras.layers.Dense(8, activation="relu")),
        problem.tasks(),
        getattr(mtl.balancers, name)(),
    )
    model.compile("adam")
    before = problem.values(model.network.trainable_variables)
    logs = model.train_on_batch(*breaking_batch(), return_dict=True)
    assert np.isfinite(logs["loss"])  # nothing but the gradient tells
    assert model.left_out == {"z": 1, "b": 1, "r": 1}
    after = problem.values(model.network.trainable_variables)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert np.isfinite(model.train_on_batch(*problem.batch()[:2], return_dict=True)["loss"])
    after = problem.values(model.network.trainable_variables)
    assert all(np.isfinite(value).all() for value in after)
    assert not any(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("name", ["Equal", "MGDA"])
def test_batch_normalization_forgets_a_batch_with_nan(name):
    body = keras.layers.BatchNormalization()
    model = problem.balanced(
        getattr(mtl.balancers, name)(), network=lambda: small_network(body, keras.layers.Dense(8))
    )
    logs = model.train_on_batch(*breaking_batch(), return_dict=True)
    assert np.isnan(logs["loss"])
    np.testing.assert_array_equal(body.moving_mean, np.zeros(4))
    np.testing.assert_array_equal(body.moving_variance, np.ones(4))
    x, y, _ = problem.batch()
    model.train_on_batch(x, y)
    np.testing.assert_allclose(body.moving_mean, 0.01 * x.mean(axis=0), rtol=1e-4)


class Averages(keras.layers.Layer):
    """Keeps an average and a largest number of its inputs, as layers of users do."""

    def build(self, shape):
        self.average = self.add_weight(shape=(shape[-1],), initializer="zeros", trainable=False)
        lowest = keras.initializers.Constant(-np.inf)
        self.largest = self.add_weight(shape=(2,), initializer=lowest, trainable=False)
        self.inner = keras.layers.Dense(shape[-1])
        self.inner.build(shape)
        self.inner.trainable = False

    def call(self, x):
        self.average.assign(0.5 * self.average + 0.5 * ops.mean(x, axis=0))
        largest = ops.maximum(self.largest[0], ops.max(x))
        self.largest.assign(ops.stack([largest, self.largest[1]]))
        return x + self.inner(x)


def test_averages_of_a_users_layer_forget_a_batch_with_nan():
    body = Averages()
    model = problem.balanced(mtl.balancers.Equal(), network=lambda: small_network(body))
    model.train_on_batch(*breaking_batch())
    np.testing.assert_array_equal(body.average, np.zeros(4))
    x, y, _ = problem.batch()
    model.train_on_batch(x, y)
    np.testing.assert_allclose(body.average, 0.5 * x.mean(axis=0), rtol=1e-5)
    assert float(body.largest[0]) == x.max()


class Spoil(keras.layers.Layer):
    """Adds a penalty whose gradient is not finite where the penalty is 0."""

    def call(self, x):
        self.add_loss(ops.sqrt(ops.sum(ops.square(x - x))))
        return x


class Broken(mtl.balancers.GramianBalancer):
    def weigh(self, gramian, losses):
        return losses * np.nan


class Huge(mtl.balancers.GramianBalancer):
    def weigh(self, gramian, losses):
        return 0.0 * losses + 3e38  # finite, and the weighted sum of the gradients is not


@pytest.mark.parametrize(
    ("balancer", "body"),
    [
        (mtl.balancers.Equal, Spoil),
        (mtl.balancers.MGDA, Spoil),
        (Broken, keras.layers.Identity),
        (Huge, keras.layers.Identity),
    ],
)
@pytest.mark.parametrize("scale_towers", [False, True])
def test_a_penalty_or_a_rule_that_is_not_finite_changes_nothing(balancer, body, scale_towers):
    dense = keras.layers.Dense(4)
    model = problem.balanced(
        balancer(), network=lambda: small_network(dense, body()), scale_towers=scale_towers
    )
    before = problem.values(model.network.trainable_variables)
    x, y, _ = problem.batch()
    model.train_on_batch(x, y)
    assert model.left_out == {"z": 1, "b": 1, "r": 1}
    after = problem.values(model.network.trainable_variables)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_penalty_that_is_nan_in_one_batch_leaves_the_loss_of_the_epoch_finite():
    body = keras.layers.Dense(4, activation=rectify)
    network = small_network(keras.layers.ActivityRegularization(l2=0.1), body)
    model = problem.balanced(mtl.balancers.Equal(), network=lambda: network)
    x, y = breaking_batch()
    finite, labels, _ = problem.batch(1)
    both = np.concatenate([x, finite]), {k: np.concatenate([y[k], labels[k]]) for k in y}
    expected = float(model.evaluate(finite, labels, verbose=0, return_dict=True)["loss"])
    rows = tf.data.Dataset.from_tensor_slices(both).batch(problem.BATCH)
    with pytest.warns(UserWarning, match=r"'z' in 1 step"):
        logs = model.fit(rows, verbose=0).history
    assert logs["loss"] == pytest.approx([expected], rel=1e-5)


def test_loss_scaling_skips_the_step_and_lowers_its_factor():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        body = keras.layers.Dense(8, activation=rectify)
        scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=2.0)
        model = problem.balanced(
            mtl.balancers.Equal(), network=lambda: small_network(body), optimizer=scaled
        )
    finally:
        keras.config.set_dtype_policy("float32")
    x, y, _ = problem.arrays()
    x[[20, 40], 2] = BREAKING  # in the second and third batch
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(problem.BATCH)
    with pytest.warns(UserWarning, match=r"epoch 1: the loss scale has fallen to 0\.5"):
        model.fit(batches.take(3), verbose=0)
    after = problem.values(model.network.trainable_variables)
    assert all(np.isfinite(value).all() for value in after)
    assert float(scaled.dynamic_scale) == 0.5

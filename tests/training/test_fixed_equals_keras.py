"""With fixed weights, training equals that of plain Keras with `loss_weights`."""

import keras
import numpy as np
import pytest
import small_problem as problem

import keras_mtl as mtl

layers = keras.layers
WEIGHTS = {"z": 1.0, "b": 3.0, "r": 0.25}
# In plain Keras the tower of a task without a label in the batch moves on.
AS_KERAS = {"absent": "drift"}


def tasks(weighted):
    return [
        mtl.Task.binary("z", weight=WEIGHTS["z"] if weighted else 1.0),
        mtl.Task.multiclass("b", 3, weight=WEIGHTS["b"] if weighted else 1.0),
        mtl.Task.regression("r", weight=WEIGHTS["r"] if weighted else 1.0),
    ]


def rich_network():
    """Builds a network with regularizers, normalization and dropout, in the trunk and in towers."""
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    h = layers.Dense(8, kernel_regularizer="l2", activity_regularizer="l2")(x)
    h = layers.Dropout(0.3, seed=1)(layers.BatchNormalization()(h))
    outputs = {}
    for task in tasks(False):
        tower = layers.Dense(6, activation="tanh", activity_regularizer="l1")(h)
        tower = layers.Dropout(0.2, seed=2)(tower)
        # Without a bias: its gradient before a normalization is rounding, which Adam enlarges.
        tower = layers.Dense(5, kernel_regularizer="l1", use_bias=False)(tower)
        outputs[task.name] = task.output(layers.BatchNormalization()(tower))
    return keras.Model(x, outputs)


def train(model):
    options = {"validation_data": problem.dataset(2), "shuffle": False, "verbose": 0}
    return model.fit(problem.dataset(), **options).history


@pytest.fixture(scope="module")
def plain():
    network = rich_network()
    network.compile(keras.optimizers.Adam(0.01), run_eagerly=True, **mtl.compile_args(tasks(True)))
    return network, train(network)


@pytest.mark.parametrize(
    "at", ["parameters", pytest.param("representation", marks=pytest.mark.slow)]
)
def test_fixed_weights_equal_loss_weights_of_keras(plain, at):
    rule = mtl.balancers.Fixed(WEIGHTS)
    model = mtl.BalancedModel(rich_network(), tasks(False), rule, at=at, **AS_KERAS)
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    check(model, *plain)


def test_equal_weights_and_task_weights_equal_loss_weights_of_keras(plain):
    model = mtl.BalancedModel(rich_network(), tasks(True), mtl.balancers.Equal(), **AS_KERAS)
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    check(model, *plain)


def test_a_gramian_rule_with_constant_weights_and_scaled_towers_equals_loss_weights(plain):
    class Constant(mtl.balancers.GramianBalancer):
        def weigh(self, gramian, losses):
            return self.select_active([WEIGHTS[name] for name in self.task_names])

    options = {"scale_towers": True, **AS_KERAS}
    model = mtl.BalancedModel(rich_network(), tasks(False), Constant(), **options)
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    # A rule on the Gramian logs the unweighted sum of the losses.
    check(model, *plain, but=("loss", "val_loss"))


def check(model, network, expected, but=()):
    """Trains the model and checks its variables and its logs, all `but` some, against Keras's."""
    logs = train(model)
    for one, other in zip(model.network.weights, network.weights, strict=True):
        assert one.path.split("/")[-1] == other.path.split("/")[-1]
        if "seed_generator" not in one.path:
            problem.assert_close([np.array(one)], [np.array(other)], 2e-5)
    # <task>_loss of Keras averages batches; <task>_mean_loss counts valid labels in both.
    for key in set(expected) - {f"{p}{t}_loss" for p in ("", "val_") for t in WEIGHTS} - {*but}:
        np.testing.assert_allclose(logs[key], expected[key], rtol=2e-5, err_msg=key)
    assert set(logs) - set(expected) == {f"{name}_weight" for name in WEIGHTS}

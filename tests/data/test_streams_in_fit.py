"""Training on several streams through `model.fit`."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import BalancedModel, Task, architectures, balancers, compile_args
from keras_mtl.data import mixture

TASKS = [Task.regression("price", metrics=()), Task.binary("liked", metrics=())]
RNG = np.random.default_rng(0)
ARRAYS = {
    "prices": (
        RNG.normal(size=(12, 3)).astype("float32"),
        {"price": RNG.normal(size=12).astype("float32")},
    ),
    "likes": (RNG.normal(size=(8, 3)).astype("float32"), {"liked": RNG.integers(0, 2, 8)}),
}
SETS = {name: tf.data.Dataset.from_tensor_slices(pair).batch(4) for name, pair in ARRAYS.items()}


def make_network():
    keras.utils.set_random_seed(0)
    return architectures.hard_sharing(keras.Input((3,)), TASKS, shared=(4,), tower=(3,))


def step_by_step(order):
    """Trains by `for task in order: step(task)`, written out with SGD; returns the weights."""
    network = make_network()
    sets = {name: iter(dataset.repeat()) for name, dataset in SETS.items()}
    losses = {task.name: task.make_loss() for task in TASKS}
    for name in order:
        x, y = next(sets[name])
        ((task, label),) = y.items()
        with tf.GradientTape() as tape:
            loss = losses[task](label, network(x)[task])
        variables = [variable.value for variable in network.trainable_variables]
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            if gradient is not None:
                variable.assign_sub(0.1 * gradient)
    return network.get_weights()


def compiled(network):
    network.compile(keras.optimizers.SGD(0.1), **compile_args(TASKS))
    return network


def balanced(network):
    model = BalancedModel(network, TASKS, balancers.PCGrad())
    model.compile(keras.optimizers.SGD(0.1))
    return model


@pytest.mark.parametrize("door", [compiled, balanced])
def test_taking_turns_is_a_step_for_one_task_and_then_for_the_other(door):
    network = make_network()
    turns = mixture(SETS, TASKS, sampling="round_robin", until=7)
    door(network).fit(turns, shuffle=False, verbose=0)
    expected = step_by_step(["prices", "likes"] * 3 + ["prices"])
    for got, wanted in zip(network.get_weights(), expected, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_a_schedule_says_which_task_is_trained_when():
    order = ["likes", "likes", "prices", "likes", "prices"]

    def rates(step):
        return {name: float(name == order[step]) for name in SETS}

    network = make_network()
    scheduled = mixture(SETS, TASKS, sampling=rates, until=5)
    compiled(network).fit(scheduled, shuffle=False, verbose=0)
    for got, wanted in zip(network.get_weights(), step_by_step(order), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-6)


class Witness(balancers.GramianBalancer):
    """Keeps the Gramian and the losses that a balancer receives."""

    def build(self, num_tasks):
        super().build(num_tasks)
        self.gramian = self.add_state("gramian", (num_tasks, num_tasks), task_axes=2)
        self.seen = self.add_state("seen", (num_tasks,))

    def weigh(self, gramian, losses):
        self.gramian.assign(gramian)
        self.seen.assign(losses)
        return keras.ops.ones_like(losses)


def loss_and_gradient(network, task, x, y):
    """Computes the loss of one task, and its gradient with respect to the shared layer."""
    shared_body = network.get_layer("shared_body_0")
    shared = [variable.value for variable in shared_body.trainable_variables]
    with tf.GradientTape() as tape:
        loss = task.make_loss()(y, network(x)[task.name])
    return loss, np.concatenate([np.ravel(gradient) for gradient in tape.gradient(loss, shared)])


@pytest.mark.parametrize("sampling", ["proportional", "uniform"])
def test_balancers_see_the_losses_and_gradients_of_each_task_s_own_examples(sampling):
    sets = {name: tf.data.Dataset.from_tensor_slices(pair) for name, pair in ARRAYS.items()}
    mixed = mixture(sets, TASKS, sampling=sampling, batch_size=20, until=1)
    ((x, y, w),) = mixed
    network = make_network()
    expected = []
    for task in TASKS:
        there = w[task.name] > 0
        labeled = (tf.boolean_mask(values, there) for values in (x, y[task.name]))
        expected.append(loss_and_gradient(network, task, *labeled))
    model = BalancedModel(network, TASKS, Witness())
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(mixed, verbose=0)
    losses, gradients = map(np.array, zip(*expected, strict=True))
    np.testing.assert_allclose(model.balancer.seen.variable, losses, rtol=1e-6)
    gramian = gradients @ gradients.T
    np.testing.assert_allclose(model.balancer.gramian.variable, gramian, rtol=1e-5, atol=1e-7)


REPLICAS = """
import numpy as np, tensorflow as tf
from keras_mtl import Task
from keras_mtl.data import mixture
cpu = tf.config.list_physical_devices("CPU")[0]
options = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, options)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
ids = {"b": np.arange(11), "a": np.arange(100, 106)}
sets = {n: tf.data.Dataset.from_tensor_slices((i, {n: i % 2})) for n, i in ids.items()}
tasks = [Task.binary("b"), Task.binary("a")]
seen = []
for x, y, w in strategy.experimental_distribute_dataset(mixture(sets, tasks, batch_size=4)):
    by_replica = map(strategy.experimental_local_results, (x, w["b"], w["a"]))
    for values, b_weights, a_weights in zip(*by_replica):
        seen += values.numpy().tolist()
        assert b_weights.numpy().tolist() == (values.numpy() < 100).tolist()
        assert a_weights.numpy().tolist() == (values.numpy() >= 100).tolist()
assert sorted(seen) == [*range(11), *range(100, 106)], seen
print("all there")
"""


@pytest.mark.slow
def test_replicas_share_every_example_of_a_mixture_between_them():
    command = [sys.executable, "-c", REPLICAS]
    assert "all there" in subprocess.run(command, check=True, capture_output=True, text=True).stdout

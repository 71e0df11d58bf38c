"""The needs of balancers beyond losses and gradients, against the same computed by hand."""

import keras
import numpy as np
import pytest
import small_problem as problem
import tensorflow as tf
from keras import ops

import keras_mtl as mtl
from keras_mtl.balancers import (
    FAMO,
    AutoLambda,
    Equal,
    GramianBalancer,
    LossBalancer,
    MoDo,
    Needs,
)


class Remembers(GramianBalancer):
    """Returns the weights (1, 2, 3), and remembers the matrix."""

    def build(self, num_tasks):
        super().build(num_tasks)
        self.seen = self.add_state("seen", (num_tasks, num_tasks), task_axes=2)

    def look_ahead_weights(self):
        return ops.array([0.5, 1.0, 2.0])

    def weigh(self, gramian, losses):
        self.seen.assign(gramian)
        return self.select_active([1.0, 2.0, 3.0])


class Sampled(Remembers):
    needs = Needs(samples=3)


class LooksAhead(Remembers):
    needs = Needs(second_batch=True)


class LooksBack(LossBalancer):
    needs = Needs(losses_after=True)

    def build(self, num_tasks):
        super().build(num_tasks)
        self.before = self.add_state("before", (num_tasks,))
        self.after = self.add_state("after", (num_tasks,))

    def scalarize(self, losses):
        self.before.assign(ops.stop_gradient(losses))
        return ops.sum(losses)

    def after_update(self, losses):
        self.after.assign(losses)


def noisy_network():
    """Builds a network with layers that draw masks and keep moving averages."""
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    features = keras.layers.Dense(16, activation="tanh")(x)
    features = keras.layers.BatchNormalization()(features)
    features = keras.layers.Dropout(0.5, seed=1)(features)
    return keras.Model(x, {task.name: task.output(features) for task in problem.tasks()})


def test_losses_after_the_update_are_those_of_the_same_masks():
    model = problem.balanced(LooksBack(), noisy_network, optimizer=keras.optimizers.SGD(0.0))
    model.train_on_batch(*problem.batch())
    before, after = model.balancer.before.variable, model.balancer.after.variable
    assert np.asarray(before).min() > 0
    np.testing.assert_array_equal(after, before)  # a step of length 0 changes nothing


def test_the_losses_after_the_update_change_no_average_and_no_seed():
    models = [problem.balanced(b, noisy_network) for b in (LooksBack(), Equal())]
    for model in models:
        model.train_on_batch(*problem.batch())
    one, other = (model.network.non_trainable_variables for model in models)
    assert len(one) == len(other) == 3
    for value, expected in zip(one, other, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_losses_after_the_update_are_those_of_the_new_variables():
    model = problem.balanced(LooksBack())
    x, y, w = problem.batch()
    model.train_on_batch(x, y, w)
    expected = problem.losses_by_hand(model.network(x), y, w)
    expected = [task.weight * loss for task, loss in zip(problem.tasks(), expected, strict=True)]
    np.testing.assert_allclose(model.balancer.after.variable, expected, rtol=1e-6)
    assert not np.allclose(model.balancer.after.variable, model.balancer.before.variable)


def test_a_task_without_labels_has_no_loss_after_the_update():
    model = problem.balanced(LooksBack())
    x, y, w = problem.batch(2)  # no label of r
    model.train_on_batch(x, y, w)
    after = np.asarray(model.balancer.after.variable)
    assert (after[:2] > 0).all()
    assert after[2] == 0


def test_famo_shifts_weight_to_the_task_that_improved_least():
    model = problem.balanced(FAMO(learning_rate=0.1), optimizer=keras.optimizers.SGD(0.01))
    x, y, w = problem.batch()
    before = np.stack(problem.losses_by_hand(model.network(x), y, w))
    model.train_on_batch(x, y, w)
    after = np.stack(problem.losses_by_hand(model.network(x), y, w))
    gains = np.log(before) - np.log(after)
    logits = np.asarray(model.balancer.logits.variable)
    assert np.argmax(logits) == np.argmin(gains)
    assert np.argmin(logits) == np.argmax(gains)


def jacobian_of_sample(network, index, samples=3):
    """Computes the Jacobian of one of the samples into which the batch is cut."""
    x, y, w = problem.batch(1)
    mask = np.arange(len(x)) % samples == index
    masked = {name: weights * mask for name, weights in w.items()}
    shared = problem.variables_of(network, "shared")
    return problem.joined(problem.gradients_by_hand(network, shared, x, y, masked))


@pytest.mark.parametrize("every", [1, 2])
def test_samples_are_thirds_of_the_batch(every):
    model = problem.balanced(Sampled(), every=every)
    shared = problem.variables_of(model.network, "shared")
    before = problem.values(shared)
    first, second, third = (jacobian_of_sample(model.network, index) for index in range(3))
    model.train_on_batch(*problem.batch(1))
    seen = np.asarray(model.balancer.seen.variable)
    np.testing.assert_allclose(seen, first @ second.T, rtol=1e-4, atol=1e-6)
    direction = problem.split(np.array([1.0, 2.0, 3.0]) @ third, before)
    expected = [value - 0.1 * step for value, step in zip(before, direction, strict=True)]
    problem.assert_close(problem.values(shared), expected)


class Rooted(keras.losses.Loss):
    """Computes a finite loss whose gradient is not finite where the label is 0."""

    def call(self, y_true, y_pred):
        return ops.mean(ops.sqrt(y_true * ops.square(y_pred)), axis=-1)


@pytest.mark.parametrize("broken", [3, 5])  # a row of the first sample, and one of the last
def test_a_task_that_breaks_in_one_sample_is_left_out_of_the_rule(broken):
    tasks = [*problem.tasks()[:2], mtl.Task("r", head=mtl.Head(1), loss=Rooted(), metrics=())]
    model = problem.balanced(Sampled(), tasks=lambda: tasks)
    x, y, w = problem.batch(1)
    y["r"][:] = np.arange(len(x)) != broken
    model.train_on_batch(x, y, w)
    seen = np.asarray(model.balancer.seen.variable)
    assert (seen[:2, :2] != 0).all() and not seen[2].any() and not seen[:, 2].any()
    assert all(np.isfinite(value).all() for value in problem.values(model.network.variables))


def test_sampled_weights_are_reused_on_the_whole_batch():
    model = problem.balanced(Sampled(), every=2)
    model.train_on_batch(*problem.batch(1))
    shared = problem.variables_of(model.network, "shared")
    before = problem.values(shared)
    rows = problem.joined(problem.gradients_by_hand(model.network, shared, *problem.batch(0)))
    model.train_on_batch(*problem.batch(0))
    direction = problem.split(np.array([1.0, 2.0, 3.0]) @ rows, before)
    expected = [value - 0.1 * step for value, step in zip(before, direction, strict=True)]
    problem.assert_close(problem.values(shared), expected)


def pair(train=1, other=0):
    """Returns two datasets of one batch: one to train on, one to look at."""
    return tf.data.Dataset.from_tensors(problem.batch(train)), tf.data.Dataset.from_tensors(
        problem.batch(other)
    )


def losses_after_a_step(weights, rate, scale_towers):
    """Computes the losses of the second batch after one step of plain descent with the weights."""
    network = problem.network()
    x, y, w = problem.batch(1)
    shared = problem.variables_of(network, "shared")
    with tf.GradientTape(persistent=True) as tape:
        losses = problem.losses_by_hand(network(x), y, w)
        losses = [task.weight * v for task, v in zip(problem.tasks(), losses, strict=True)]
        total = sum(weight * loss for weight, loss in zip(weights, losses, strict=True))
        plain = sum(losses)
    task_variables = [
        v for v in network.trainable_variables if all(v is not other for other in shared)
    ]
    for variable, gradient in zip(
        [*shared, *task_variables],
        [
            *tape.gradient(total, [v.value for v in shared]),
            *tape.gradient(total if scale_towers else plain, [v.value for v in task_variables]),
        ],
        strict=True,
    ):
        variable.assign(variable.value - rate * gradient)
    x, y, w = problem.batch(0)
    losses = problem.losses_by_hand(network(x), y, w)
    return np.array([t.weight * v for t, v in zip(problem.tasks(), losses, strict=True)])


@pytest.mark.parametrize("scale_towers", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_gains_are_derivatives_of_the_losses_of_the_second_batch_by_the_weights(scale_towers):
    balancer = LooksAhead()
    model = problem.balanced(balancer, scale_towers=scale_towers)
    train, other = pair()
    model.fit(train, balance_data=other, verbose=0)
    weights, width = np.array([0.5, 1.0, 2.0]), 0.05
    expected = np.zeros((3, 3))
    for i in range(3):
        up, down = weights + width * np.eye(3)[i], weights - width * np.eye(3)[i]
        rise = losses_after_a_step(up, 0.1, scale_towers)
        rise -= losses_after_a_step(down, 0.1, scale_towers)
        expected[i] = -rise / (2 * width)
    seen = np.asarray(balancer.seen.variable)
    np.testing.assert_allclose(seen, expected, rtol=0.03, atol=2e-4 * np.abs(expected).max())


def test_the_step_of_the_look_ahead_is_undone():
    network = noisy_network()
    model = problem.balanced(LooksAhead(), lambda: network)
    averages = [v for v in network.non_trainable_variables if "moving" in v.path]
    train, other = pair()
    model.fit(train, balance_data=other, verbose=0)
    plain = problem.balanced(Remembers(), noisy_network)
    plain.train_on_batch(*problem.batch(1))
    for one, same in zip(network.variables, plain.network.variables, strict=True):
        np.testing.assert_allclose(one, same, atol=1e-6)
    assert len(averages) == 2


def test_second_batches_are_repeated_and_must_be_passed():
    train = problem.dataset(3)
    model = problem.balanced(AutoLambda())
    with pytest.raises(ValueError, match=r"AutoLambda looks at a second batch.*NoneType"):
        model.fit(train, verbose=0)
    history = model.fit(train, balance_data=problem.dataset(1), verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    with pytest.raises(ValueError, match="Equal looks at no second batch"):
        problem.balanced(Equal()).fit(train, balance_data=train, verbose=0)


@pytest.mark.parametrize("make", [MoDo, AutoLambda])
def test_rules_that_need_the_variables_refuse_the_representation(make):
    with pytest.raises(ValueError, match="Use at='parameters'"):
        mtl.BalancedModel(problem.network(), problem.tasks(), make(), at="representation")


class Preferred(Equal):
    needs = Needs(preference=True)

    def draw_preference(self):
        return ops.array([0.2, 0.3, 0.5])


def preferring_network():
    """Builds a network whose prediction for task r is the preference of that task."""
    keras.utils.set_random_seed(0)
    x, preference = keras.Input((4,), name="x"), keras.Input((3,), name="preference")
    features = keras.layers.Dense(8)(keras.layers.Concatenate()([x, preference]))
    outputs = {task.name: task.output(features) for task in problem.tasks()[:2]}
    outputs["r"] = keras.layers.Lambda(lambda p: p[:, 2:])(preference)
    return keras.Model({"x": x, "preference": preference}, outputs)


def test_the_network_receives_the_preference_that_was_drawn():
    model = problem.balanced(Preferred(), preferring_network)
    x, y, w = problem.batch()
    logs = model.train_on_batch({"x": x}, y, w, return_dict=True)
    expected = np.average((0.5 - y["r"]) ** 2, weights=w["r"])
    np.testing.assert_allclose(logs["r_loss"], expected, rtol=1e-5)
    logs = model.test_on_batch({"x": x}, y, w, return_dict=True)  # no draw: equal preferences
    expected = np.average((1 / 3 - y["r"]) ** 2, weights=w["r"])
    np.testing.assert_allclose(logs["r_loss"], expected, rtol=1e-5)
    preference = np.tile([[0.0, 0.0, 2.0]], (len(x), 1))
    logs = model.test_on_batch({"x": x, "preference": preference}, y, w, return_dict=True)
    np.testing.assert_allclose(
        logs["r_loss"], np.average((2 - y["r"]) ** 2, weights=w["r"]), rtol=1e-5
    )


def test_a_network_without_a_preference_is_refused():
    with pytest.raises(ValueError, match="name='preference'"):
        problem.balanced(Preferred())


def test_a_new_preference_in_each_step_needs_new_weights_in_each_step():
    with pytest.raises(ValueError, match=r"Preferred draws a preference.*every=2"):
        problem.balanced(Preferred(), preferring_network, every=2)

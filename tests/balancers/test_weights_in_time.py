"""Balancers whose weights follow the past (CoV) or the clock (Schedule)."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_mtl.balancers import CoV, Schedule


def weights_of(balancer, losses):
    losses = tf.constant(losses, "float32")
    with tf.GradientTape() as tape:
        tape.watch(losses)
        scalar = balancer.scalarize(losses)
    return tape.gradient(scalar, losses).numpy()


def variation(history, decay):
    """Computes c of one task from all its losses, in two passes."""
    kept = [1 - 1 / (t + 1) if decay is None or t == 0 else decay for t in range(len(history))]

    def means(values):
        mean, history_of_means = 0.0, []
        for factor, value in zip(kept, values, strict=True):
            mean = factor * mean + (1 - factor) * value
            history_of_means.append(mean)
        return history_of_means

    past = [history[0], *means(history)[:-1]]
    ratios = np.array(history) / past
    if decay is None:
        return np.sqrt(ratios.var() + 1e-8) / ratios.mean()
    new = np.array(means(ratios))
    old = np.array([0.0, *new[:-1]])
    return np.sqrt(((ratios - old) * (ratios - new)).mean() + 1e-8) / new[-1]


@pytest.mark.parametrize("decay", [None, 0.8])
def test_cov_weighs_by_how_much_each_loss_varied(decay):
    rng, balancer = np.random.default_rng(5), CoV(decay=decay)
    histories = [[], [], []]
    for step in range(30):
        losses = rng.uniform(0.5, 1.5, size=3) * [0.01, 1, 300] * [1, 1 - step / 60, 1]
        weights = weights_of(balancer, losses)
        if step < 2:
            np.testing.assert_allclose(weights, 1 / 3, rtol=1e-6)
        else:
            expected = np.array([variation(history, decay) for history in histories])
            np.testing.assert_allclose(weights, expected / expected.sum(), rtol=1e-4)
        for history, loss in zip(histories, losses, strict=True):
            history.append(loss)


def test_cov_does_not_depend_on_the_scale_of_a_loss():
    plain, scaled = CoV(), CoV()
    rng = np.random.default_rng(6)
    for _ in range(5):
        losses = rng.uniform(0.5, 1.5, size=2)
        first, second = weights_of(plain, losses), weights_of(scaled, losses * [1e-6, 1e6])
    np.testing.assert_allclose(first, second, rtol=1e-4)


def test_cov_counts_for_each_task_the_steps_that_it_took_part_in():
    rng, balancer = np.random.default_rng(8), CoV()
    balancer.build(3)
    histories = [[], [], []]
    for step in range(12):
        tasks = [2, 0] if step < 5 else [0, 1, 2] if step < 9 else [1, 2]
        losses = rng.uniform(0.5, 1.5, size=len(tasks))
        with balancer.on_tasks(tf.constant(tasks)) as updates:
            weights = weights_of(balancer, losses)
        for state in balancer.states:
            state.variable.assign(updates.get(state.variable.path, state.variable))
        past = [histories[task] for task in tasks]
        if step >= 2:  # a task that was seen less than twice gets the mean of the other tasks
            known = [variation(history, None) if len(history) > 1 else None for history in past]
            mean = np.mean([value for value in known if value is not None])
            expected = np.array([mean if value is None else value for value in known])
            np.testing.assert_allclose(weights, expected / expected.sum(), rtol=1e-4)
        for history, loss in zip(past, losses, strict=True):
            history.append(loss)
    np.testing.assert_array_equal(balancer.count.variable, [9, 7, 12])


def test_cov_keeps_its_digits_over_many_steps():
    balancer, rng = CoV(), np.random.default_rng(7)
    balancer.build(2)
    history = rng.uniform(0.999, 1.001, size=(1500, 2)).astype("float32")
    history[:, 1] += rng.uniform(-0.003, 0.003, size=1500)
    tf.function(lambda steps: tf.map_fn(balancer.scalarize, steps))(tf.constant(history))
    expected = np.array([variation(list(column.astype("float64")), None) for column in history.T])
    np.testing.assert_allclose(balancer.task_weights(), expected / expected.sum(), rtol=0.01)


@keras.saving.register_keras_serializable(package="tests")
def fade(time):
    return 1 / (1 + time)


@keras.saving.register_keras_serializable(package="tests")
def joint(time):
    return {"b": time, "a": ops.cos(time)}


@keras.saving.register_keras_serializable(package="tests")
def joint_in_order(time):
    return ops.stack([time, 2 * time])


def test_the_schedule_of_ple_decays_by_epochs():
    balancer = Schedule({"b": 2.0, "a": 1.0}, decay={"a": 0.5, "b": 0.9})
    balancer.bind(["a", "b"])
    for epoch in range(4):
        for _ in range(3):
            weights = weights_of(balancer, [5.0, 7.0])
            np.testing.assert_allclose(weights, [0.5**epoch, 2 * 0.9**epoch], rtol=1e-6)
        balancer.end_epoch()


def test_a_schedule_by_steps_goes_on_in_a_compiled_step():
    ramp = keras.optimizers.schedules.PolynomialDecay(1.0, 4, end_learning_rate=0.0)
    balancer = Schedule([ramp, fade, 3.0], per="step")
    balancer.build(3)
    step = tf.function(lambda losses: balancer.scalarize(losses))
    for time in range(4):
        expected = (1 - time / 4) * 100 + 10 / (1 + time) + 3
        np.testing.assert_allclose(step(tf.constant([100.0, 10.0, 1.0])), expected, rtol=1e-6)
        balancer.end_epoch()  # epochs do not count here


def test_one_function_gives_the_weights_of_all_tasks():
    by_name, in_order = Schedule(joint), Schedule(joint_in_order, decay=0.5)
    by_name.bind(["a", "b"])
    for balancer in by_name, in_order:
        balancer.build(2)
        balancer.end_epoch()
    np.testing.assert_allclose(by_name.task_weights(), [np.cos(1), 1], rtol=1e-6)
    np.testing.assert_allclose(in_order.task_weights(), [0.5, 1], rtol=1e-6)
    with in_order.on_tasks(tf.constant([1])):
        np.testing.assert_allclose(in_order.task_weights(), [1], rtol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Schedule(joint),
        lambda: Schedule({"a": fade, "b": 2.0}, decay={"a": 0.5, "b": 1.0}),
        lambda: Schedule([keras.optimizers.schedules.ExponentialDecay(1.0, 2, 0.5), fade]),
    ],
)
def test_a_schedule_of_functions_is_rebuilt_with_them(make):
    balancer = make()
    balancer.bind(["a", "b"])
    balancer.build(2)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(balancer))
    for _ in range(3):
        np.testing.assert_array_equal(copy.task_weights(), balancer.task_weights())
        copy.end_epoch()
        balancer.end_epoch()
    assert copy.get_config() == balancer.get_config()


def unregistered(time):
    return time


class NoConfig:
    def __call__(self, time):
        return time


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Schedule(lambda time: [time, 1.0]), "<lambda> could not be saved"),
        (lambda: Schedule([1.0, unregistered]), "unregistered could not be saved.*register"),
        (lambda: Schedule({"a": NoConfig()}), "NoConfig could not be saved"),
        (lambda: Schedule([1.0, -1.0]), "weights must be a finite number"),
        (lambda: Schedule([1.0], decay=0.0), "decay must be"),
        (lambda: Schedule([1.0], per="batch"), "per must be 'epoch' or 'step'"),
        (lambda: Schedule([1.0, fade]).build(3), "2 numbers for 3 tasks"),
        (lambda: Schedule({"a": 1.0}).build(1), "no names are known"),
        (lambda: CoV(decay=1.0), "decay must be"),
    ],
)
def test_schedules_that_cannot_work_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_names_of_a_schedule_are_exactly_the_tasks():
    balancer = Schedule({"a": fade, "x": 1.0})
    balancer.bind(["a", "b"])
    with pytest.raises(ValueError, match=r"missing: \['b'\], unknown: \['x'\]"):
        balancer.build(2)

"""FAMO against its equations in float64, with every derivative by differences."""

import math

import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from keras_mtl.balancers import FAMO


def weights_of(balancer, losses):
    losses = tf.constant(losses, "float32")
    with tf.GradientTape() as tape:
        tape.watch(losses)
        scalar = balancer.scalarize(losses)
    return tape.gradient(scalar, losses).numpy()


def test_famo_weighs_by_shares_of_inverse_losses():
    np.testing.assert_allclose(weights_of(FAMO(), [1.0, 10.0]), [0.9091, 0.0909], atol=5e-5)
    balancer = FAMO(min_losses=[0.5, 0.0])
    balancer.build(2)
    balancer.logits.assign(np.log([0.25, 0.75]))
    np.testing.assert_allclose(weights_of(balancer, [1.0, 3.0]), [2 / 3, 1 / 3], rtol=1e-5)


class Reference:
    """Replays algorithm 1 of the paper, with Adam as in the paper of Adam."""

    def __init__(self, num_tasks, rate, decay):
        self.w, self.rate, self.decay = np.zeros(num_tasks), rate, decay
        self.m, self.v, self.t = np.zeros(num_tasks), np.zeros(num_tasks), 0

    def update(self, before, after):
        change = np.log(before + 1e-8) - np.log(after + 1e-8)
        shifts = 1e-6 * np.eye(len(self.w))
        gains = [
            (scipy.special.softmax(self.w + h) - scipy.special.softmax(self.w - h)) @ change
            for h in shifts
        ]
        gradient = np.array(gains) / 2e-6 + self.decay * self.w
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * gradient
        self.v = 0.999 * self.v + 0.001 * gradient**2
        first, second = self.m / (1 - 0.9**self.t), self.v / (1 - 0.999**self.t)
        self.w -= self.rate * first / (np.sqrt(second) + 1e-8)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_famo_moves_its_logits_as_the_paper_says(decay):
    rng = np.random.default_rng(3)
    balancer, reference = FAMO(weight_decay=decay), Reference(4, 0.025, decay)
    for _ in range(25):
        before, after = rng.uniform(0.1, 5, size=(2, 4))
        expected = scipy.special.softmax(reference.w) / before
        weights = weights_of(balancer, before)
        np.testing.assert_allclose(weights, expected / expected.sum(), rtol=1e-4)
        balancer.after_update(after)
        reference.update(before, after)
        np.testing.assert_allclose(balancer.logits.variable, reference.w, atol=2e-5)
    assert np.ptp(reference.w) > 0.1


def test_a_task_that_fell_more_loses_weight():
    balancer = FAMO()
    weights_of(balancer, [2.0, 2.0])
    balancer.after_update([1.0, 1.9])
    first, second = balancer.task_shares().numpy()
    assert first < 0.5 < second
    assert math.isclose(first + second, 1, rel_tol=1e-6)


def assign(balancer, updates):
    for state in balancer.states:
        state.variable.assign(updates.get(state.variable.path, state.variable))


def test_the_tasks_of_a_step_move_as_if_they_were_all():
    whole, alone = FAMO(min_losses=[0.0, 0.1, 9.0, 0.3]), FAMO(min_losses=[0.3, 0.1])
    tasks = tf.constant([3, 1])
    whole.build(4)
    for before, after in ([1.0, 2.0], [0.5, 1.9]), ([0.4, 1.5], [0.4, 0.2]):
        with whole.on_tasks(tasks) as updates:
            some = weights_of(whole, before)
        assign(whole, updates)  # as the trainer does, between the rule and `after_update`
        with whole.on_tasks(tasks) as updates:
            whole.after_update(after)
        assign(whole, updates)
        np.testing.assert_allclose(some, weights_of(alone, before), rtol=1e-6)
        alone.after_update(after)
    logits = whole.logits.variable.numpy()
    np.testing.assert_allclose(logits[[3, 1]], alone.logits.variable, rtol=1e-6)
    np.testing.assert_array_equal(logits[[0, 2]], 0)
    np.testing.assert_array_equal(whole.states[-1].variable, [0, 2, 0, 2])  # Adam's counts


def test_a_loss_that_is_not_finite_after_the_update_counts_as_unchanged():
    broken, still = FAMO(), FAMO()
    for balancer, after in (broken, [0.5, math.nan, math.inf]), (still, [0.5, 2.0, 3.0]):
        weights_of(balancer, [1.0, 2.0, 3.0])
        balancer.after_update(after)
    np.testing.assert_allclose(broken.logits.variable, still.logits.variable, rtol=1e-6)


def test_the_whole_step_compiles():
    def run(wrap):
        balancer = FAMO(min_losses=0.1)
        balancer.build(3)

        def step(losses):
            weights = balancer.scalarize(losses)
            balancer.after_update(losses * tf.constant([0.5, 0.9, 1.1]))
            return weights

        step = wrap(step)
        for scale in 1.0, 0.8, 0.6:
            step(tf.constant([1.0, 2.0, 0.5]) * scale)
        return balancer.logits.variable.numpy()

    eager = run(lambda step: step)
    compiled = run(lambda step: tf.function(step, jit_compile=True))
    np.testing.assert_allclose(compiled, eager, rtol=1e-5)


def test_the_update_cannot_come_before_the_rule():
    with pytest.raises(ValueError, match=r"call scalarize\(losses\) before after_update"):
        FAMO().after_update([1.0, 2.0])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: FAMO(learning_rate=-1.0), "learning_rate must be"),
        (lambda: FAMO(weight_decay=math.nan), "weight_decay must be"),
        (lambda: FAMO(min_losses={"a": math.inf, "b": 0.0}), "min_losses of task 'a'"),
    ],
)
def test_bad_arguments_of_famo_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()

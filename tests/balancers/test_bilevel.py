"""Rules that look at a second batch, against replays in float64 by another road."""

import numpy as np
import pytest
import tensorflow as tf
from reference_case import gramians_of, minimum_by_faces, random_jacobians, slow

from keras_mtl.balancers import CRMOGM, FORUM, MOML, AutoLambda


class Descent:
    """Takes steps of Adam, as its paper writes it."""

    def __init__(self, values, learning_rate):
        self.values, self.learning_rate = np.array(values, "float64"), learning_rate
        self.first, self.second, self.steps = 0.0, 0.0, 0

    def step(self, gradient):
        self.steps += 1
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.999 * self.second + 0.001 * gradient**2
        first, second = self.first / (1 - 0.9**self.steps), self.second / (1 - 0.999**self.steps)
        self.values = self.values - self.learning_rate * first / (np.sqrt(second) + 1e-8)


def softmax(values):
    powers = np.exp(values - values.max())
    return powers / powers.sum()


class Replay:
    """Replays FORUM on the gradients themselves, with the logits as K further coordinates."""

    def __init__(self, num_tasks, rho, learning_rate):
        self.rho = rho
        self.logits = Descent(np.zeros(num_tasks), learning_rate)
        self.shares, self.epoch = np.zeros(num_tasks), 0

    def problem(self, jacobian, before, after):
        """Returns the other batch's unit gradients and the constraint's, over (theta, a)."""
        num_tasks = len(before)
        here, other = np.split(jacobian, 2)
        weights = softmax(self.logits.values)
        by_logits = (np.diag(weights) - np.outer(weights, weights)) @ (before - after)
        units = other / np.linalg.norm(other, axis=1, keepdims=True)
        units = np.concatenate([units, np.zeros((num_tasks, num_tasks))], axis=1)
        return units, np.concatenate([weights @ here, by_logits])

    def step(self, jacobian, before, after):
        """Returns the direction over (theta, a), and the shares before they are averaged."""
        units, constraint = self.problem(jacobian, before, after)
        square = constraint @ constraint
        parts = self.rho - units @ constraint / square
        shares = shares_by_cases(units, constraint, self.rho)
        self.shares += (self.epoch + 1) ** -0.75 * (shares - self.shares)
        direction = self.shares @ units + max(self.shares @ parts, 0) * constraint
        self.logits.step(direction[jacobian.shape[1] :])
        return direction, shares


def shares_by_cases(units, constraint, rho):
    """Finds the shares: with a constraint that is met by itself, or with a linear cost along it."""
    square = constraint @ constraint
    along = units @ constraint
    shares = minimum_by_faces((units @ units.T)[None])[0]
    if shares @ (rho - along / square) <= 0:
        return shares
    across = units - np.outer(along / square, constraint)
    return minimum_by_faces((across @ across.T)[None], rho * along[None])[0]


def run(balancer, num_tasks):
    balancer.build(num_tasks)
    rule = tf.function(balancer.weigh)

    def step(jacobian, before, after):
        gramian = tf.constant(jacobian @ jacobian.T, "float64")
        losses = tf.constant(np.concatenate([before, after]), "float32")
        return rule(gramian, losses).numpy().astype("float64")

    return step


def problems(count, num_tasks, seed):
    rng = np.random.default_rng(seed)
    for jacobian in random_jacobians(count, 2 * num_tasks, seed, condition=100.0, spread=2.0):
        yield jacobian, rng.uniform(1, 2, num_tasks), rng.uniform(0, 2, num_tasks)


@pytest.mark.parametrize(
    ("num_tasks", "rho"), [(2, 0.1), (3, 1.0), *slow((2, 2.0), (4, 1.0), (5, 0.1), (8, 1.0))]
)
def test_forum_follows_its_problem_solved_face_by_face(num_tasks, rho):
    balancer = FORUM(rho=rho, learning_rate=0.1)
    step, replay = run(balancer, num_tasks), Replay(num_tasks, rho, 0.1)
    bound = 0
    for number, (jacobian, before, after) in enumerate(problems(60, num_tasks, seed=num_tasks)):
        weights = step(jacobian, before, after)
        expected, _ = replay.step(jacobian, before, after)
        expected = expected[: jacobian.shape[1]]
        # The logits are kept in float32.
        assert np.linalg.norm(weights @ jacobian - expected) < 5e-5 * np.linalg.norm(expected)
        bound += weights[:num_tasks].sum() > 0
        np.testing.assert_allclose(balancer.logits.variable, replay.logits.values, atol=1e-4)
        if number % 7 == 6:
            balancer.end_epoch()
            replay.epoch += 1
    assert 0 < bound <= 60  # the constraint does something


@pytest.mark.parametrize("num_tasks", [2, 4])
def test_no_direction_is_better_than_that_of_forum(num_tasks):
    rho = 0.5
    for jacobian, before, after in problems(12, num_tasks, seed=1):
        units, constraint = Replay(num_tasks, rho, 0.1).problem(jacobian, before, after)
        losses = np.concatenate([before, after])
        weights = FORUM(rho=rho).weigh(jacobian @ jacobian.T, losses).numpy()
        multiplier = weights[:num_tasks].sum()  # the weights of the constraint sum to 1
        shares = weights[num_tasks:] * np.linalg.norm(jacobian[num_tasks:], axis=1)
        direction = -(shares @ units + multiplier * constraint)
        square = constraint @ constraint
        assert constraint @ direction <= -rho * square + 1e-6
        # The multipliers guarantee the value that the direction reaches: no direction is better.
        reached = np.max(units @ direction) + direction @ direction / 2
        guaranteed = multiplier * rho * square - direction @ direction / 2
        assert shares.min() >= 0
        np.testing.assert_allclose([shares.sum(), reached], [1, guaranteed], rtol=2e-5, atol=1e-6)


def test_forum_wants_pairs_of_losses_and_whole_steps():
    with pytest.raises(ValueError, match=r"losses must be \[2K\].*received shape \(3,\)"):
        FORUM().weigh(np.eye(3), np.ones(3))
    with pytest.raises(ValueError, match="inner_steps must be a whole number from 1; received 0"):
        FORUM(inner_steps=0)
    with pytest.raises(TypeError, match="FORUM gives two"):
        CRMOGM(FORUM())


def test_moml_and_auto_lambda_follow_their_rules():
    rng, num_tasks = np.random.default_rng(3), 4
    moml, auto = MOML(learning_rate=0.05), AutoLambda(primary=[0, 1, 2, 0.5], learning_rate=0.05)
    weights = Descent(np.ones(num_tasks), 0.05)
    auto_weights = Descent(np.full(num_tasks, 0.1), 0.05)
    for _ in range(30):
        gains = rng.normal(size=(num_tasks, num_tasks))
        units = (gains / np.linalg.norm(gains, axis=0)).T
        shares = minimum_by_faces(gramians_of(units[None]))[0]
        weights.step(-shares @ units)
        weights.values = np.maximum(weights.values, 0)
        np.testing.assert_allclose(
            moml.weigh(gains, np.ones(num_tasks)), weights.values, rtol=2e-4, atol=1e-5
        )
        auto_weights.step(-gains @ [0, 1, 2, 0.5])
        np.testing.assert_allclose(
            auto.weigh(gains, np.ones(num_tasks)), auto_weights.values, rtol=2e-4, atol=1e-5
        )

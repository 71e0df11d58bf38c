import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import layers


def make(theta, **arguments):
    layer = layers.Branching(len(theta), seed=3, **arguments)
    layer.build((None, len(theta[0]), 1))
    layer.theta.assign(np.array(theta, "float32"))
    return layer


def draw_many(theta, count, **arguments):
    """Draws for many children with the same logits, `(count, parents)`."""
    layer = make([theta] * count, **arguments)
    return draw(layer)


def draw(layer):
    """Draws the matrix with which children mix their parents, `(children, parents)`."""
    parents = np.eye(layer.theta.shape[1], dtype="float32")[None]
    return np.asarray(layer(parents, training=True))[0]


def test_a_child_reads_its_best_parent_when_it_serves():
    layer = make([[0.0, 2.0, 1.0], [0.5, 0.4, 0.3]])
    parents = np.random.default_rng(0).normal(size=(7, 3, 1)).astype("float32")
    np.testing.assert_array_equal(layer(parents), parents[:, [1, 0]])
    assert layer.choices.tolist() == [1, 0]


def test_a_draw_is_a_softmax_with_gumbel_noise():
    """Checks that at any temperature parent p is largest with probability softmax(theta)_p."""
    result = draw_many(np.log([0.2, 0.3, 0.5]), 4000, temperature=0.5)
    np.testing.assert_allclose(result.sum(-1), 1, atol=1e-5)
    shares = np.bincount(result.argmax(-1), minlength=3) / 4000
    np.testing.assert_allclose(shares, [0.2, 0.3, 0.5], atol=0.03)
    # Of two parents, the logit of a draw is (theta_1 - theta_0 + logistic noise) / t.
    pair = draw_many([0.0, 1.0], 4000, temperature=2.0)
    noise = 2.0 * np.log(pair[:, 1] / pair[:, 0]) - 1.0
    assert abs(np.mean(noise)) < 0.1 and abs(np.std(noise) - np.pi / np.sqrt(3)) < 0.1


def test_a_lower_temperature_makes_draws_harder():
    layer = make(np.zeros((50, 4)), temperature=5.0)
    soft = draw(layer).max(-1).mean()
    layer.temperature.assign(0.05)
    assert soft < 0.5 < 0.95 < draw(layer).max(-1).mean()
    assert layer.trainable_variables == [layer.theta]


def test_a_seed_repeats_the_draws():
    first, again = make(np.zeros((2, 3))), make(np.zeros((2, 3)))
    drawn = draw(first)
    np.testing.assert_array_equal(drawn, draw(again))
    assert np.abs(drawn - draw(first)).min() > 1e-4


def test_the_choice_gets_a_gradient():
    layer = make(np.zeros((1, 3)))
    parents = tf.constant([[[1.0], [2.0], [5.0]]])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(parents, training=True))
    gradient = tape.gradient(loss, layer.theta.value)
    assert gradient[0, 2] > 0 > gradient[0, 0]


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="expected num_children >= 1 and temperature > 0"):
        layers.Branching(0)
    with pytest.raises(ValueError, match="expected num_children >= 1 and temperature > 0"):
        layers.Branching(2, 0.0)
    with pytest.raises(ValueError, match="expected parents"):
        layers.Branching(2)(keras.Input((None, 4)))

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from keras_mtl.layers import JointLogit

LOGITS = [-30.0, -9.0, -1.0, 0.0, 2.0, 12.0]


def test_it_is_the_logit_of_the_product():
    a, b, c = (np.ravel(logits) for logits in np.meshgrid(LOGITS, LOGITS, [-3.0, 1.0]))
    result = JointLogit()([a[:, None], b[:, None], c[:, None]])
    log_p = sum(special.log_expit(logits) for logits in (a, b, c))
    expected = log_p - np.log1p(-np.exp(log_p))  # by float64 logarithms
    np.testing.assert_allclose(np.ravel(result), expected, rtol=2e-6, atol=1e-5)


def test_a_single_logit_is_returned_as_it_is():
    logits = np.array([[-20.0], [-0.5], [3.0]], "float32")
    np.testing.assert_allclose(JointLogit()([logits]), logits, rtol=1e-6)


def test_a_certain_event_changes_nothing():
    logits = np.array([[-5.0], [0.0], [5.0]], "float32")
    result = JointLogit()([logits, np.full((3, 1), 200.0, "float32")])
    np.testing.assert_allclose(result, logits, rtol=1e-5)


@pytest.mark.parametrize("size", [0.0, 80.0, 200.0, 1e4])
def test_gradients_are_finite_at_any_size(size):
    logits = [tf.constant([[size], [-size]]), tf.constant([[size], [size]])]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total = tf.reduce_sum(JointLogit()(logits))
    assert np.isfinite(total)
    assert all(np.isfinite(gradient).all() for gradient in tape.gradient(total, logits))


def test_a_rare_event_still_has_a_gradient():
    """Checks a product below 1e-7: Keras clips probabilities there, and learns nothing."""
    click, conversion = tf.constant([[-12.0]]), tf.constant([[-8.0]])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    with tf.GradientTape() as tape:
        tape.watch([click, conversion])
        value = loss(tf.ones((1, 1)), JointLogit()([click, conversion]))
    np.testing.assert_allclose(value, 20.0, rtol=1e-4)
    np.testing.assert_allclose(tape.gradient(value, [click, conversion]), -np.ones((2, 1, 1)), 1e-3)


def test_it_knows_its_symbolic_shape_and_passes_a_mask_on():
    inputs = [keras.Input((None, 1)), keras.Input((None, 1))]
    assert JointLogit()(inputs).shape == (None, None, 1)
    a, b = tf.zeros((2, 3, 1)), tf.zeros((2, 3, 1))
    b._keras_mask = tf.constant([[True, False, False], [True, True, True]])
    np.testing.assert_array_equal(JointLogit()([a, b])._keras_mask, b._keras_mask)

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from keras_mtl.layers import TotalLogit

LOGITS = [-20.0, -4.0, 0.0, 1.5, 20.0]


def test_it_is_the_logit_of_the_total_probability():
    grid = [np.ravel(logits) for logits in np.meshgrid(LOGITS, LOGITS, LOGITS)]
    result = np.ravel(TotalLogit()([logits[:, None] for logits in grid]))
    a, b, c = (special.expit(logits) for logits in grid)
    p, q = a * b + (1 - a) * c, a * (1 - b) + (1 - a) * (1 - c)
    np.testing.assert_allclose(result, np.log(p) - np.log(q), rtol=1e-5, atol=1e-4)


def test_a_condition_that_makes_no_difference_does_not_count():
    conditional = np.array([[-40.0], [-3.0], [0.7], [60.0]], "float32")
    result = TotalLogit()(
        [np.linspace(-5, 5, 4, dtype="float32")[:, None], conditional, conditional]
    )
    np.testing.assert_allclose(result, conditional, rtol=1e-5)


@pytest.mark.parametrize("size", [0.0, 100.0, 1e4])
def test_gradients_are_finite_at_any_size(size):
    logits = [tf.constant([[size], [-size]]) for _ in range(3)]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total = tf.reduce_sum(TotalLogit()(logits))
    assert np.isfinite(total)
    assert all(np.isfinite(gradient).all() for gradient in tape.gradient(total, logits))


def test_it_knows_its_symbolic_shape_and_passes_a_mask_on():
    inputs = [keras.Input((None, 1)) for _ in range(3)]
    assert TotalLogit()(inputs).shape == (None, None, 1)
    logits = [tf.zeros((1, 2, 1)) for _ in range(3)]
    logits[0]._keras_mask = tf.constant([[True, False]])
    np.testing.assert_array_equal(TotalLogit()(logits)._keras_mask, [[True, False]])

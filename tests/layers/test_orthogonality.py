"""Orthogonality against its equation, with masks and in half precision."""

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import _replicas
from keras_mtl.layers import DSelectKGate, ExpectationCalibrator, Orthogonality


def penalty_of(strength, shared, private, dtype="float32", masks=None):
    layer = Orthogonality(strength, dtype=dtype)
    parts = [tf.cast(part, dtype) for part in (shared, private)]
    for part, mask in zip(parts, masks or (None, None), strict=True):
        if mask is not None:
            part._keras_mask = tf.constant(mask)
    result = layer(parts)
    np.testing.assert_array_equal(result, parts[1])
    return float(layer.losses[0])


def test_the_penalty_is_the_mean_product_of_all_pairs_of_channels():
    rng = np.random.default_rng(0)
    shared, private = rng.normal(size=(9, 4)), rng.normal(size=(9, 3))
    expected = sum(np.mean(shared[:, i] * private[:, j]) ** 2 for i in range(4) for j in range(3))
    np.testing.assert_allclose(penalty_of(0.3, shared, private), 0.3 * expected, rtol=1e-5)


def test_positions_under_a_mask_do_not_count():
    rng = np.random.default_rng(1)
    shared, private = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 2))
    mask = np.array([[True, True, False], [True, False, False]])
    expected = penalty_of(1.0, shared[mask], private[mask])
    result = penalty_of(1.0, shared, private, masks=(None, mask))
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    assert penalty_of(1.0, shared, private, masks=(mask & False, mask)) == 0


def test_half_precision_sums_in_float32():
    shared = np.full((4096, 1), 8.0)  # the sum of the products is beyond float16
    np.testing.assert_allclose(penalty_of(1.0, shared, shared, "float16"), 64.0**2)


@pytest.mark.parametrize("strength", [-1.0, float("nan"), None])
def test_a_strength_below_0_is_refused(strength):
    with pytest.raises(ValueError, match="strength must be a number of at least 0"):
        Orthogonality(strength)


@pytest.mark.parametrize(
    "layer", [Orthogonality(name="apart"), ExpectationCalibrator(name="apart")]
)
def test_plain_training_on_replicas_is_refused(layer, monkeypatch):
    gate, pair = DSelectKGate(3, name="gate"), [tf.ones((2, 1)), tf.ones((2, 1))]
    monkeypatch.setattr(_replicas, "num_replicas", lambda: 2)
    with pytest.raises(ValueError, match=r"apart: its penalty .* 2 replicas under plain Keras"):
        layer(pair, training=True)
    with pytest.raises(ValueError, match="gate: its penalty"):
        gate(pair[0], training=True)
    with _replicas.losses_counted_by_step():
        layer(pair, training=True)
    layer(pair, training=False)

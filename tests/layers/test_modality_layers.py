"""The layers of networks with several modalities: flags, dropout, what stands in, gates."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.layers import FillMissing, GatedFusion, ModalityDropout, PresenceFlags


def test_flags_are_joined_in_the_order_of_the_modalities():
    flags = PresenceFlags([True, False, True])
    result = flags([np.zeros((2, 3, 4)), np.array([1, 0]), np.array([[0.5], [-1.0]])])
    np.testing.assert_array_equal(result, [[1, 1, 1], [0, 1, 0]])
    assert flags.compute_output_shape([(None, 3), (None,), (None,)]) == (None, 3)
    with pytest.raises(ValueError, match="flagged is empty"):
        PresenceFlags([])


@pytest.fixture(scope="module")
def dropped():
    flags = np.tile([[1.0, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]], (5000, 1)).astype("float32")
    layer = ModalityDropout(0.4, seed=1)
    np.testing.assert_array_equal(layer(flags), flags)  # not in training
    rule = tf.function(lambda inputs: layer(inputs, training=True), jit_compile=True)
    return flags.reshape(5000, 4, 3), rule(flags).numpy().reshape(5000, 4, 3)


def test_the_last_modality_is_never_left_out_and_a_missing_one_never_comes_back(dropped):
    flags, kept = dropped
    assert (kept <= flags).all()
    np.testing.assert_array_equal(kept.any(axis=2), flags.any(axis=2))
    np.testing.assert_array_equal(kept[:, 2:], flags[:, 2:])


def test_modalities_are_left_out_independently_where_one_remains(dropped):
    _, kept = dropped
    # Of three, each is there by its own draw, or as the only one left of three: 0.6 + 0.4^3 / 3.
    np.testing.assert_allclose(kept[:, 0].mean(axis=0), 0.6 + 0.4**3 / 3, atol=0.02)
    np.testing.assert_allclose((kept[:, 0].sum(axis=1) == 3).mean(), 0.6**3, atol=0.02)
    np.testing.assert_allclose(kept[:, 1].mean(axis=0), [0.6 + 0.4**2 / 2, 0, 0.68], atol=0.02)


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_all_modalities_are_lost_at_a_rate_of_their_own(rate):
    flags = np.tile([[1.0, 1, 1], [1, 0, 1]], (10000, 1)).astype("float32")
    layer = ModalityDropout(rate, rate_of_all=0.3, seed=1)
    np.testing.assert_array_equal(layer(flags), flags)  # not in training
    layer = ModalityDropout.from_config(layer.get_config())
    rule = tf.function(lambda inputs: layer(inputs, training=True), jit_compile=True)
    kept = rule(flags).numpy().reshape(10000, 2, 3)
    none = ~kept.any(axis=2)
    np.testing.assert_allclose(none.mean(axis=0), 0.3, atol=0.02)
    # The others are as without it: two of two remain unless one of them was drawn.
    both = kept[:, 1, ::2][~none[:, 1]].all(axis=1).mean()
    np.testing.assert_allclose(both, (1 - rate) ** 2, atol=0.02)


@pytest.mark.parametrize("rate", [1, 1.0, -0.1, "0.2", float("nan")])
def test_a_modality_that_is_never_seen_is_refused(rate):
    with pytest.raises(ValueError, match="rate must be from 0 to below 1"):
        ModalityDropout(rate)
    with pytest.raises(ValueError, match="rate_of_all must be from 0 to below 1"):
        ModalityDropout(rate_of_all=rate)


def test_a_learned_vector_stands_in_where_there_is_nothing_to_mix():
    layer = GatedFusion(learned=True)
    features = tf.constant([[[2.0, 1.0], [np.nan, np.nan]], [[3.0, 5.0], [np.nan, np.nan]]])
    flags = tf.constant([[0.0, 1.0], [0.0, 0.0]])
    layer([*features, flags])
    layer.vector.assign([7.0, 8.0])
    with tf.GradientTape() as tape:
        result = layer([*features, flags])
        total = tf.reduce_sum(result * [[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(result, [[3, 5], [7, 8]])
    gradients = tape.gradient(total, layer.trainable_variables)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    np.testing.assert_array_equal(gradients[-1], [3, 4])
    assert GatedFusion.from_config(layer.get_config()).learned
    half = GatedFusion(learned=True, dtype="mixed_float16")
    assert half([*tf.ones((2, 1, 3), "float16"), tf.zeros((1, 2))]).dtype == tf.float16


@pytest.mark.parametrize("learned", [False, True])
def test_nothing_of_a_missing_modality_reaches_output_or_gradient(learned):
    layer = FillMissing(1, learned=learned)
    features = tf.constant([[1.0, 2.0], [np.nan, np.inf]])
    flags = tf.constant([[0.0, 1.0], [1.0, 0.0]])
    layer([features, flags])
    if learned:
        layer.vector.assign([5.0, 6.0])
    with tf.GradientTape() as tape:
        tape.watch(features)
        result = layer([features, flags])
        total = tf.reduce_sum(result * [[1.0, 2.0]])
    np.testing.assert_array_equal(result, [[1, 2], [5, 6] if learned else [0, 0]])
    variables = layer.trainable_variables
    gradients = tape.gradient(total, [features, *variables])
    np.testing.assert_array_equal(gradients[0], [[1, 2], [0, 0]])
    assert len(variables) == learned
    if learned:
        np.testing.assert_array_equal(gradients[1], [1, 2])


def test_integer_sequences_and_half_precision_keep_their_dtype():
    layer, flags = FillMissing(0, learned=False), np.array([[1.0], [0.0]], "float32")
    words = tf.constant([[3, 4], [5, 6]])
    result = layer([words, flags])
    assert result.dtype == tf.int32
    np.testing.assert_array_equal(result, [[3, 4], [0, 0]])
    half = FillMissing(0, dtype="mixed_float16")
    assert half([tf.ones((2, 3), "float16"), flags]).dtype == tf.float16
    output = layer([keras.Input((2,), dtype="int32"), keras.Input((1,))])
    assert (output.shape, output.dtype) == ((None, 2), "int32")


def test_gates_are_a_softmax_over_what_is_there():
    rng, layer = np.random.default_rng(0), GatedFusion()
    features = rng.normal(size=(3, 4, 5)).astype("float32")  # (modalities, batch, channels)
    flags = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]], "float32")
    layer([*features, flags])
    layer.bias.assign([0.5, -1.0, 0.2])
    layer.kernel.assign(3 * layer.kernel)
    scores = np.einsum("mbc,mc->bm", features, np.asarray(layer.kernel)) + np.asarray(layer.bias)
    powers = np.exp(scores) * flags
    weights = powers / np.maximum(powers.sum(axis=1, keepdims=True), 1e-9)
    expected = np.einsum("bm,mbc->bc", weights, features)
    features[flags.T == 0] = np.nan
    np.testing.assert_allclose(layer([*features, flags]), expected, rtol=1e-4, atol=1e-6)


def test_gates_refuse_features_of_unequal_width():
    with pytest.raises(ValueError, match="as many channels"):
        GatedFusion()([np.ones((2, 3)), np.ones((2, 4)), np.ones((2, 2))])

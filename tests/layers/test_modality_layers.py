"""The layers of networks with several modalities: flags, dropout, what stands in, gates."""

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from keras_mtl.layers import (
    BottleneckFusion,
    FillMissing,
    GatedFusion,
    ModalityDropout,
    PresenceFlags,
)


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


def norm_by_hand(norm, x):
    gamma, beta = (np.asarray(variable, "float64") for variable in (norm.gamma, norm.beta))
    centered = x - x.mean(-1, keepdims=True)
    return gamma * centered / np.sqrt((centered**2).mean(-1, keepdims=True) + 1e-6) + beta


def block_by_hand(block, x):
    """Returns the tokens `(tokens, channels)` of one example after a transformer layer."""
    normed, out = norm_by_hand(block.norms[0], x), np.zeros_like(x)
    names = ("query", "key", "value", "output")
    kernels = {name: getattr(block.attention, f"{name}_dense") for name in names}
    weights = {name: [np.asarray(v, "float64") for v in kernels[name].weights] for name in names}
    for head in range(block.num_heads):
        q, k, v = (normed @ weights[n][0][:, head] + weights[n][1][head] for n in names[:3])
        scores = np.exp(q @ k.T / np.sqrt(q.shape[1]))
        out += scores / scores.sum(1, keepdims=True) @ v @ weights["output"][0][head]
    x = x + out + weights["output"][1]
    wide, narrow = (
        [np.asarray(v, "float64") for v in d.weights] for d in (block.wide, block.narrow)
    )
    hidden = norm_by_hand(block.norms[1], x) @ wide[0] + wide[1]
    hidden = 0.5 * hidden * (1 + scipy.special.erf(hidden / np.sqrt(2)))
    return x + hidden @ narrow[0] + narrow[1]


def fusion_by_hand(layer, parts):
    """Returns the features of one example from the tokens of the modalities that are there."""
    shared = np.asarray(layer.tokens, "float64")
    for start in range(0, len(layer.blocks), 3):
        for m, tokens in parts.items():
            parts[m] = block_by_hand(layer.blocks[start + m], np.concatenate([tokens, shared]))
        shared = np.mean([tokens[-layer.num_tokens :] for tokens in parts.values()], axis=0)
        parts = {m: tokens[: -layer.num_tokens] for m, tokens in parts.items()}
    means = [norm_by_hand(layer.norms[m], tokens).mean(0) for m, tokens in parts.items()]
    return np.mean(means, axis=0)


@pytest.fixture(scope="module")
def bottleneck():
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=shape).astype("float32") for shape in [(4, 5, 6), (4, 6), (4, 3, 6)]]
    flags = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]], "float32")
    mask = np.array([[1, 1, 1, 0, 0]] * 4, bool)
    layer = BottleneckFusion(num_tokens=2, num_layers=3, learned=True)
    layer([*parts, flags])
    for variable in layer.trainable_variables:
        variable.assign(variable + rng.normal(0, 0.3, variable.shape))
    return layer, parts, flags, mask


def test_modalities_exchange_through_the_shared_tokens_alone(bottleneck):
    layer, parts, flags, mask = bottleneck
    clean = [part.reshape(4, -1, 6).astype("float64") for part in parts]
    clean[0] = clean[0][:, :3]  # the others are padding
    expected = [
        fusion_by_hand(layer, {m: clean[m][i] for m in range(3) if flags[i, m]}) for i in range(3)
    ]
    expected.append(np.asarray(layer.vector))
    dirty = [
        np.where(flags[:, m].reshape(4, *[1] * (p.ndim - 1)) > 0, p, np.nan)
        for m, p in enumerate(parts)
    ]
    dirty[0][:2, 3:] = 7.0
    result = layer([*dirty, flags], mask=[mask, None, None, None])
    np.testing.assert_allclose(result, expected, rtol=2e-4, atol=1e-5)


def test_no_gradient_passes_to_what_is_not_there(bottleneck):
    layer, parts, flags, mask = bottleneck
    parts = [
        tf.constant(np.where(flags[:, m].reshape(4, *[1] * (p.ndim - 1)) > 0, p, np.nan))
        for m, p in enumerate(parts)
    ]
    with tf.GradientTape() as tape:
        tape.watch(parts)
        total = tf.reduce_sum(layer([*parts, flags], mask=[mask, None, None, None]) ** 2)
    gradients = tape.gradient(total, [*parts, *layer.trainable_variables])
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    for m in range(3):
        moves = np.abs(gradients[m]).reshape(4, -1).max(1)
        np.testing.assert_array_equal(moves > 0, flags[:, m] > 0)
    assert not np.abs(gradients[0][:, 3:]).any()
    assert all(np.abs(gradient).max() > 0 for gradient in gradients[3:-1])


def test_a_bottleneck_is_saved_and_computes_in_half_precision(bottleneck):
    layer, parts, flags, _ = bottleneck
    copied = BottleneckFusion.from_config(layer.get_config())
    copied([*parts, flags])
    copied.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copied([*parts, flags]), layer([*parts, flags]))
    half = BottleneckFusion.from_config({**layer.get_config(), "dtype": "mixed_float16"})
    half([*parts, flags])
    half.set_weights(layer.get_weights())
    result = half([*parts, flags])
    assert result.dtype == tf.float16
    np.testing.assert_allclose(result, layer([*parts, flags]), atol=0.02)


@pytest.mark.parametrize(
    ("arguments", "shapes", "match"),
    [
        ({"num_tokens": 0}, [(2, 4)], "num_tokens must be 1 or more; received 0"),
        ({"num_layers": 1.5}, [(2, 4)], "num_layers must be 1 or more"),
        ({"num_heads": True}, [(2, 4)], "num_heads must be 1 or more"),
        ({"num_heads": 3}, [(2, 4)], "num_heads=3 must divide the 4 channels"),
        ({}, [(2, 4), (2, 3, 6)], "with as many channels"),
        ({}, [(2, 3, 3, 4)], "must be \\(batch, tokens, channels\\) or"),
    ],
)
def test_a_bottleneck_that_cannot_be_is_refused(arguments, shapes, match):
    with pytest.raises(ValueError, match=match):
        BottleneckFusion(**arguments)([*map(np.ones, shapes), np.ones((2, len(shapes)))])

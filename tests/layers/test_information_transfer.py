import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.layers import InformationTransfer


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def reference(layer, features, handed):
    """Computes z = w_q h1(q) + w_p h1(p), w = softmax(<h2, h3> / sqrt(k)), in float64."""
    value, key, query = (np.asarray(kernel, "float64") for kernel in layer.get_weights())
    both = [features.astype("float64"), handed.astype("float64")]
    size = features.shape[-1]
    scores = np.stack([((u @ key) * (u @ query)).sum(-1) / np.sqrt(size) for u in both])
    weights = np.exp(scores) / np.exp(scores).sum(0)
    return sum(w[..., None] * (u @ value) for w, u in zip(weights, both, strict=True))


@pytest.mark.parametrize("leading", [(7,), (2, 3), (2, 3, 2)])
def test_it_equals_the_papers_equation(leading):
    layer, features, handed = InformationTransfer(), draw(*leading, 5), draw(*leading, 5, seed=1)
    layer([features, handed])
    layer.set_weights([3 * draw(5, 5, seed=seed) for seed in (2, 3, 4)])
    expected = reference(layer, features, handed)
    np.testing.assert_allclose(layer([features, handed]), expected, rtol=1e-4, atol=1e-4)


def test_equal_features_are_taken_half_and_half():
    layer, features = InformationTransfer(), draw(4, 3)
    value = np.asarray(layer([features, features]))
    np.testing.assert_allclose(value, features @ layer.get_weights()[0], rtol=1e-4, atol=1e-6)


def test_the_three_maps_start_different():
    layer = InformationTransfer()
    layer([draw(2, 4), draw(2, 4)])
    value, key, query = layer.get_weights()
    assert min(np.abs(value - key).max(), np.abs(key - query).max()) > 0.1


def test_large_scores_in_half_precision_stay_finite():
    layer = InformationTransfer(dtype="mixed_float16")
    result = layer([100 * draw(4, 8), 100 * draw(4, 8, seed=1)])
    assert keras.backend.standardize_dtype(result.dtype) == "float16"
    assert np.isfinite(result).all()


def test_a_mask_of_either_is_passed_on():
    features, handed = tf.constant(draw(1, 2, 3)), tf.constant(draw(1, 2, 3))
    handed._keras_mask = tf.constant([[True, False]])
    np.testing.assert_array_equal(InformationTransfer()([features, handed])._keras_mask, [[1, 0]])


def test_features_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match=r"same shape.*\(None, 5\) and \(None, 4\)"):
        InformationTransfer()([keras.Input((4,)), keras.Input((5,))])

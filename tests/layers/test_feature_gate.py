import keras
import numpy as np
import pytest

from keras_mtl import layers


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("views", [1, 2, 3])
def test_features_are_scaled_by_a_mixture_of_low_rank_views(views):
    layer = layers.FeatureGate(views)
    x = np.random.default_rng(0).normal(size=(7, 6)).astype("float32")
    result = layer(x)
    down, up = np.asarray(layer.down_kernel, "float64"), np.asarray(layer.up_kernel, "float64")
    assert down.shape == (6, views, 6 // views)
    gate = np.exp(x @ np.asarray(layer.gate_kernel)) if views > 1 else np.ones((7, 1))
    gate = gate / gate.sum(-1, keepdims=True)
    view_factors = [2 * sigmoid(x @ (down[:, i] @ up[:, i])) for i in range(views)]
    factors = sum(gate[:, i : i + 1] * view_factors[i] for i in range(views))
    np.testing.assert_allclose(result, x * factors, rtol=1e-5, atol=1e-6)


def test_low_rank_kernels_start_as_wide_as_dense_ones():
    layer = layers.FeatureGate(2)
    layer.build((None, 128))
    for kernel in (layer.down_kernel, layer.up_kernel):
        std = np.asarray(kernel).std((0, 2))
        np.testing.assert_allclose(std, np.sqrt(2 / (128 + 64)), rtol=0.05)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="num_views must be at least 1"):
        layers.FeatureGate(0)
    with pytest.raises(ValueError, match="last axis of the features must be known"):
        layers.FeatureGate()(keras.Input((None,)))

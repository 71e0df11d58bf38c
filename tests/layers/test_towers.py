import keras
import numpy as np
import pytest

from keras_mtl import layers


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


@pytest.mark.parametrize("shape", [(7, 5), (2, 4, 5), (2, 3, 4, 5)])
def test_each_tower_is_a_perceptron_of_its_own(shape):
    layer = layers.Towers((6, 2), "relu", "tanh", bias_initializer="random_normal")
    features = [draw(*shape) + i for i in range(3)]
    results = layer(features)
    assert len(results) == 3
    for i, (x, result) in enumerate(zip(features, results, strict=True)):
        (first, last), (before, after) = (
            [np.asarray(variable, "float64")[i] for variable in kind]
            for kind in (layer.kernels, layer.biases)
        )
        expected = np.tanh(np.maximum(x @ first + before, 0) @ last + after)
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def test_towers_start_different_and_as_wide_as_dense_layers():
    layer = layers.Towers((96, 64), kernel_initializer=keras.initializers.HeNormal(seed=7))
    layer.build([(None, 96)] * 6)
    for kernel in layer.kernels:
        kernel = np.asarray(kernel)
        np.testing.assert_allclose(kernel.std((1, 2)), np.sqrt(2 / 96), rtol=0.05)
        assert np.abs(np.corrcoef(kernel.reshape(6, -1)) - np.eye(6)).max() < 0.1


def test_the_mask_of_each_of_the_features_is_passed_on():
    words = [np.array([[3, 1, 0]]), np.array([[2, 0, 0]])]
    embed = keras.layers.Embedding(4, 5, mask_zero=True)
    results = layers.Towers((2,))([embed(tokens) for tokens in words])
    masks = [keras.ops.convert_to_numpy(result._keras_mask).tolist() for result in results]
    assert masks == [[[True, True, False]], [[True, False, False]]]


@pytest.mark.parametrize("units", [(), (0,), (2.0,), (4, True)])
def test_units_are_checked(units):
    with pytest.raises(ValueError, match="units are positive integers"):
        layers.Towers(units)


@pytest.mark.parametrize("shapes", [[(5,), (4,)], [(None, None)]])
def test_the_features_must_have_one_known_shape(shapes):
    with pytest.raises(ValueError, match="features of one shape"):
        layers.Towers((4,))([keras.Input(shape) for shape in shapes])

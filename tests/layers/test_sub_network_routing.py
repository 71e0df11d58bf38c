import keras
import numpy as np
import pytest

from keras_mtl import layers


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def make(log_alpha, units=None, **arguments):
    log_alpha = np.array(log_alpha, "float32")
    layer = layers.SubNetworkRouting(len(log_alpha), units, seed=3, **arguments)
    layer.build((None, log_alpha.shape[1], 2))
    layer.log_alpha.assign(log_alpha)
    return layer


def draw(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype("float32")


@pytest.mark.parametrize("shape", [(7,), (2, 4)])
@pytest.mark.parametrize("units", [None, 5])
def test_outputs_are_sums_over_open_connections(shape, units):
    layer = make([[-9.0, 0.3, 9.0], [0.0, -9.0, -9.0]], units)
    u = draw(*shape, 3, 2)
    z = np.clip(sigmoid(np.asarray(layer.log_alpha, "float64")) * 1.2 - 0.1, 0, 1)
    assert (z == [[0, z[0, 1], 1], [0.5, 0, 0]]).all()
    np.testing.assert_allclose(layer.codings, z, rtol=1e-5)
    result = np.asarray(layer(u))
    for i in range(2):
        expected = 0.0
        for j in range(3):
            part = u[..., j, :].astype("float64")
            if units:
                part = part @ np.asarray(layer.kernel)[2 * j : 2 * j + 2, i]
            expected = expected + z[i, j] * part
        np.testing.assert_allclose(result[..., i, :], expected, rtol=1e-4, atol=1e-5)


def test_draws_are_closed_and_open_with_the_chances_of_the_hard_concrete_distribution():
    layer = make([[0.4]] * 4000, beta=0.8, gamma=-0.3, zeta=1.2)
    z = np.asarray(layer(np.ones((1, 1, 2), "float32"), training=True))[0, :, 0]

    # P(z = 0) = P(s <= -gamma / (zeta - gamma)), P(z = 1) = P(s >= (1 - gamma) / (zeta - gamma))
    def below(s):
        return sigmoid(0.8 * np.log(s / (1 - s)) - 0.4)

    assert abs(np.mean(z == 0) - below(0.3 / 1.5)) < 0.03
    assert abs(np.mean(z == 1) - (1 - below(1.3 / 1.5))) < 0.03
    # The penalty is the chance of an open connection.
    np.testing.assert_allclose(float(layer.losses[0]) / 0.4, 1 - below(0.3 / 1.5), rtol=1e-4)


def test_matrices_of_outputs_start_different_and_as_wide_as_dense_layers():
    layer = layers.SubNetworkRouting(4, 64)
    layer.build((None, 3, 64))
    kernels = np.moveaxis(np.asarray(layer.kernel), 1, 0)
    np.testing.assert_allclose(kernels.std((1, 2)), np.sqrt(2 / (192 + 64)), rtol=0.05)
    assert np.abs(np.corrcoef(kernels.reshape(4, -1)) - np.eye(4)).max() < 0.1


def test_an_l0_of_zero_adds_no_penalty():
    layer = make([[0.0]], l0=0.0)
    layer(draw(3, 1, 2))
    assert layer.losses == []


@pytest.mark.parametrize(
    "wrong", [{"num_outputs": 0}, {"l0": -1.0}, {"beta": 0.0}, {"gamma": 0.1}, {"zeta": 1.0}]
)
def test_arguments_are_checked(wrong):
    with pytest.raises(ValueError, match="expected num_outputs >= 1, l0 >= 0, beta > 0, gamma <"):
        layers.SubNetworkRouting(**{"num_outputs": 2} | wrong)
    with pytest.raises(ValueError, match="expected sub-networks"):
        layers.SubNetworkRouting(2)(keras.Input((None, 4)))

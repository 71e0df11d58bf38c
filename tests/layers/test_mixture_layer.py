import keras
import numpy as np
import pytest

from keras_mtl import layers


def draw(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype("float32")


@pytest.mark.parametrize("axes", [(), (3,), (3, 2)])
@pytest.mark.parametrize("per_position", [True, False])
def test_a_mixture_is_the_weighted_sum_of_experts(axes, per_position):
    gate, experts = draw(5, *(axes if per_position else ()), 4), draw(5, *axes, 4, 6)
    expected = np.zeros((5, *axes, 6))
    for i in range(4):
        weights = gate[..., i].astype("float64")
        expected += (
            weights.reshape(*weights.shape, *[1] * (len(axes) + 2 - weights.ndim))
            * (experts[..., i, :])
        )
    result = layers.Mixture()([gate, experts])
    assert tuple(result.shape) == expected.shape
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def test_a_mixture_knows_its_symbolic_shape():
    result = layers.Mixture()([keras.Input((None, 4)), keras.Input((None, 4, 6))])
    assert result.shape == (None, None, 6)


@pytest.mark.parametrize("masked", [0, 1])
def test_a_mixture_passes_on_the_mask_of_either_input(masked):
    inputs = [keras.ops.convert_to_tensor(array) for array in (draw(2, 3, 4), draw(2, 3, 4, 6))]
    inputs[masked]._keras_mask = keras.ops.array([[True, True, False], [True, False, False]])
    result = layers.Mixture()(inputs)
    np.testing.assert_array_equal(result._keras_mask, [[1, 1, 0], [1, 0, 0]])


@pytest.mark.parametrize(
    ("gate", "experts"), [((2, 3), (2, 4, 6)), ((2, 5, 3, 4), (2, 3, 4, 6)), ((2, 4), (2, 4))]
)
def test_a_gate_that_does_not_fit_is_refused(gate, experts):
    with pytest.raises(ValueError, match=r"expected a gate \(batch, \.\.\., num_experts\)"):
        layers.Mixture()([draw(*gate), draw(*experts)])


def test_several_mixtures_at_a_position():
    gates, experts = draw(5, 3, 2, 4), draw(5, 3, 4, 6)
    result = np.asarray(layers.Mixture()([gates, experts]))
    for m in range(2):
        single = layers.Mixture()([gates[:, :, m], experts])
        np.testing.assert_allclose(result[:, :, m], single, rtol=1e-5, atol=1e-6)
    symbolic = layers.Mixture()([keras.Input((None, 2, 4)), keras.Input((None, 4, 6))])
    assert symbolic.shape == (None, None, 2, 6)

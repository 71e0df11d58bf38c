import itertools

import keras
import numpy as np
import pytest

from keras_mtl import layers


def draw(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype("float32")


def value(variable):
    return np.asarray(variable, "float64")


def chances(layer, z):
    """Computes `r(z)` of every selector, code by code: `(rows, num_selected, num_experts)`."""
    bits = int(np.ceil(np.log2(layer.num_experts)))
    z = z.reshape(len(z), layer.num_selected, bits)
    cubic = 0.5 + 1.5 * z / layer.gamma - 2 * (z / layer.gamma) ** 3
    step = np.where(np.abs(z) < layer.gamma / 2, cubic, z > 0)
    codes = list(itertools.product([0, 1], repeat=bits))[: layer.num_experts]
    products = [np.prod(np.where(np.array(code) == 1, step, 1 - step), -1) for code in codes]
    return np.stack(products, -1)


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


def make(num_experts, num_selected=2, **arguments):
    layer = layers.DSelectKGate(num_experts, num_selected, **arguments)
    layer.build((None, 4))
    for variable in layer.weights:
        variable.assign(0.4 * draw(*variable.shape))
    return layer


@pytest.mark.parametrize("num_experts", [2, 3, 4, 5, 8, 9])
@pytest.mark.parametrize("gamma", [1.0, 3.0])
def test_selection_probabilities_are_products_over_the_bits_of_the_codes(num_experts, gamma):
    layer, x = make(num_experts, gamma=gamma), draw(20, 4)
    r = chances(layer, x @ value(layer.code_kernel) + value(layer.code_bias))
    w = softmax(x @ value(layer.weight_kernel) + value(layer.weight_bias))
    expected = np.einsum("bk,bke->be", w, r)
    np.testing.assert_allclose(layer(x), expected, atol=1e-6)
    if num_experts in (2, 4, 8):
        np.testing.assert_allclose(expected.sum(-1), 1, atol=1e-6)


@pytest.mark.parametrize("num_experts", [3, 4, 5])
def test_a_static_gate_is_the_same_for_all_examples_and_positions(num_experts):
    layer = make(num_experts, per_example=False)
    weights = np.asarray(layer(draw(2, 3, 4)))
    assert weights.shape == (2, 3, num_experts) and len(layer.trainable_variables) == 2
    r = chances(layer, value(layer.code_bias)[None])[0]
    expected = softmax(value(layer.weight_bias)) @ r
    np.testing.assert_allclose(weights, np.broadcast_to(expected, weights.shape), atol=1e-6)


def test_a_decided_gate_selects_at_most_k_experts():
    layer = make(5, 2, per_example=False)
    layer.code_bias.assign([1.0, -1.0, -1.0, -1.0, 1.0, 1.0])  # codes 100 and 011
    weights = np.asarray(layer(np.zeros((1, 4), "float32")))[0]
    np.testing.assert_allclose(weights[[4, 3]], softmax(value(layer.weight_bias)), atol=1e-6)
    assert (weights[:3] == 0).all()
    np.testing.assert_allclose([float(loss) for loss in layer.losses], [0], atol=1e-5)


@pytest.mark.parametrize("num_experts", [3, 4])
def test_the_penalties_are_the_entropy_and_the_distance_from_codes_of_no_expert(num_experts):
    layer, x = make(num_experts, entropy=0.3), 0.2 * draw(20, 4)
    layer(x)
    r = chances(layer, x @ value(layer.code_kernel) + value(layer.code_bias))
    with np.errstate(divide="ignore", invalid="ignore"):
        entropies = -np.nansum(r * np.log(r), (-2, -1))
    expected = 0.3 * entropies.mean()
    if num_experts == 3:
        expected += (1 / r.sum(-1) - 1).sum(-1).mean()
    np.testing.assert_allclose([float(loss) for loss in layer.losses], [expected], rtol=1e-3)


def test_an_entropy_of_zero_adds_no_penalty():
    layer = make(4, entropy=0.0)
    layer(draw(3, 4))
    assert layer.losses == []


def test_training_by_the_entropy_alone_makes_a_gate_decide():
    layer = make(3, 1, per_example=False, entropy=1.0)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.Adam(0.05), loss=lambda y, weights: 0.0 * weights)
    model.fit(draw(480, 4), draw(480, 3), batch_size=8, verbose=0)
    weights = np.sort(np.asarray(layer(draw(1, 4)))[0])
    np.testing.assert_allclose(weights, [0, 0, 1], atol=1e-3)


@pytest.mark.parametrize(
    "wrong", [{"num_experts": 1}, {"num_selected": 0}, {"gamma": 0.0}, {"entropy": -1.0}]
)
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="expected num_experts >= 2, num_selected >= 1, gamma >"):
        layers.DSelectKGate(**{"num_experts": 4} | wrong)

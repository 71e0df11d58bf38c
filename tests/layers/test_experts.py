import keras
import numpy as np
import pytest

from keras_mtl import layers


def reference(layer, features):
    """Computes each expert by itself, in float64."""
    outputs = []
    for e in range(layer.num_experts):
        x = np.asarray(features, "float64")
        for kernel, bias in zip(layer.kernels, layer.biases, strict=True):
            x = np.maximum(x @ np.asarray(kernel, "float64")[:, e] + np.asarray(bias)[e], 0)
        outputs.append(x)
    return np.stack(outputs, -2)


@pytest.mark.parametrize("units", [(6,), (6, 7), (6, 7, 5)])
@pytest.mark.parametrize("shape", [(9, 4), (3, 5, 4), (2, 3, 5, 4)])
def test_experts_equal_perceptrons_computed_one_by_one(units, shape):
    layer = layers.Experts(3, units, bias_initializer=keras.initializers.RandomNormal(seed=1))
    features = np.random.default_rng(0).normal(size=shape).astype("float32")
    result = layer(features)
    assert tuple(result.shape) == layer.compute_output_shape(shape) == (*shape[:-1], 3, units[-1])
    np.testing.assert_allclose(result, reference(layer, features), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "initializer",
    [
        "glorot_uniform",
        "he_normal",
        keras.initializers.LecunNormal(seed=7),
        keras.initializers.GlorotUniform(seed=keras.random.SeedGenerator(3)),
        keras.initializers.Orthogonal(seed=2),
    ],
    ids=["name", "he_normal", "integer seed", "generator", "orthogonal"],
)
def test_experts_start_different_and_as_wide_as_dense_layers(initializer):
    layer = layers.Experts(8, (48, 48), kernel_initializer=initializer)
    layer.build((None, 96))
    for kernel in layer.kernels:
        kernels = np.moveaxis(np.asarray(kernel), 1, 0)
        dense = keras.layers.Dense(48, kernel_initializer=initializer)
        dense.build((None, kernels.shape[1]))
        expected = np.std(np.asarray(dense.kernel))
        np.testing.assert_allclose(kernels.std((1, 2)), expected, rtol=0.08)
        correlations = np.corrcoef(kernels.reshape(8, -1)) - np.eye(8)
        assert np.abs(correlations).max() < 0.2


def test_an_integer_seed_gives_the_same_experts_again():
    kernels = []
    for _ in range(2):
        layer = layers.Experts(3, (5,), kernel_initializer=keras.initializers.HeNormal(seed=4))
        layer.build((None, 6))
        kernels.append(np.asarray(layer.kernels[0]))
    np.testing.assert_array_equal(*kernels)


def test_the_layers_of_a_seeded_expert_differ():
    layer = layers.Experts(1, (6, 6), kernel_initializer=keras.initializers.HeNormal(seed=4))
    layer.build((None, 6))
    assert np.abs(np.asarray(layer.kernels[0]) - np.asarray(layer.kernels[1])).max() > 0.1


def test_experts_come_back_from_their_config():
    layer = layers.Experts(
        3, (5, 4), "tanh", keras.initializers.HeNormal(seed=4), "ones", dtype="mixed_float16"
    )
    config = layer.get_config()
    again = layers.Experts.from_config(config)
    assert again.get_config() == config
    features = np.ones((2, 6), "float32")
    np.testing.assert_array_equal(layer(features), again(features))


def test_experts_keep_float32_variables_under_mixed_precision():
    layer = layers.Experts(3, (5,), dtype="mixed_float16")
    assert keras.backend.standardize_dtype(layer(np.ones((2, 4), "float32")).dtype) == "float16"
    assert {variable.dtype for variable in layer.variables} == {"float32"}


def test_experts_pass_a_mask_on():
    tokens = np.array([[3, 1, 0], [2, 0, 0]])
    embedded = keras.layers.Embedding(5, 4, mask_zero=True)(tokens)
    result = layers.Experts(2, (3, 3))(embedded)
    np.testing.assert_array_equal(result._keras_mask, tokens != 0)


@pytest.mark.parametrize(
    ("num_experts", "units"), [(0, (4,)), (2, ()), (2, (4, 0)), (2.0, (4,)), (True, (4,))]
)
def test_experts_refuse_sizes_that_are_not_positive_integers(num_experts, units):
    with pytest.raises(ValueError, match="positive integers, and there is at least one layer"):
        layers.Experts(num_experts, units)


def test_experts_need_a_known_last_axis():
    with pytest.raises(ValueError, match="last axis of the features must be known"):
        layers.Experts(2, (3,))(keras.Input((None,)))

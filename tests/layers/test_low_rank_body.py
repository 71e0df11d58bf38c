import keras
import numpy as np
import pytest

from keras_mtl.layers import LowRankBody, LowRankFactors
from keras_mtl.layers._kernels import find_kernels


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def wrap(body, **arguments):
    layer = LowRankBody(body, **arguments)
    layer.build()
    return layer


def factors_of(layer, rank=2):
    return [
        draw(*shape, seed=i)
        for i, (rows, columns) in enumerate(layer.shapes.values())
        for shape in ((rows, rank), (rank, columns))
    ]


def test_a_convolution_is_called_with_its_updated_kernel():
    body = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Conv2D(4, 3, name="conv")])
    layer = wrap(body, scale=0.5)
    a, b = factors_of(layer)
    x = draw(2, 6, 6, 3)
    kernel = np.asarray(body.layers[0].kernel, "float64")
    bias = np.asarray(body.layers[0].bias)
    kernel = kernel + 0.5 * (a.astype("float64") @ b).reshape(3, 3, 3, 4)
    expected = np.zeros((2, 4, 4, 4))
    for i in range(4):
        for j in range(4):
            patch = x[:, i : i + 3, j : j + 3]
            expected[:, i, j] = np.einsum("nhwc,hwco->no", patch, kernel) + bias
    np.testing.assert_allclose(layer(x, [a, b]), expected, rtol=1e-4, atol=1e-4)
    assert np.abs(expected - np.asarray(body(x))).max() > 0.1  # and has its own kernel again


def test_the_kernels_of_attention_are_split_between_input_and_output_axes():
    sequence = keras.Input((5, 8))
    outputs = keras.layers.MultiHeadAttention(2, 3, name="attention")(sequence, sequence)
    kernels = find_kernels(keras.Model(sequence, outputs))
    sizes = {name: (kernel.rows, kernel.columns) for name, kernel in kernels.items()}
    assert sizes == {
        "attention_query": (8, 6),
        "attention_key": (8, 6),
        "attention_value": (8, 6),
        "attention_attention_output": (6, 8),
    }


def test_kernels_are_found_at_any_depth_once_and_by_target():
    shared = keras.layers.Dense(3, activation=keras.layers.LeakyReLU(), name="dense")
    inner = keras.Sequential([keras.Input((5, 3)), shared, shared], name="inner")
    inputs = keras.Input((5, 3))
    x = keras.layers.Bidirectional(keras.layers.GRU(2, return_sequences=True))(inner(inputs))
    x = keras.layers.Conv1D(4, 2, name="conv")(keras.layers.DepthwiseConv1D(2)(x))
    body = keras.Model(inputs, keras.layers.BatchNormalization()(x))
    names = [*find_kernels(body)]
    assert len(names) == 6 and {"inner_dense", "conv"} <= {*names}
    assert sum("gru" in name for name in names) == 4
    assert [*find_kernels(body, ["conv"])] == ["conv"]
    assert len(find_kernels(body, ["forward_gru"])) == 2


def test_what_the_body_changes_in_a_call_is_kept():
    body = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(50, name="dense"),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dropout(0.5, seed=1),
            keras.layers.ActivityRegularization(l2=1.0),
        ]
    )
    layer = wrap(body)
    x, factors = draw(9, 4), factors_of(layer)
    first, second = (np.asarray(layer(x, factors, training=True)) for _ in range(2))
    assert np.abs((first == 0).astype(int) - (second == 0)).sum() > 10  # another mask
    mean = 0.75 * np.mean(x @ (np.asarray(body.layers[0].kernel) + factors[0] @ factors[1]), 0)
    np.testing.assert_allclose(body.layers[1].moving_mean, mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.losses, [np.sum(second**2) / 9], rtol=1e-4)


def test_a_mask_goes_as_far_as_the_body_carries_it():
    tokens = np.array([[3, 1, 0], [2, 0, 0]])
    embedded = keras.layers.Embedding(5, 4, mask_zero=True)(tokens)
    flat = [keras.layers.Dense(3)]
    pooled = [keras.layers.Dense(3), keras.layers.GlobalAveragePooling1D()]
    for layers, masked in ((flat, True), (pooled, False)):
        layer = wrap(keras.Sequential([keras.Input((None, 4)), *layers]))
        outputs = layer(embedded, factors_of(layer))
        mask = getattr(outputs, "_keras_mask", None)
        assert (mask is not None) is masked
        if masked:
            np.testing.assert_array_equal(mask, tokens != 0)
        else:
            changed = keras.ops.where(tokens[..., None] == 0, 9.0, embedded)
            changed._keras_mask = embedded._keras_mask
            np.testing.assert_allclose(layer(changed, factors_of(layer)), outputs, rtol=1e-5)


def test_a_body_that_is_a_layer_is_built_when_it_is_called():
    layer = LowRankBody(keras.layers.Dense(3))
    assert layer(keras.ops.ones((2, 4)), [np.ones((4, 1)), np.ones((1, 3))]).shape == (2, 3)


def test_kernels_stay_in_float32_under_mixed_precision():
    body = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, dtype="mixed_float16")])
    layer = wrap(body)
    a = np.full((4, 1), 1e-4, "float32")  # its square is no float16
    outputs = layer(np.full((1, 4), 100.0), [a, 1e-4 * np.ones((1, 3), "float32")])
    kernel = np.asarray(body.layers[0].kernel) + 1e-8
    assert outputs.dtype == "float16"
    np.testing.assert_allclose(outputs, [100 * kernel.sum(0)], rtol=3e-3)
    factors = LowRankFactors({"d": (4, 3)})(outputs)
    assert {keras.backend.standardize_dtype(factor.dtype) for factor in factors} == {"float32"}


def test_factors_have_no_more_columns_than_the_matrix():
    factors = LowRankFactors({"wide": (9, 3), "flat": (2, 1)}, rank=4)(np.ones((1, 1)))
    assert [tuple(factor.shape) for factor in factors] == [(9, 3), (3, 3), (2, 1), (1, 1)]


def test_equal_shapes_start_with_different_factors_of_the_scale_of_their_inputs():
    layer = LowRankFactors({"a": (400, 300), "b": (400, 300)}, rank=20)
    first, zeros, second, _ = (np.asarray(factor) for factor in layer(np.ones((1, 1))))
    assert np.abs(first - second).max() > 0.05
    np.testing.assert_allclose([first.std(), second.std()], np.sqrt(2 / 400), rtol=0.05)
    assert not zeros.any()


@pytest.mark.parametrize("rank", [0, 2.0, True])
def test_the_rank_is_checked(rank):
    with pytest.raises(ValueError, match="rank must be a positive integer"):
        LowRankFactors({"d": (4, 3)}, rank=rank)


def test_a_body_without_a_kernel_to_update_is_refused():
    body = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="dense")])
    with pytest.raises(ValueError, match=r"targets=\['query'\]; its kernels are \['dense'\]"):
        LowRankBody(body, ["query"]).build()
    with pytest.raises(TypeError, match="targets must be a list of names; put 'dense' in one"):
        LowRankBody(body, "dense")

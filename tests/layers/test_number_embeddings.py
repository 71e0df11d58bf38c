import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.layers import PeriodicEmbedding, PiecewiseLinearEncoding

BOUNDARIES = [[-1.0, 0.0, 0.5, 2.0], [0.0, 10.0], [-3.0, -2.9, 4.0]]
RNG = np.random.default_rng(0)
NUMBERS = np.concatenate(
    [RNG.normal(0, 3, (20, 3)), [[-1.0, 0.0, -3.0], [0.0, 10.0, -2.9], [0.5, 5.0, 4.0]]]
).astype("float32")


def encode_by_hand(x, boundaries, size):
    """Computes equation 1 of the paper for one number, bin by bin, in float64."""
    encoded = [0.0] * size
    bins = len(boundaries) - 1
    for t in range(1, bins + 1):
        left, right = boundaries[t - 1], boundaries[t]
        if x < left and t > 1:
            encoded[t - 1] = 0.0
        elif x >= right and t < bins:
            encoded[t - 1] = 1.0
        else:
            encoded[t - 1] = (float(x) - left) / (right - left)
    return encoded


def test_bins_below_are_one_bins_above_zero_and_the_number_lies_between():
    expected = [
        [encode_by_hand(x, BOUNDARIES[place], 3) for place, x in enumerate(row)] for row in NUMBERS
    ]
    encoded = PiecewiseLinearEncoding(BOUNDARIES)(NUMBERS)
    np.testing.assert_allclose(encoded, expected, rtol=1e-5, atol=1e-5)


def test_the_sum_of_an_encoding_counts_bins_and_rises_with_the_number():
    numbers = np.sort(RNG.normal(0, 2, 50)).astype("float32")[:, None]
    total = PiecewiseLinearEncoding(BOUNDARIES[:1])(numbers).numpy().sum((1, 2))
    assert (np.diff(total) > 0).all()
    inner = np.interp(numbers[:, 0], BOUNDARIES[0], np.arange(4.0))
    inside = (numbers[:, 0] > -1) & (numbers[:, 0] < 2)
    np.testing.assert_allclose(total[inside], inner[inside], atol=1e-5)


def test_a_linear_layer_of_the_encoding_is_any_function_that_bends_at_the_boundaries():
    boundaries = np.linspace(-2, 2, 9)
    x = RNG.uniform(-2, 2, (200, 1)).astype("float32")
    heights = RNG.normal(size=9)
    target = np.interp(x[:, 0], boundaries, heights)
    encoded = PiecewiseLinearEncoding([boundaries])(x).numpy()[:, 0]
    design = np.c_[encoded, np.ones(len(x))]
    solution = np.linalg.lstsq(design, target, rcond=None)[0]
    np.testing.assert_allclose(design @ solution, target, atol=1e-5)


@pytest.mark.parametrize(
    "boundaries", [[[0.0]], [[]], [[0.0, 0.0]], [[1.0, 0.0]], [[0.0, np.nan]], [[1.0, 1.0 + 1e-12]]]
)
def test_boundaries_that_bound_no_bin_are_refused(boundaries):
    with pytest.raises(ValueError, match="column 1 has the boundaries"):
        PiecewiseLinearEncoding([[0.0, 1.0], *boundaries])


def test_another_number_of_columns_is_refused():
    with pytest.raises(ValueError, match="expected 3 columns, one per list of boundaries"):
        PiecewiseLinearEncoding(BOUNDARIES)(keras.Input((2,)))


def test_waves_of_each_column_pass_its_own_dense_layer():
    layer = PeriodicEmbedding(units=4, num_frequencies=5, sigma=0.7)
    layer.build((None, 3))
    layer.dense.bias.assign(RNG.normal(size=(3, 4)))
    frequencies = layer.frequencies.numpy().astype("float64")
    kernel = layer.dense.kernel.numpy().astype("float64")  # waves, columns, units
    bias = layer.dense.bias.numpy()
    expected = np.zeros((len(NUMBERS), 3, 4))
    for column in range(3):
        angles = 2 * np.pi * NUMBERS[:, column, None].astype("float64") * frequencies[column]
        waves = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
        expected[:, column] = np.maximum(waves @ kernel[:, column] + bias[column], 0)
    np.testing.assert_allclose(layer(NUMBERS), expected, rtol=1e-4, atol=1e-4)


def test_frequencies_are_drawn_with_the_deviation_and_learned():
    layer = PeriodicEmbedding(num_frequencies=500, sigma=2.0)
    layer.build((None, 40))
    draws = layer.frequencies.numpy()
    assert abs(draws.std() - 2) < 0.05 and abs(draws.mean()) < 0.05
    assert len({round(float(draw), 5) for draw in draws[:, 0]}) == 40  # no two columns alike
    model = keras.Sequential([keras.Input((3,)), PeriodicEmbedding(), keras.layers.Flatten()])
    model.add(keras.layers.Dense(1))
    model.compile("sgd", "mse")
    before = model.layers[0].frequencies.numpy()
    model.fit(NUMBERS, NUMBERS.sum(1), verbose=0)
    assert not np.allclose(before, model.layers[0].frequencies.numpy())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, "units must be a positive integer; received 0"),
        ({"num_frequencies": 2.5}, "num_frequencies must be a positive integer; received 2.5"),
        ({"sigma": 0.0}, r"sigma must be a number above 0; received 0\.0"),
        ({"sigma": float("nan")}, "sigma must be a number above 0; received nan"),
        ({"sigma": True}, "sigma must be a number above 0; received True"),
    ],
)
def test_sizes_and_deviations_that_are_none_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PeriodicEmbedding(**arguments)


def make_model():
    inputs = keras.Input((3,), name="numbers")
    bins = keras.layers.Flatten()(PiecewiseLinearEncoding(BOUNDARIES)(inputs))
    waves = keras.layers.Flatten()(PeriodicEmbedding(4, sigma=0.5)(inputs))
    return keras.Model(inputs, keras.layers.Concatenate()([bins, waves]))


def test_both_are_saved_and_exported(tmp_path):
    model = make_model()
    expected = model(NUMBERS).numpy()
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        keras.models.load_model(tmp_path / "model.keras")(NUMBERS), expected
    )
    model.export(tmp_path / "served", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(loaded.serve(NUMBERS), expected, atol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_compiled_graphs_and_middle_axes_give_the_same(jit):
    layers = [PiecewiseLinearEncoding(BOUNDARIES), PeriodicEmbedding(4, sigma=0.5)]
    tall = np.stack([NUMBERS, NUMBERS[::-1]], axis=1)  # batch, time, columns
    for layer in layers:
        flat = layer(NUMBERS).numpy()
        np.testing.assert_allclose(layer(tall)[:, 0], flat, atol=1e-5)
        compiled = tf.function(layer, jit_compile=jit)
        np.testing.assert_allclose(compiled(NUMBERS), flat, atol=1e-5)
        assert layer.compute_output_shape((None, 3)) == (None, *flat.shape[1:])

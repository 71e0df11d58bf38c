import keras
import numpy as np
import pytest

from keras_mtl import layers


def draw(count, *shape):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype("float32") for _ in range(count)]


def randomize(layer):
    rng = np.random.default_rng(1)
    layer.alphas.assign(rng.normal(size=layer.alphas.shape))
    return np.asarray(layer.alphas, "float64")


@pytest.mark.parametrize("shape", [(7, 6), (2, 5, 6), (2, 3, 4, 6)])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("num_subspaces", [1, 3])
def test_features_are_mixed_as_the_paper_says(shape, per_channel, num_subspaces):
    inputs = draw(2, *shape)
    layer = layers.CrossStitch(0.5, per_channel, num_subspaces)
    layer(inputs)
    alphas = randomize(layer)
    parts = [part for features in inputs for part in np.split(features, num_subspaces, -1)]
    mixed = []
    for i in range(len(parts)):
        mixed.append(sum(alphas[i, j] * parts[j] for j in range(len(parts))))
    for i, result in enumerate(layer(inputs)):
        expected = np.concatenate(mixed[i * num_subspaces : (i + 1) * num_subspaces], -1)
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("count", "num_subspaces", "expected"),
    [
        (2, 1, [[0.9, 0.1], [0.1, 0.9]]),
        (3, 1, np.full((3, 3), 0.05) + 0.85 * np.eye(3)),
        (2, 2, np.full((4, 4), 0.1 / 3) + (0.9 - 0.1 / 3) * np.eye(4)),
        (1, 1, [[1.0]]),
    ],
)
@pytest.mark.parametrize("per_channel", [False, True])
def test_rows_start_at_alpha_and_sum_to_one(count, num_subspaces, expected, per_channel):
    layer = layers.CrossStitch(0.9, per_channel, num_subspaces)
    layer(draw(count, 3, 4))
    alphas = np.asarray(layer.alphas)
    expected = np.asarray(expected)[(..., *[None] * per_channel)]
    np.testing.assert_allclose(alphas, np.broadcast_to(expected, alphas.shape), atol=1e-6)


def test_a_stitch_comes_back_from_its_config():
    layer = layers.CrossStitch(0.7, True, 2, name="stitch", dtype="mixed_float16")
    config = layer.get_config()
    assert layers.CrossStitch.from_config(config).get_config() == config


def test_a_stitch_passes_masks_on():
    tokens = np.array([[3, 1, 0], [2, 0, 0]])
    embedded = keras.layers.Embedding(5, 4, mask_zero=True)(tokens)
    for result in layers.CrossStitch()([embedded, embedded]):
        np.testing.assert_array_equal(result._keras_mask, tokens != 0)


def test_a_stitch_knows_its_symbolic_shapes():
    results = layers.CrossStitch()([keras.Input((None, 4)), keras.Input((None, 4))])
    assert [result.shape for result in results] == [(None, None, 4)] * 2


@pytest.mark.parametrize(
    ("shapes", "num_subspaces"), [([(4,), (5,)], 1), ([(4,), (4,)], 3), ([(None,), (None,)], 1)]
)
def test_features_that_cannot_be_mixed_are_refused(shapes, num_subspaces):
    with pytest.raises(ValueError, match="stitch: expected features of equal shape"):
        layers.CrossStitch(num_subspaces=num_subspaces, name="stitch")(
            [keras.Input(shape) for shape in shapes]
        )

import keras
import numpy as np
import pytest
from maps_by_hand import convolve, draw

from keras_mtl.layers import FeaturePropagation


def affine(convolution, maps):
    kernel, bias = (np.asarray(array, "float64") for array in convolution.get_weights())
    return convolve(maps, kernel) + bias


def test_it_weighs_the_tasks_at_each_pixel_and_channel():
    maps = [draw(2, 4, 4, 3, seed=seed) for seed in range(4)]
    layer = FeaturePropagation()
    result = layer(maps)
    joined = np.concatenate(maps, -1).astype("float64")
    scores = affine(layer.widen, np.maximum(affine(layer.narrow, joined), 0))
    scores = np.exp(np.stack(np.split(scores, 4, -1)))  # task, batch, height, width, channel
    weighed = scores / scores.sum(0) * np.stack(maps)
    expected = affine(layer.reduction, np.concatenate([*weighed], -1))
    np.testing.assert_allclose(result, np.maximum(expected, 0), rtol=1e-4, atol=1e-5)
    assert layer.narrow.filters == 4 * 3 // 4


def test_one_task_needs_no_attention():
    layer = FeaturePropagation("linear")
    maps = draw(2, 4, 4, 3)
    np.testing.assert_allclose(layer([maps]), affine(layer.reduction, maps), rtol=1e-4, atol=1e-5)
    assert len(layer.trainable_variables) == 2


def test_it_reloads_with_its_weights(tmp_path):
    inputs = [keras.Input((None, None, 2)), keras.Input((None, None, 2))]
    model = keras.Model(inputs, FeaturePropagation("tanh")(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    maps = [draw(1, 4, 6, 2), draw(1, 4, 6, 2, seed=1)]
    np.testing.assert_array_equal(model(maps), again(maps))


def test_maps_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="maps must be of one shape"):
        FeaturePropagation()([keras.Input((4, 4, 2)), keras.Input((4, 4, 3))])

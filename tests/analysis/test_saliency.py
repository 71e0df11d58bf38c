"""Saliency: the definition, the sanity check of random heads, and errors."""

import keras
import numpy as np
import pytest

import keras_mtl as mtl
from keras_mtl.analysis import saliency
from keras_mtl.architectures import hard_sharing

TASKS = [mtl.Task.binary("zeta"), mtl.Task.multiclass("digit", 3)]


def build():
    inputs = keras.Input((6, 6, 2))

    def shared(features):
        features = keras.layers.Conv2D(4, 3, activation="relu")(features)
        return keras.layers.Flatten()(features)

    return hard_sharing(inputs, TASKS, shared=shared, tower=())


def draw(rows=3):
    return np.random.default_rng(0).uniform(size=(rows, 6, 6, 2)).astype("float32")


def test_maps_are_mean_sizes_of_gradients():
    images = draw()
    inputs = keras.Input((6, 6, 2))
    layer = keras.layers.Dense(1, name="zeta")
    task = mtl.Task.regression("zeta")
    network = keras.Model(inputs, {"zeta": layer(keras.layers.Flatten()(inputs))})
    maps = saliency(network, images, [task], batch_size=2)
    expected = np.abs(layer.get_weights()[0].reshape(6, 6, 2)).max(axis=-1)
    np.testing.assert_allclose(maps["zeta"], np.stack([expected] * 3), rtol=1e-5)


def test_noise_is_averaged_over_and_its_size_goes_with_the_range():
    inputs = keras.Input((6, 6, 1))
    # The gradient of |x| is 1 for either sign; that of relu(x) is the chance of noise above -x.
    total = keras.layers.Dense(1, use_bias=False, name="zeta")
    features = keras.layers.Flatten()(keras.layers.ReLU()(inputs))
    network = keras.Model(inputs, {"zeta": total(features)})
    total.set_weights([np.ones((36, 1))])
    images = np.zeros((1, 6, 6, 1))
    images[0, 0, 0], images[0, 5, 5] = 1.0, -1.0
    task = mtl.Task.regression("zeta")
    (noisy,) = saliency(network, images, [task], noise=0.05)["zeta"]
    (plain,) = saliency(network, images, [task], noise=0.0, samples=1)["zeta"]
    assert plain.sum() == 1
    assert noisy[0, 0] == 1 and noisy[5, 5] == 0
    assert 0.4 < noisy[1:5].mean() < 0.6
    assert len({*noisy.ravel().tolist()}) > 5  # sixteen draws
    np.testing.assert_array_equal(noisy, saliency(network, images, [task], noise=0.05)["zeta"][0])


def test_random_weights_of_the_head_change_the_maps_of_its_task_alone():
    network, images = build(), draw()
    before = saliency(network, images, TASKS)
    head = next(x for x in network.layers if x.name.startswith("zeta") and x.weights)
    kernel, bias = head.get_weights()
    head.set_weights([np.random.default_rng(1).normal(size=kernel.shape), bias])
    after = saliency(network, images, TASKS)
    np.testing.assert_array_equal(after["digit"], before["digit"])
    correlation = np.corrcoef(after["zeta"].ravel(), before["zeta"].ravel())[0, 1]
    assert correlation < 0.7
    head.set_weights([0 * kernel, bias])
    assert not saliency(network, images, TASKS)["zeta"].any()
    assert list(saliency(network, images, TASKS[::-1])) == ["digit", "zeta"]


def test_the_class_is_that_of_the_image_without_noise():
    network, images = build(), draw()
    maps = saliency(network, images, TASKS)["digit"]
    classes = network.predict(images, verbose=0)["digit"].argmax(axis=1)
    chosen = [saliency(network, images, TASKS, targets={"digit": i})["digit"] for i in range(3)]
    for row, chosen_class in enumerate(classes):
        np.testing.assert_allclose(maps[row], chosen[chosen_class][row], rtol=1e-5)


def test_errors():
    network = build()
    with pytest.raises(ValueError, match=r"images have shape \(3, 6, 6\)"):
        saliency(network, draw()[..., 0], TASKS)
    with pytest.raises(ValueError, match="noise and samples are -1 and 16"):
        saliency(network, draw(), TASKS, noise=-1)
    inputs = {name: keras.Input((6, 6, 2), name=name) for name in "ba"}
    features = keras.layers.Flatten()(inputs["a"] + inputs["b"])
    two = keras.Model(inputs, {task.name: task.output(features) for task in TASKS})
    with pytest.raises(ValueError, match="expected one input of images"):
        saliency(two, {"a": draw(), "b": draw()}, TASKS)

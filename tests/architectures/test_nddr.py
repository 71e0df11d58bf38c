import keras
import numpy as np
import pytest
from funnel import randomize, relu, value

from keras_mtl import Task, architectures, layers

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3)]
SIZE = 5


def build(tasks=TASKS, **arguments):
    arguments = {"body": (6, 4), "tower": ()} | arguments
    return architectures.nddr(keras.Input((SIZE,)), tasks, **arguments)


def normalized(x, layer):
    """Applies a batch normalization to `x` as outside training, in float64."""
    scale = value(layer.gamma) / np.sqrt(value(layer.moving_variance) + layer.epsilon)
    return (x - value(layer.moving_mean)) * scale + value(layer.beta)


def randomize_positive(network):
    randomize(network)
    for variable in network.variables:  # variances are not negative
        if variable.name == "moving_variance":
            variable.assign(np.abs(variable) + 0.5)


@pytest.mark.parametrize("shortcut", [False, True])
def test_the_output_equals_the_papers_equation(shortcut):
    network = build(shortcut=shortcut)
    randomize_positive(network)
    features = np.random.default_rng(0).normal(size=(7, SIZE))
    task_features, levels = [features, features], []
    for i in range(2):
        bodies = [network.get_layer(f"shared_{name}_body_{i}") for name in ("zeta", "alpha")]
        task_features = [
            relu(x @ value(body.kernel) + value(body.bias))
            for body, x in zip(bodies, task_features, strict=True)
        ]
        fuse = network.get_layer(f"shared_nddr_{i}")
        joined = np.concatenate(task_features, -1) @ value(fuse.kernel)
        task_features = np.split(relu(normalized(joined, fuse.normalization)), 2, -1)
        levels.append(task_features)
    outputs = network(features)
    for k, name in enumerate(("zeta", "alpha")):
        top = task_features[k]
        if shortcut:
            top = np.concatenate([level[k] for level in levels], -1)
            top = top @ value(network.get_layer(f"{name}_shortcut_projection").kernel)
            top = relu(normalized(top, network.get_layer(f"{name}_shortcut_normalization")))
        head = network.get_layer(f"{name}_logits")
        expected = top @ value(head.kernel) + value(head.bias)
        np.testing.assert_allclose(outputs[name], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_projections_begin_as_stitches(count):
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(6, 4)).astype("float32") for _ in range(count)]
    fuse = layers.NDDR(0.8, activation=None)
    stitch = layers.CrossStitch(0.8)
    for mixed, expected in zip(fuse(inputs), stitch(inputs), strict=True):
        np.testing.assert_allclose(mixed, expected / np.sqrt(1.001), rtol=1e-4, atol=1e-5)


def test_training_normalizes_what_is_not_masked():
    tokens = np.array([[3, 1, 0], [2, 0, 0]])
    embedded = [keras.layers.Embedding(5, 4, mask_zero=True)(tokens) for _ in range(2)]
    for result in layers.NDDR(activation=None)(embedded, training=True):
        np.testing.assert_array_equal(result._keras_mask, tokens != 0)
        there = np.asarray(result)[tokens != 0]
        np.testing.assert_allclose(there.mean(0), 0, atol=1e-5)


def test_the_weight_decay_is_in_the_loss():
    network = build(weight_decay=0.5)
    kernels = [network.get_layer(f"shared_nddr_{i}").kernel for i in range(2)]
    expected = 0.5 * sum(np.sum(value(kernel) ** 2) for kernel in kernels)
    np.testing.assert_allclose(sum(network.losses), expected, rtol=1e-5)
    assert not build(weight_decay=0.0).losses


def test_shortcuts_of_images_are_brought_to_the_size_of_the_last():
    def stage(filters):
        return lambda x: keras.layers.Conv2D(filters, 3, 2, padding="same", activation="relu")(x)

    tasks = [Task.segmentation("zeta", 3), Task.segmentation("alpha", 2)]
    network = architectures.nddr(
        keras.Input((8, 8, 3)), tasks, body=[stage(4), stage(5)], shortcut=True
    )
    assert network(np.ones((2, 8, 8, 3)))["zeta"].shape == (2, 2, 2, 3)
    assert network.get_layer("zeta_shortcut_projection").kernel.shape == (9, 5)


def test_features_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="fuse: expected features of equal shape"):
        layers.NDDR(name="fuse")([keras.Input((4,)), keras.Input((5,))])


def test_a_layer_comes_back_from_its_config():
    layer = layers.NDDR(0.7, 0.1, 0.5, "tanh", name="fuse", dtype="mixed_float16")
    config = layer.get_config()
    assert layers.NDDR.from_config(config).get_config() == config

import keras
import numpy as np
import pytest
from expert_references import (
    dense,
    draw,
    linear,
    logits,
    normalize,
    randomize,
    relu,
    sigmoid,
)

from keras_mtl import Task, architectures

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3)]
IMAGES = [Task.segmentation("zeta", 3), Task.segmentation("alpha", 2)]


def halve(features):
    return keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(features)


def enlarge(features):
    return keras.layers.Conv2DTranspose(4, 2, strides=2)(features)


def attention(network, task, j, read, p):
    """Computes a * p with a = sigmoid(norm(W_h relu(norm(W_g read))))."""
    name = f"{task}_attention_{j}"
    x = dense(network, f"{name}_g", np.concatenate(read, -1), linear)
    x = relu(normalize(network.get_layer(f"{name}_g_norm"), x))
    x = dense(network, f"{name}_h", x, linear)
    return sigmoid(normalize(network.get_layer(f"{name}_h_norm"), x)) * p


def test_the_output_equals_the_papers_equation():
    network = architectures.mtan(keras.Input((5,)), TASKS, body=(6, 4), tower=(5,))
    randomize(network)
    x = draw(7, 5)
    outputs = network(x)
    low = dense(network, "shared_body_0", x)
    high = dense(network, "shared_body_1", low)
    for task in TASKS:
        below = attention(network, task.name, 0, [low], low)
        below = dense(network, "shared_extractor_0", below, linear)
        below = relu(normalize(network.get_layer("shared_extractor_0_norm"), below))
        top = attention(network, task.name, 1, [high, below], high)
        expected = logits(network, task.name, top)
        np.testing.assert_allclose(outputs[task.name], expected, rtol=1e-4, atol=1e-5)


def test_each_task_has_attention_of_its_own():
    network = architectures.mtan(keras.Input((5,)), TASKS, body=(6,))
    kernels = [np.asarray(network.get_layer(f"{t.name}_attention_0_g").kernel) for t in TASKS]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.1


def test_attention_follows_a_body_that_shrinks_and_grows():
    network = architectures.mtan(
        keras.Input((8, 6, 3)), IMAGES, body=[halve, halve, enlarge], tower=()
    )
    shapes = [network.get_layer(f"zeta_attention_{j}").output.shape for j in range(3)]
    assert shapes == [(None, 4, 3, 4), (None, 2, 2, 4), (None, 4, 4, 4)]
    assert isinstance(network.get_layer("shared_extractor_0"), keras.layers.Conv2D)
    assert network(draw(2, 8, 6, 3))["alpha"].shape == (2, 4, 4, 2)


def test_layers_of_a_model_are_attended_to_by_name():
    inputs = keras.Input((8, 8, 3))
    u = keras.layers.Conv2D(4, 3, padding="same", name="first")(inputs)
    p = keras.layers.Conv2D(5, 3, padding="same", name="second")(u)
    top = keras.layers.Conv2D(6, 3, strides=2, padding="same", name="third")(p)
    body = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(top), name="pretrained")
    network = architectures.mtan(
        keras.Input((8, 8, 3)), IMAGES, body=body, attend=[("first", "second"), "third"], tower=()
    )
    assert network.get_layer("zeta_attention_0_g").kernel.shape == (4, 5)
    assert network.get_layer("zeta_attention_1").output.shape == (None, 4, 4, 6)
    kernel = body.get_layer("first").kernel
    assert any(kernel is variable for variable in network.trainable_variables)
    images = draw(2, 8, 8, 3)
    gate = keras.Model(network.input, network.get_layer("alpha_attention_0_product").output)
    mask = keras.Model(network.input, network.get_layer("alpha_attention_0").output)
    features = keras.Model(inputs, p)(images)
    np.testing.assert_allclose(gate(images), mask(images) * features, rtol=1e-5, atol=1e-6)


def test_sequences_keep_their_masks():
    words = keras.Input((None,), dtype="int32")
    features = keras.layers.Embedding(9, 5, mask_zero=True)(words)
    tasks = [Task.tagging("zeta", 3), Task.tagging("alpha", 2)]
    network = architectures.mtan(features, tasks, body=(6, 4))
    tokens = np.array([[3, 1, 0], [2, 0, 0]])
    np.testing.assert_array_equal(network(tokens)["alpha"]._keras_mask, tokens != 0)


def test_sizes_that_do_not_fit_are_refused():
    def crop(features):
        return keras.layers.Cropping2D(((1, 0), (0, 0)))(features)

    with pytest.raises(ValueError, match=r"zeta_resized_1: features of the shape .* cannot be"):
        architectures.mtan(keras.Input((8, 8, 3)), IMAGES, body=[halve, crop])
    with pytest.raises(ValueError, match="sizes must be known"):
        architectures.mtan(
            keras.Input((8, None, 3)), IMAGES, body=[halve, lambda x: keras.layers.ReLU()(x)[:, 1:]]
        )


@pytest.mark.parametrize(
    ("attend", "message"),
    [(["fifth"], r"has no layer 'fifth'; it has \['dense'"), ([], "attend is empty")],
)
def test_the_names_of_layers_are_checked(attend, message):
    body = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, name="dense")])
    with pytest.raises(ValueError, match=message):
        architectures.mtan(keras.Input((5,)), TASKS, body=body, attend=attend)
    with pytest.raises(TypeError, match="attend names layers of a body that is one functional"):
        architectures.mtan(keras.Input((5,)), TASKS, body=(4,), attend=["dense"])

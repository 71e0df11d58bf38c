import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import Task, architectures
from keras_mtl.data import augment, image_decoder, with_preprocessing

LAYERS = keras.layers
RNG = np.random.default_rng(0)
TASKS = [
    Task.segmentation("parts", 200),
    Task.binary("cat"),
    Task("depth", head=lambda x: x, loss="mse"),
]


def pictures(rows=6, size=9):
    """Returns images in which the value of every pixel is its own label, and labels and weights."""
    parts = RNG.integers(1, 200, (rows, size, size))
    depth = np.stack([parts * 2, parts * 3], -1).astype("float32")
    y = {"parts": parts, "cat": np.arange(rows) % 2, "depth": depth}
    w = {"parts": (parts % 2).astype("float32")}
    return parts[..., None].astype("float32"), y, w


def augmented(layers, repeat=1, key=None):
    x, y, w = pictures()
    x = x if key is None else {key: x, "age": np.arange(6.0)}
    dataset = tf.data.Dataset.from_tensor_slices((x, y, w)).batch(3).repeat(repeat)
    changed = augment(dataset, layers, TASKS, key=key)
    assert changed.cardinality() == dataset.cardinality()
    elements = [keras.tree.map_structure(np.asarray, element) for element in changed]
    return keras.tree.map_structure(lambda *leaves: np.concatenate(leaves), *elements), (x, y, w)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: LAYERS.RandomFlip("horizontal_and_vertical", seed=1),
        lambda: LAYERS.RandomTranslation(0.4, 0.4, interpolation="nearest", seed=1),
        lambda: LAYERS.RandomRotation(0.5, interpolation="nearest", seed=1),
        lambda: LAYERS.RandomZoom(0.4, interpolation="nearest", seed=1),
        lambda: LAYERS.RandomCrop(5, 4, seed=1),
        lambda: LAYERS.RandomTranslation(
            0.4, 0.4, fill_mode="constant", interpolation="nearest", seed=1
        ),
    ],
    ids=["flip", "translation", "rotation", "zoom", "crop", "constant"],
)
def test_labels_and_weights_of_pixels_move_with_the_image(layer):
    (x, y, w), (before, *_) = augmented([layer()], repeat=2)
    assert x.shape[:3] == y["parts"].shape == w["parts"].shape
    assert x.shape != before.shape or not np.array_equal(x[:6], before)
    np.testing.assert_array_equal(y["parts"], x[..., 0])
    np.testing.assert_array_equal(y["depth"], np.stack([x[..., 0] * 2, x[..., 0] * 3], -1))
    np.testing.assert_array_equal(w["parts"], y["parts"] % 2)
    inside = y["parts"] > 0  # beyond the edge of an image there is no label and no weight
    np.testing.assert_array_equal(w["depth"], np.stack([inside, inside], -1))
    assert y["parts"].dtype == np.int64
    assert y["cat"].tolist() == [0, 1] * 6


def test_colors_change_in_the_image_alone():
    (x, y, w), (before, labels, weights) = augmented([LAYERS.RandomBrightness(0.5, seed=1)])
    assert not np.allclose(x, before)
    np.testing.assert_array_equal(y["parts"], labels["parts"])
    np.testing.assert_array_equal(w["parts"], weights["parts"])


def test_layers_follow_each_other_and_images_may_be_one_of_several_inputs():
    layers = [LAYERS.RandomFlip(seed=1), LAYERS.RandomCrop(4, 4, seed=2)]
    (x, y, _), _ = augmented(layers, key="image")
    np.testing.assert_array_equal(y["parts"], x["image"][..., 0])
    assert x["age"].tolist() == [0, 1, 2, 3, 4, 5]


def test_draws_are_fixed_by_a_seed_and_differ_between_batches():
    images = tf.zeros((8, 6, 6, 1)) + tf.reshape(tf.range(6.0), (6, 1, 1))
    dataset = tf.data.Dataset.from_tensors((images, {"cat": [0] * 8})).repeat(4)

    def run():
        layers = [LAYERS.RandomFlip(seed=5)]
        return [np.asarray(x) for x, *_ in augment(dataset, layers, TASKS[1:2])]

    one, two = run(), run()
    np.testing.assert_array_equal(one, two)
    assert any(not np.array_equal(one[0], other) for other in one[1:])


def test_what_are_no_images_is_refused():
    flat = tf.data.Dataset.from_tensors((tf.zeros((2, 3)), {"cat": [0, 1]}))
    with pytest.raises(TypeError, match="expected batches of images"):
        augment(flat, [], TASKS[1:2])
    images = tf.data.Dataset.from_tensors((tf.zeros((2, 3, 3, 1)), {"dog": [0, 1]}))
    with pytest.raises(ValueError, match="no label for task 'cat'"):
        augment(images, [], TASKS[1:2])


def test_a_saved_model_takes_the_bytes_of_image_files(tmp_path):
    pixels = RNG.integers(0, 256, (2, 4, 5, 3)).astype("uint8")
    files = [tf.io.encode_png(image).numpy() for image in pixels]
    decoder = image_decoder(4, 5)
    np.testing.assert_array_equal(decoder(tf.constant(files)), pixels)
    small = image_decoder(2, 2, channels=1)(tf.constant(files))
    assert small.shape == (2, 2, 2, 1)
    features = keras.layers.Flatten()(keras.Input((4, 5, 3)))
    network = architectures.hard_sharing(features, TASKS[1:2], shared=(3,), tower=(2,))
    served = with_preprocessing(decoder, network)
    served.save(tmp_path / "served.keras")
    loaded = keras.models.load_model(tmp_path / "served.keras")
    expected = served(tf.constant(files))["cat"]
    np.testing.assert_allclose(loaded(tf.constant(files))["cat"], expected, atol=1e-6)
    served.export(tmp_path / "served", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(loaded.serve(tf.constant(files))["cat"], expected, atol=1e-5)

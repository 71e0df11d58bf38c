"""Networks of this package, exported and served by both runtimes, answer as Keras does."""

import base64
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from running_server import serve, wait_for

import keras_mtl as mtl
from keras_mtl.serving import Client, Limits, Predictor, Settings
from keras_mtl.serving._versions._keeper import Keeper

TABLE = {
    "zone": np.array(["north", "south", "east"] * 20),
    "age": np.arange(60.0),
    "years": np.where(np.arange(60) % 7, np.arange(60.0), np.nan),
}
ROWS = {
    "zone": ["south", "never seen", "east"],
    "age": [3.0, 59.0, 0.0],
    "years": [None, 1.0, 8.5],
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Returns the folder of a model with strings and missing numbers, and its predictions."""
    folder = tmp_path_factory.mktemp("models") / "shop"
    keras.utils.set_random_seed(2)
    tasks = [mtl.Task.binary("visit", threshold=0.5), mtl.Task.regression("basket")]
    encoder = mtl.data.tabular_encoder(TABLE, missing="median")
    network = mtl.architectures.hard_sharing(
        keras.Input(encoder.output_shape[1:]), tasks, shared=(8,), tower=(4,)
    )
    for variable in network.trainable_variables:
        variable.assign(np.random.default_rng(3).normal(size=variable.shape))
    served = mtl.data.with_preprocessing(encoder, network)
    mtl.export.saved_model(served, tasks, folder / "1")
    columns = {
        "zone": tf.constant(ROWS["zone"]),
        "age": tf.constant(ROWS["age"]),
        "years": tf.constant(np.array(ROWS["years"], "float32")),
    }
    return folder, {name: np.asarray(y) for name, y in served(columns).items()}


def check(folder, expected, kind, **settings):
    settings = Settings(name="shop", poll_seconds=0.05, **settings)
    with serve(folder, settings) as server:
        assert server.application.keeper.current.kind == kind
        for protocol in ("v1", "v2"):
            with Client(server.url, "shop", protocol=protocol) as client:
                answers = client.predict(ROWS)
                np.testing.assert_allclose(answers["basket"], expected["basket"], atol=1e-5)
                np.testing.assert_allclose(answers["visit"], expected["visit"], atol=1e-6)
                decided = (expected["visit"] > 0.5).astype(int)
                np.testing.assert_array_equal(answers["visit_decision"], decided)
                alone = client.predict(ROWS, "basket")
                np.testing.assert_allclose(alone["basket"], expected["basket"], atol=1e-5)


def test_a_network_with_strings_and_missing_numbers_is_served_by_tensorflow(exported):
    folder, expected = exported
    assert np.ptp(expected["visit"]) > 0.05
    check(folder, expected, "tensorflow", tensorflow=True)


def test_a_version_without_onnx_is_refused_unless_tensorflow_is_asked_for(exported):
    keeper = Keeper(exported[0])
    keeper.look()
    assert keeper.current is None
    assert "has no model.onnx" in keeper.refused[1]
    assert "--tensorflow" in keeper.refused[1]


@pytest.mark.slow
def test_the_same_network_is_served_by_onnx_runtime(exported, tmp_path):
    folder, expected = exported
    version = tmp_path / "shop" / "1"
    shutil.copytree(folder / "1", version)
    mtl.export.onnx(version)
    check(tmp_path / "shop", expected, "onnx")
    answer = Predictor(version).predict(ROWS)
    for name, values in expected.items():
        np.testing.assert_allclose(answer[name], values, atol=1e-5)


def test_a_savedmodel_that_reads_files_is_refused_before_it_is_loaded(tmp_path, monkeypatch):
    tasks = [mtl.Task.binary("visit")]
    x = keras.Input((), name="path", dtype="string")
    network = keras.Model(x, {"visit": tasks[0].output(ReadsFiles()(x))})
    (tmp_path / "file").write_text("12")
    examples = {"path": np.array([str(tmp_path / "file")], object)}
    mtl.export.saved_model(network, tasks, tmp_path / "shop" / "1", examples=examples)
    monkeypatch.setattr(tf.saved_model, "load", None)
    settings = Settings(name="shop", tensorflow=True)
    with serve(tmp_path / "shop", settings, is_ready=False) as server:
        wait_for(lambda: server.application.keeper.refused)
        assert "ReadFile" in server.application.keeper.refused[1]


class ReadsFiles(keras.layers.Layer):
    """Reads the files that a request names: what a server must never run."""

    def call(self, paths):
        texts = tf.map_fn(tf.io.read_file, paths)
        return tf.strings.to_number(texts)[:, None]

    def compute_output_spec(self, paths):
        return keras.KerasTensor((None, 1))


def test_bytes_that_are_no_text_reach_a_network_that_decodes_images(tmp_path):
    pixels = np.random.default_rng(4).integers(0, 255, (2, 8, 8, 3), np.uint8)
    images = [tf.io.encode_png(image).numpy() for image in pixels]
    tasks = [mtl.Task.binary("cat")]
    decoder = mtl.data.image_decoder(8, 8)
    image = keras.Input((8, 8, 3))
    features = keras.layers.GlobalAveragePooling2D()(image)
    head = keras.Model(image, {"cat": tasks[0].output(features)})
    served = mtl.data.with_preprocessing(decoder, head)
    mtl.export.saved_model(served, tasks, tmp_path / "pets" / "1")
    expected = np.asarray(served(tf.constant(images))["cat"])
    settings, limits = Settings(name="pets", tensorflow=True), Limits(string_bytes=1 << 16)
    with serve(tmp_path / "pets", settings, limits) as server:
        rows = [{"b64": base64.b64encode(image).decode()} for image in images]
        status, content = server.ask("/v1/models/pets:predict", {"instances": rows})
        assert status == 200
        np.testing.assert_allclose(content["predictions"], expected, atol=1e-6)
        rows = [{"b64": base64.b64encode(b"\xff\xd8 broken").decode()}]
        status, content = server.ask("/v1/models/pets:predict", {"instances": rows})
        assert (status, content["error"]) == (
            400,
            "the model cannot read a value of this request.",
        )

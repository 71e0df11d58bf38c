"""The files beside an export say what it answers, as the network and another reader see it."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.export import saved_model
from keras_mtl.export._beside._interface import InputSpec, SignatureSpec, read_interface
from keras_mtl.export._beside._manifest import check_manifest
from keras_mtl.export._beside._recorded import read_recorded

layers = keras.layers


def make_shop():
    """Builds four kinds of tasks on a word, codes and numbers; only `age` reads `when`."""
    tasks = [
        mtl.Task.binary("z", threshold=0.3),
        mtl.Task.regression("age", scale=mtl.Scale("standard", [40.0], [10.0])),
        mtl.Task.multilabel("kinds", 2, threshold=(0.5, 0.25)),
        mtl.Task.multiclass("b", 3),
    ]
    inputs = {
        "price": keras.Input((2,), name="price"),
        "city": keras.Input((1,), name="city", dtype="string"),
        "shop": keras.Input((1,), name="shop", dtype="int64"),
        "when": keras.Input((), name="when"),
    }
    encoded = [
        inputs["price"],
        layers.StringLookup(vocabulary=["Rome", "Oslo"], output_mode="one_hot")(inputs["city"]),
        layers.IntegerLookup(vocabulary=[70, 71], output_mode="one_hot")(inputs["shop"]),
    ]
    shared = layers.Dense(4, "relu")(layers.Concatenate()(encoded))
    timed = layers.Concatenate()([shared, layers.Reshape((1,))(inputs["when"])])
    outputs = {task.name: task.output(timed if task.name == "age" else shared) for task in tasks}
    return keras.Model(inputs, outputs), tasks


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    keras.utils.set_random_seed(0)
    network, tasks = make_shop()
    return network, saved_model(network, tasks, tmp_path_factory.mktemp("shop") / "1")


def test_outputs_json_describes_inputs_signatures_and_tasks(shop):
    interface = read_interface(shop[1])
    assert interface.inputs["price"] == InputSpec("float32", (None, 2), False)
    assert interface.inputs["city"] == InputSpec("string", (None, 1), True)
    assert interface.inputs["shop"] == InputSpec("int64", (None, 1), True)
    assert interface.inputs["when"] == InputSpec("float32", (None,), False)
    assert list(interface.tasks) == ["z", "age", "kinds", "b"]
    assert [task.kind for task in interface.tasks.values()] == [
        "yes or no",
        "number",
        "yes or no",
        "class",
    ]
    z, age, kinds, b = interface.tasks.values()
    assert (z.threshold, z.decision, z.shape) == (0.3, "z_decision", (None, 1))
    assert (kinds.threshold, kinds.decision) == ((0.5, 0.25), "kinds_decision")
    assert b.threshold is b.decision is b.scale is None and b.shape == (None, 3)
    assert age.scale == {"method": "standard", "center": [40.0], "spread": [10.0]}
    three = ("price", "city", "shop")
    assert interface.signatures["z"] == SignatureSpec(three, ("z", "z_decision"))
    assert set(interface.signatures["age"].inputs) == {*three, "when"}
    # The file is plain JSON for readers in other languages.
    content = json.loads((shop[1] / "outputs.json").read_text())
    assert content["format"] == 1 and content["inputs"]["price"]["shape"] == [None, 2]


def test_signatures_of_the_file_are_those_of_the_model(shop):
    interface = read_interface(shop[1])
    signatures = tf.saved_model.load(shop[1]).signatures
    assert set(signatures) == set(interface.signatures)
    for name, signature in signatures.items():
        described = interface.signatures[name]
        assert set(signature.structured_input_signature[1]) == set(described.inputs)
        assert set(signature.structured_outputs) == set(described.outputs)
        for key, spec in signature.structured_input_signature[1].items():
            expected = interface.inputs[key]
            assert (spec.dtype.name, tuple(spec.shape)) == (expected.dtype, expected.shape)
        for task in interface.tasks.keys() & signature.structured_outputs.keys():
            spec, expected = signature.structured_outputs[task], interface.tasks[task]
            assert (spec.dtype.name, tuple(spec.shape)) == (expected.dtype, expected.shape)


def test_a_loaded_version_gives_the_recorded_answers(shop):
    network, folder = shop
    recorded = read_recorded(folder)
    rows = recorded.arrays(read_interface(folder).inputs)
    assert {"Rome", "Oslo", "an unseen word"} <= set(rows["city"].ravel())
    assert {70, 71} == set(rows["shop"].ravel())
    tensors = {name: tf.constant(values) for name, values in rows.items()}
    expected = network(tensors)  # by another road: no graph, no file
    assert recorded.check(expected) < 1e-6
    assert (
        recorded.check(tf.saved_model.load(folder).signatures["serving_default"](**tensors)) < 1e-6
    )
    assert min(np.ptp(recorded.outputs[name], axis=0).max() for name in expected) > 1e-3
    yes = np.array(recorded.outputs["z"]) > 0.3
    assert np.array_equal(recorded.outputs["z_decision"], yes)


def test_the_manifest_covers_all_that_was_written(shop):
    manifest = check_manifest(shop[1])
    files = {str(path.relative_to(shop[1])) for path in shop[1].rglob("*") if path.is_file()}
    assert set(manifest.files) == files - {"manifest.json"}
    assert {"saved_model.pb", "outputs.json", "recorded.json"} <= files


def network_on(inputs, features):
    task = mtl.Task.regression("z")
    return keras.Model(inputs, {"z": task.output(layers.Dense(4)(features))}), [task]


def test_rows_of_a_user_are_recorded(tmp_path):
    x = keras.Input((2,), name="x")
    network, tasks = network_on(x, x)
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "float32")
    folder = saved_model(network, tasks, tmp_path / "1", examples=rows)
    recorded = read_recorded(folder)
    assert recorded.inputs == {"x": rows.tolist()}
    assert recorded.check(network(rows)) < 1e-6
    with pytest.raises(ValueError, match=r"exactly the inputs \['x'\]; received \['y'\]"):
        saved_model(network, tasks, tmp_path / "2", examples={"y": rows})
    with pytest.raises(ValueError, match=r"as many rows of each input; received \{'x': 0\}"):
        saved_model(network, tasks, tmp_path / "2", examples={"x": rows[:0]})
    with pytest.raises(ValueError, match=r"'x' must have the shape \(None, 2\); received \(3, 3\)"):
        saved_model(network, tasks, tmp_path / "2", examples={"x": np.ones((3, 3))})
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_rows_are_made_up_for_bytes_of_images_and_texts_of_any_length(tmp_path):
    decoder = mtl.data.image_decoder(4, 4)
    tokens = keras.Input((None,), name="tokens", dtype="int32")
    text = layers.GlobalAveragePooling1D()(layers.Embedding(3, 2)(tokens))
    features = layers.Concatenate()([layers.Flatten()(decoder.output), text])
    network, tasks = network_on({"image_bytes": decoder.input, "tokens": tokens}, features)
    recorded = read_recorded(saved_model(network, tasks, tmp_path / "1"))
    specs = {
        "image_bytes": InputSpec("string", (None,), True),
        "tokens": InputSpec("int32", (None, None), True),
    }
    rows = {name: tf.constant(values) for name, values in recorded.arrays(specs).items()}
    assert rows["image_bytes"].numpy()[0].startswith(b"\x89PNG") and rows["tokens"].shape[1] > 1
    assert recorded.check(network(rows)) < 1e-6


def test_a_network_that_takes_no_row_made_up_needs_rows_of_a_user(tmp_path):
    days = keras.Input((1,), name="days", dtype="int64")
    codes = layers.IntegerLookup(vocabulary=[5, 6], num_oov_indices=0)  # refuses all others
    features = layers.Embedding(3, 2)(codes(days - 3))
    network, tasks = network_on(days, layers.Flatten()(features))
    with pytest.raises(ValueError, match=r"examples=\{input name: values\}.*error was: [^<G]"):
        saved_model(network, tasks, tmp_path / "1")
    assert list(tmp_path.iterdir()) == []
    saved_model(network, tasks, tmp_path / "1", examples=np.array([[8], [9]]))


def test_columns_that_the_network_fills_are_named(tmp_path):
    x = keras.Input((3,), name="x")
    filled = keras.ops.concatenate([x[:, :1], keras.ops.nan_to_num(x[:, 1:])], -1)
    network, tasks = network_on(x, filled)
    folder = saved_model(network, tasks, tmp_path / "1")
    assert read_interface(folder).inputs["x"].filled == (1, 2)
    folder = saved_model(network, tasks, tmp_path / "2", check_inputs=False)
    assert read_interface(folder).inputs["x"].filled is None


def test_other_formats_are_in_a_version_when_it_appears(tmp_path):
    x = keras.Input((2,), name="x")
    network, tasks = network_on(x, x)
    folder = saved_model(network, tasks, tmp_path / "1", formats=["onnx"])
    assert {"model.onnx", "saved_model.pb"} < check_manifest(folder).files.keys()
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    for wrong in ("onnx", ["onnx", "onnx"], ["pmml"]):
        with pytest.raises(ValueError, match=r"a list of \['onnx', 'litert'\], each at most once"):
            saved_model(network, tasks, tmp_path / "2", formats=wrong)


def test_a_format_that_fails_leaves_no_version(tmp_path, monkeypatch):
    from keras_mtl.export import _onnx

    def fail(folder):
        assert (folder / "manifest.json").exists() and folder.name != "1"
        raise ValueError("cannot be expressed")

    monkeypatch.setattr(_onnx, "onnx", fail)
    x = keras.Input((2,), name="x")
    with pytest.raises(ValueError, match="cannot be expressed"):
        saved_model(*network_on(x, x), tmp_path / "1", formats=["onnx"])
    assert list(tmp_path.iterdir()) == []

"""A LiteRT file answers as the SavedModel does, by each signature, or is not written."""

import keras
import numpy as np
import pytest
from exported_shop import export_shop, predict, shop_rows

import keras_mtl as mtl
from keras_mtl.export import _litert as module
from keras_mtl.export._beside._manifest import check_manifest
from keras_mtl.export._formats._run_litert import LitertRunner


def rows_without_codes():
    return {name: values for name, values in shop_rows().items() if name != "ward"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    network, folder = export_shop(tmp_path_factory.mktemp("litert"), has_codes=False)
    return network, folder, mtl.export.litert(folder)


def test_each_signature_answers_as_keras_does_and_asks_for_its_own_inputs(shop):
    network, folder, file = shop
    assert file == folder / "model.tflite"
    assert "model.tflite" in check_manifest(folder).files
    runner, rows = LitertRunner(file), rows_without_codes()
    assert set(runner.signatures) == {"serving_default", "z", "a", "t-1", "m"}
    assert "hour" in runner.signatures["z"]["inputs"]
    assert "hour" not in runner.signatures["a"]["inputs"]
    together = runner.answer(rows)
    assert set(together) == {"z", "z_decision", "a", "t-1", "m"}
    for task, expected in predict(network, rows).items():
        np.testing.assert_allclose(together[task], expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(runner.answer(rows, task)[task], expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(together["z_decision"], together["z"] > 0.4)


def kernel_of(network, name):
    """Returns a kernel as LiteRT holds it."""
    kernel = next(v for v in network.trainable_variables if v.path.startswith(f"{name}/kernel"))
    return kernel.numpy().T.tobytes()


def test_all_signatures_read_one_copy_of_the_weights(shop):
    network, _, file = shop
    for name in ("a_logits", "z_logits", "hidden_1"):
        assert file.read_bytes().count(kernel_of(network, name)) == 1


def test_rows_that_are_not_finite_are_answered_with_nan_and_others_as_ever(shop):
    runner, rows = LitertRunner(shop[2]), rows_without_codes()
    expected = runner.answer(rows)["t-1"]
    rows["price"][1, 2], rows["age"][4, 0] = np.nan, np.inf
    answer = runner.answer(rows)["t-1"]
    assert np.flatnonzero(np.isnan(answer).any(1)).tolist() == [1, 4]
    np.testing.assert_array_equal(np.delete(answer, [1, 4], 0), np.delete(expected, [1, 4], 0))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quantize", "least", "most"), [("float16", 1e-5, 2e-3), ("int8", 1e-4, 0.02)]
)
def test_quantized_files_move_answers_a_little_and_no_row_depends_on_another(
    shop, quantize, least, most
):
    small = mtl.export.litert(shop[1], quantize=quantize)
    assert small.name == f"model.{quantize}.tflite"
    runner, rows = LitertRunner(small), rows_without_codes()
    together, exact = runner.answer(rows), LitertRunner(shop[2]).answer(rows)
    assert least < np.abs(together["t-1"] - exact["t-1"]).max() < most
    rows["price"][1] = np.inf
    spoiled = runner.answer(rows)["a"]
    np.testing.assert_array_equal(spoiled[2:], together["a"][2:])


def test_a_file_that_answers_otherwise_is_refused_by_the_name_of_the_task(shop, monkeypatch):
    network, folder, file = shop
    kernel = kernel_of(network, "a_logits")
    changed = (np.frombuffer(kernel, "float32") + np.float32(1e-3)).tobytes()
    content = file.read_bytes()
    monkeypatch.setattr(module, "convert", lambda *args: content.replace(kernel, changed))
    names = sorted(path.name for path in folder.iterdir())
    with pytest.raises(ValueError, match=r"task 'a' is moved: output 'a' differs by 0\.0"):
        mtl.export.litert(folder)
    assert file.read_bytes() == content
    assert sorted(path.name for path in folder.iterdir()) == names


def export_one(folder, inputs, features):
    task = mtl.Task.regression("z")
    return mtl.export.saved_model(keras.Model(inputs, {"z": task.output(features)}), [task], folder)


def test_a_recurrent_loop_is_refused_before_conversion(tmp_path, monkeypatch):
    series = keras.Input((4, 2), name="series")
    folder = export_one(tmp_path / "1", series, keras.layers.LSTM(3)(series))
    monkeypatch.setattr(module, "convert", None)
    with pytest.raises(
        ValueError, match=r"unroll=True in that layer.*or use export.onnx\(folder\)"
    ):
        mtl.export.litert(folder)


@pytest.mark.slow
def test_an_unrolled_recurrent_layer_is_converted(tmp_path):
    series = keras.Input((4, 2), name="series")
    lstm = keras.layers.LSTM(3, unroll=True)
    assert mtl.export.litert(export_one(tmp_path / "1", series, lstm(series))).is_file()


def test_a_table_of_codes_is_refused_before_conversion(tmp_path, monkeypatch):
    ward = keras.Input((1,), name="ward", dtype="int64")
    codes = keras.layers.IntegerLookup(vocabulary=[3, 8], output_mode="one_hot")(ward)
    folder = export_one(tmp_path / "1", ward, codes)
    monkeypatch.setattr(module, "convert", None)
    with pytest.raises(ValueError, match=r"IntegerLookup, or categorical=.*column .* as text"):
        mtl.export.litert(folder)


@pytest.mark.parametrize(
    "mode", ["int4", *(pytest.param(m, marks=pytest.mark.slow) for m in ("int8", "float8"))]
)
def test_a_network_that_keras_has_quantized_is_refused_before_conversion(
    tmp_path, mode, monkeypatch
):
    features, dense = keras.Input((4,), name="x"), keras.layers.Dense(8)
    hidden = dense(features)
    dense.quantize(mode)
    folder = export_one(tmp_path / "1", features, dense(features) if mode == "float8" else hidden)
    monkeypatch.setattr(module, "convert", None)
    with pytest.raises(ValueError, match="Quantize after the conversion, from float32"):
        mtl.export.litert(folder)


@pytest.mark.slow
def test_a_column_that_needs_float64_is_refused_before_conversion(tmp_path):
    stamps = 2.0**40 + np.arange(8.0)
    encoder = mtl.data.tabular_encoder({"stamp": stamps})
    network = mtl.architectures.hard_sharing(
        keras.Input((1,)), [mtl.Task.regression("z")], shared=(4,), tower=()
    )
    network = mtl.data.with_preprocessing(encoder, network)
    folder = mtl.export.saved_model(network, [mtl.Task.regression("z")], tmp_path / "1")
    with pytest.raises(ValueError, match=r"\['stamp'\] need it: .*or use export.onnx\(folder\)"):
        mtl.export.litert(folder)

"""An ONNX file answers as the SavedModel does, or is not written."""

import shutil

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from exported_shop import export_shop, predict, shop_rows

import keras_mtl as mtl
from keras_mtl.export import _onnx as module
from keras_mtl.export import onnx_inputs
from keras_mtl.export._beside._manifest import check_manifest
from keras_mtl.export._formats._run_onnx import OnnxRunner


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    network, folder = export_shop(tmp_path_factory.mktemp("onnx"))
    return network, folder, mtl.export.onnx(folder)


def entries(folder):
    return sorted(path.name for parent in (folder, folder.parent) for path in parent.iterdir())


def test_the_graph_answers_as_keras_does_under_the_same_names(shop):
    network, folder, file = shop
    assert file == folder / "model.onnx"
    runner = OnnxRunner(file)
    assert set(runner.inputs) == set(shop_rows())
    assert set(runner.outputs) == {"z", "z_decision", "a", "t-1", "m"}
    answers = runner.answer(shop_rows())
    for task, expected in predict(network, shop_rows()).items():
        np.testing.assert_allclose(answers[task], expected, rtol=0, atol=1e-6)
        assert np.ptp(expected) > 0.1
    decided = (answers["z"] > 0.4).astype("int32")
    np.testing.assert_array_equal(answers["z_decision"], decided)
    assert 0 < decided.sum() < len(decided)


def test_the_graph_says_which_opset_it_needs_and_that_batches_have_any_size(shop):
    graph = onnx.load(shop[2])
    assert {entry.domain: entry.version for entry in graph.opset_import} == {
        "": 18,
        "ai.onnx.ml": 2,
    }
    for tensor in [*graph.graph.input, *graph.graph.output]:
        first, second = tensor.type.tensor_type.shape.dim
        assert first.dim_param == "batch"
        assert second.dim_value == {"price": 3, "t-1": 3, "m": 2}.get(tensor.name, 1)


def test_one_task_alone_is_one_output(shop):
    (answer,) = onnxruntime.InferenceSession(shop[2]).run(["a"], onnx_inputs(shop_rows()))
    np.testing.assert_array_equal(answer, OnnxRunner(shop[2]).answer(shop_rows())["a"])


def test_rows_that_are_not_finite_are_answered_with_nan_and_others_as_ever(shop):
    rows = shop_rows()
    expected = OnnxRunner(shop[2]).answer(rows)
    rows["price"][1, 2], rows["age"][4, 0] = np.nan, np.inf
    answers = OnnxRunner(shop[2]).answer(rows)
    for name in ("z", "a", "t-1", "m"):
        assert np.flatnonzero(np.isnan(answers[name]).any(1)).tolist() == [1, 4]
        finite = np.delete(np.arange(12), [1, 4])
        np.testing.assert_array_equal(answers[name][finite], expected[name][finite])
    assert answers["z_decision"][[1, 4]].tolist() == [[-1], [-1]]


def test_text_in_bytes_is_decoded_because_the_runtime_would_not_know_it(shop):
    rows = shop_rows()
    encoded = {**rows, "city": np.array([[w.encode() for w in row] for row in rows["city"]])}
    session = onnxruntime.InferenceSession(shop[2])
    (right,) = session.run(["a"], onnx_inputs(rows))
    (decoded,) = session.run(["a"], onnx_inputs(encoded))
    np.testing.assert_array_equal(decoded, right)
    (wrong,) = session.run(["a"], {**rows, "city": encoded["city"].astype(object)})
    assert np.abs(wrong - right).max() > 0.01
    assert onnx_inputs({"city": [b"\xff", "a"]})["city"].tolist() == ["\ufffd", "a"]


def test_int8_takes_fewer_bytes_and_no_row_depends_on_another(shop):
    _, folder, file = shop
    small = mtl.export.onnx(folder, quantize="int8")
    assert small == folder / "model.int8.onnx"
    arrays = [onnx.load(path).graph.initializer for path in (small, file)]
    sizes = [sum(array.ByteSize() for array in model) for model in arrays]
    assert sizes[0] < 0.65 * sizes[1]
    rows, runner = shop_rows(), OnnxRunner(small)
    together, exact = runner.answer(rows), OnnxRunner(file).answer(rows)
    assert 1e-6 < np.abs(together["z"] - exact["z"]).max() < 0.02
    alone = runner.answer({name: values[:1] for name, values in rows.items()})
    np.testing.assert_allclose(alone["a"], together["a"][:1], rtol=0, atol=1e-6)
    rows["price"][1] = np.inf
    spoiled = runner.answer(rows)["a"]
    np.testing.assert_allclose(spoiled[2:], together["a"][2:], rtol=0, atol=1e-6)


@pytest.mark.parametrize("rows", [None, shop_rows()])
def test_a_graph_that_answers_otherwise_is_refused_by_the_name_of_the_task(shop, monkeypatch, rows):
    _, folder, file = shop
    model = onnx.load(file)
    (kernel,) = [array for array in model.graph.initializer if list(array.dims) == [56, 1]]
    changed = onnx.numpy_helper.to_array(kernel) + np.float32(1e-4)
    kernel.CopyFrom(onnx.numpy_helper.from_array(changed, kernel.name))
    monkeypatch.setattr(module, "_convert", lambda served: model)
    before, content = entries(folder), file.read_bytes()
    with pytest.raises(ValueError, match="task 'z' is moved: output 'z' differs by"):
        mtl.export.onnx(folder, rows=rows)
    assert entries(folder) == before and file.read_bytes() == content


def test_an_operation_that_onnx_lacks_is_refused_by_name_and_with_the_road_that_works(tmp_path):
    word = keras.Input((1,), name="word", dtype="string")
    price = keras.Input((1,), name="price")
    hashed = keras.layers.CategoryEncoding(8)(keras.layers.Hashing(8)(word))
    tasks = [mtl.Task.regression("z"), mtl.Task.regression("a")]
    outputs = {"z": tasks[0].output(price), "a": tasks[1].output(hashed)}
    network = keras.Model({"word": word, "price": price}, outputs)
    folder = mtl.export.saved_model(network, tasks, tmp_path / "plain" / "1")
    before = entries(folder)
    message = r"no StringToHashBucketFast, which task\(s\) \['a'\] need.*use data.tabular_encoder"
    with pytest.raises(ValueError, match=message):
        mtl.export.onnx(folder)
    assert entries(folder) == before


def test_an_input_and_a_task_of_one_name_are_refused(tmp_path):
    wage, task = keras.Input((2,), name="x"), mtl.Task.regression("wage")
    with pytest.warns(UserWarning, match="must match the names of the corresponding tensors"):
        network = keras.Model({"wage": wage}, {"wage": task.output(wage)})
    folder = mtl.export.saved_model(network, [task], tmp_path / "1")
    with pytest.raises(ValueError, match="'wage' is the name of an input and of the output of a"):
        mtl.export.onnx(folder)


@pytest.mark.slow
def test_a_network_that_keras_has_quantized_is_refused(tmp_path):
    features, dense = keras.Input((4,), name="x"), keras.layers.Dense(8)
    task = mtl.Task.regression("z")
    network = keras.Model(features, {"z": task.output(dense(features))})
    dense.quantize("int8")
    folder = mtl.export.saved_model(network, [task], tmp_path / "1")
    with pytest.raises(
        ValueError, match=r"quantized .*Quantize after the conversion, from float32"
    ):
        mtl.export.onnx(folder)


def test_other_folders_and_ways_are_refused(tmp_path, shop):
    with pytest.raises(ValueError, match="holds no SavedModel; expected the folder of one version"):
        mtl.export.onnx(tmp_path)
    with pytest.raises(ValueError, match=r"quantize is 'int4'; expected None or one of \['int8'\]"):
        mtl.export.onnx(shop[1], quantize="int4")
    rows = {**shop_rows(), "town": [1]}
    del rows["city"]
    with pytest.raises(ValueError, match=r"missing are \['city'\], and unknown \['town'\]"):
        mtl.export.onnx(shop[1], rows=rows)


def test_the_manifest_is_written_anew_and_a_changed_version_is_refused(shop, tmp_path):
    assert {"model.onnx", "saved_model.pb"} <= set(check_manifest(shop[1]).files)
    changed = shutil.copytree(shop[1], tmp_path / "1")
    (changed / "outputs.json").write_text((changed / "outputs.json").read_text() + " ")
    with pytest.raises(mtl.export.RefusedVersion, match="is not the file that was exported"):
        mtl.export.onnx(changed)


def test_small_numbers_keep_their_digits_in_logarithms_and_exponentials(tmp_path):
    # log(1 + x) and exp(x) - 1, as they are written, leave two digits of 1e-6.
    x = keras.Input((3,), name="x")
    outputs = {
        "log": keras.layers.Identity(name="log")(keras.ops.log1p(x)),
        "exp": keras.layers.Identity(name="exp")(keras.ops.expm1(x)),
    }
    tasks = [mtl.Task.regression("log"), mtl.Task.regression("exp")]
    folder = mtl.export.saved_model(keras.Model(x, outputs), tasks, tmp_path / "1")
    small = np.float32([[1e-6, -3e-7, 2e-3], [0.0, 0.5, -0.75], [3.0, 8.0, 1e-12]])
    answers = OnnxRunner(mtl.export.onnx(folder, rows={"x": small})).answer({"x": small})
    np.testing.assert_allclose(answers["log"], np.log1p(small.astype("float64")), rtol=1e-6)
    np.testing.assert_allclose(answers["exp"], np.expm1(small.astype("float64")), rtol=1e-6)

"""OpenVINO answers as the SavedModel does, in float32, or is refused."""

import keras
import numpy as np
import openvino
import pytest
from exported_shop import export_shop

import keras_mtl as mtl
from keras_mtl.export import _openvino as module


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    tasks = [mtl.Task.binary("z", threshold=0.4), mtl.Task.multiclass("a", 3)]
    network = mtl.architectures.mmoe(keras.Input((6,), name="x"), tasks)
    folder = mtl.export.saved_model(network, tasks, tmp_path_factory.mktemp("openvino") / "1")
    return network, folder, mtl.export.openvino(folder)


def test_answers_are_those_of_keras_in_float32(plain):
    network, folder, model = plain
    x = np.random.default_rng(0).normal(size=(9, 6)).astype("float32")
    answers = model({"x": x})
    for name, expected in network.predict(x, verbose=0).items():
        np.testing.assert_allclose(answers[name], expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(answers["z_decision"], answers["z"] > 0.4)
    x[4, 1] = np.nan
    assert np.flatnonzero(np.isnan(model({"x": x})["a"]).any(1)).tolist() == [4]
    assert not list(folder.glob("*.xml"))


@pytest.mark.slow
def test_text_is_refused_with_the_road_that_works(tmp_path):
    _, folder = export_shop(tmp_path)
    message = r"the inputs \['city'\] are text.*behind the encoder.*or use export.onnx\(folder\)"
    with pytest.raises(ValueError, match=message):
        mtl.export.openvino(folder)


def test_the_reduced_precision_of_openvino_is_refused_by_the_name_of_a_task(plain, monkeypatch):
    core = openvino.Core()
    if core.get_property("CPU", "INFERENCE_PRECISION_HINT") == openvino.Type.f32:
        pytest.skip("this processor computes in float32 by default")
    monkeypatch.setattr(module, "_EXACT", {})
    with pytest.raises(ValueError, match=r"OpenVINO model, on .* rows: task '[za]' is moved"):
        mtl.export.openvino(plain[1])

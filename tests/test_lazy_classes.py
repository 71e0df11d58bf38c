"""A saved model is loaded after `import keras_mtl` alone, whatever classes it holds."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl._lazy_classes import StandIn

ALL_NAMES = """
import importlib, json, pkgutil, sys
import keras
import keras_mtl

registered = keras.saving.get_custom_objects()
ours = lambda: {name for name in registered if name.startswith("keras_mtl>")}
at_first = {name: registered[name] for name in ours()}
rooms = [name for name in sys.modules if name.startswith("keras_mtl.") and name.count(".") == 1]
for info in pkgutil.walk_packages(keras_mtl.__path__, "keras_mtl."):
    importlib.import_module(info.name)
wrong = [
    name
    for name, stand_in in at_first.items()
    if stand_in.from_config.__func__ is not registered[name].from_config.__func__
    or getattr(sys.modules[registered[name].__module__], name[10:]) is not registered[name]
]
print("ANSWER" + json.dumps({
    "missing": sorted(ours() - {*at_first}),
    "unknown": sorted({*at_first} - {name for name in ours() if type(registered[name]) is not type(
        at_first["keras_mtl>BalancedModel"])}),
    "wrong": wrong,
    "rooms": rooms,
    "number": len(at_first),
}))
"""

LOAD = """
import json, sys
import keras
import keras_mtl
import numpy as np
import tensorflow as tf

answers = {}
for name, path in json.loads(sys.argv[1]).items():
    model = keras.saving.load_model(path)
    x = {"age": tf.constant([[3.0], [np.nan]]), "city": tf.constant([["Oslo"], ["Rome"]])}
    outputs = model(x if name == "encoder" else tf.ones((2, 4)), training=False)
    answers[name] = [np.asarray(values).tolist() for values in keras.tree.flatten(outputs)]
print("ANSWER" + json.dumps({"answers": answers, "modules": sorted(sys.modules)}))
"""


def run_elsewhere(*arguments):
    """Returns the answer of a program in a process of its own."""
    process = subprocess.run(
        [sys.executable, "-c", *arguments], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(process.stdout.split("ANSWER")[1])


def test_every_registered_class_is_known_after_the_import_and_is_that_of_its_module():
    answer = run_elsewhere(ALL_NAMES)
    assert answer["missing"] == answer["unknown"] == answer["wrong"] == []
    assert answer["number"] > 100
    assert all(room.startswith("keras_mtl._") for room in answer["rooms"])


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Saves models with classes of several rooms; returns their paths and predictions."""
    folder = tmp_path_factory.mktemp("models")
    table = {"age": np.array([1.0, 2.0, np.nan]), "city": np.array(["Oslo", "Rome", "Oslo"])}
    rows = {"age": tf.constant([[3.0], [np.nan]]), "city": tf.constant([["Oslo"], ["Rome"]])}
    tasks = [mtl.Task.binary("z"), mtl.Task.regression("a")]
    encoder = mtl.data.tabular_encoder(table, missing="median")
    network = mtl.architectures.mmoe(keras.Input((4,)), tasks, num_experts=2, expert=(3,))
    balanced = mtl.BalancedModel(network, tasks, mtl.balancers.CRMOGM(mtl.balancers.MGDA()))
    balanced.compile(keras.optimizers.Adam(0.1))
    models = {"encoder": (encoder, rows), "network": (network, np.ones((2, 4), "float32"))}
    models["balanced"] = (balanced, np.ones((2, 4), "float32"))
    paths = {name: str(folder / f"{name}.keras") for name in models}
    for name, (model, _) in models.items():
        model.save(paths[name])
    expected = {
        name: [np.asarray(y).tolist() for y in keras.tree.flatten(model(x, training=False))]
        for name, (model, x) in models.items()
    }
    return paths, expected


def test_a_fresh_process_loads_what_was_saved_and_imports_only_what_it_needs(saved):
    paths, expected = saved
    answer = run_elsewhere(LOAD, json.dumps(paths))
    for name, outputs in expected.items():
        for output, value in zip(answer["answers"][name], outputs, strict=True):
            np.testing.assert_allclose(output, value, rtol=1e-5, atol=1e-6)
    modules = {*answer["modules"]}
    assert "keras_mtl.balancers" in modules
    assert not {"keras_mtl.tuning", "keras_mtl.datasets", "tensorflow_datasets"} & modules


def test_a_stand_in_behaves_as_its_class():
    stand_in = StandIn("PickBranch", (), {"__module__": "keras_mtl.layers._pick_branch"})
    layer = stand_in(1, name="pick")
    assert type(layer) is mtl.layers.PickBranch
    assert isinstance(layer, stand_in)
    assert not isinstance(keras.layers.Dense(1), stand_in)
    assert stand_in.from_config(layer.get_config()).name == "pick"


LATE = """
import importlib.util, json, sys
import keras_mtl
light = not {"keras", "tensorflow", "numpy"} & {*sys.modules}
importlib.util.find_spec("keras")
import keras
ours = [name for name in keras.saving.get_custom_objects() if name.startswith("keras_mtl>")]
waits = [finder for finder in sys.meta_path if type(finder).__name__ == "_ImportOfKeras"]
print("ANSWER" + json.dumps({"light": light, "number": len(ours), "waits": len(waits)}))
"""


def test_the_package_imports_no_keras_and_registers_its_classes_when_keras_is_imported():
    answer = run_elsewhere(LATE)
    assert answer["light"]
    assert answer["number"] > 90
    assert answer["waits"] == 0

"""TensorFlow alone serves an exported network, with the predictions of the Keras model."""

import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.export import saved_model

SERVE = """
import json, sys
import tensorflow as tf
path, rows = sys.argv[1], json.loads(sys.argv[2])
served = tf.saved_model.load(path)
answers = {}
for name, signature in served.signatures.items():
    specs = signature.structured_input_signature[1]
    inputs = {key: tf.constant(rows[key], spec.dtype) for key, spec in specs.items()}
    outputs = {key: value.numpy().tolist() for key, value in signature(**inputs).items()}
    answers[name] = {"inputs": sorted(specs), "outputs": outputs}
modules = [name for name in sys.modules if name.split(".")[0] == "keras_mtl"]
print("ANSWER" + json.dumps({"answers": answers, "modules": modules}))
"""


@keras.saving.register_keras_serializable(package="keras_mtl_tests")
class Doubling(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def serve_elsewhere(path, rows):
    """Returns the answers of all signatures in a process that imports only TensorFlow."""
    process = subprocess.run(
        [sys.executable, "-c", SERVE, str(path), json.dumps(rows)],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert process.returncode == 0, process.stderr[-2000:]
    return json.loads(process.stdout.split("ANSWER")[1])


def shop():
    """Builds a network of two tasks on raw table columns; only one task reads `hour`."""
    tasks = [mtl.Task.multiclass("z.topic-1", 3), mtl.Task.binary("buy")]
    inputs = {
        "price": keras.Input((1,), name="price"),
        "city": keras.Input((1,), name="city", dtype="string"),
        "hour": keras.Input((1,), name="hour", dtype="int64"),
    }
    cities = keras.layers.StringLookup(vocabulary=["Rome", "Oslo"], output_mode="one_hot")
    hours = keras.layers.CategoryEncoding(24, output_mode="one_hot")(inputs["hour"])
    shared = keras.layers.Concatenate()([inputs["price"], cities(inputs["city"])])
    shared = Doubling()(keras.layers.Dense(4, activation="relu", name="shared_0")(shared))
    tower = keras.layers.Dropout(0.5)(keras.layers.Concatenate()([shared, hours]))
    outputs = {"z.topic-1": tasks[0].output(tower), "buy": tasks[1].output(shared)}
    return keras.Model(inputs, outputs), tasks


def plain(names=("z", "a"), **input_args):
    """Builds a network of one regression per name, directly on its input."""
    tasks = [mtl.Task.regression(name) for name in names]
    features = keras.Input((3,), **input_args)
    return keras.Model(features, {task.name: task.output(features) for task in tasks}), tasks


def test_another_process_with_tensorflow_alone_gives_the_same_predictions(tmp_path):
    network, tasks = shop()
    path = saved_model(network, tasks, tmp_path / "shop" / "1")
    rows = {
        "price": [[1.5], [-2.0], [0.25]],
        "city": [["Oslo"], ["Rome"], ["nowhere"]],
        "hour": [[3], [23], [0]],
    }
    expected = network.predict({name: tf.constant(rows[name]) for name in rows}, verbose=0)

    served = serve_elsewhere(path, rows)

    answers = served["answers"]
    assert served["modules"] == []
    assert set(answers) == {"serving_default", "buy", "z.topic-1"}
    assert set(answers["serving_default"]["outputs"]) == {"buy", "z.topic-1"}
    for name in ("buy", "z.topic-1"):
        assert set(answers[name]["outputs"]) == {name}
        for signature in ("serving_default", name):
            np.testing.assert_allclose(
                answers[signature]["outputs"][name], expected[name], rtol=0, atol=1e-5
            )
    assert np.abs(expected["buy"] - expected["buy"][0]).max() > 1e-3
    assert answers["serving_default"]["inputs"] == ["city", "hour", "price"]
    assert answers["z.topic-1"]["inputs"] == ["city", "hour", "price"]
    assert answers["buy"]["inputs"] == ["city", "price"]


def test_outputs_are_probabilities_in_float32_under_mixed_precision(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        tasks = [mtl.Task.binary("z"), mtl.Task.multiclass("a", 3)]
        features = keras.Input((3,), name="features")
        hidden = keras.layers.Dense(2)(features)
        network = keras.Model(features, {task.name: task.output(hidden) for task in tasks})
    finally:
        keras.config.set_dtype_policy("float32")
    served = tf.saved_model.load(saved_model(network, tasks, tmp_path / "1"))
    outputs = served.signatures["serving_default"](features=tf.random.normal((5, 3)))
    assert outputs["a"].dtype == outputs["z"].dtype == tf.float32
    np.testing.assert_allclose(tf.reduce_sum(outputs["a"], -1), np.ones(5), atol=1e-6)
    assert 0 < float(tf.reduce_min(outputs["z"])) < float(tf.reduce_max(outputs["z"])) < 1


def test_one_task_has_the_same_two_signatures(tmp_path):
    network, tasks = plain(["only"])
    served = tf.saved_model.load(saved_model(network, tasks, tmp_path / "0"))
    x = np.ones((2, 3), "float32")
    for signature in ("serving_default", "only"):
        outputs = served.signatures[signature](inputs=tf.constant(x))
        np.testing.assert_allclose(outputs["only"], network.predict(x, verbose=0)["only"], 1e-5)


@pytest.mark.parametrize("named", [True, False])
def test_a_request_names_each_input_of_a_list(tmp_path, named):
    names = ["zeta", "alpha"] if named else [None, None]
    first, second = keras.Input((2,), name=names[0]), keras.Input((2,), name=names[1])
    tasks = [mtl.Task.regression("z"), mtl.Task.regression("a")]
    outputs = {"z": tasks[0].output(first), "a": tasks[1].output(second)}
    network = keras.Model([first, second], outputs)
    served = tf.saved_model.load(saved_model(network, tasks, tmp_path / "1"))
    x = [np.ones((2, 2), "float32"), np.full((2, 2), 5.0, "float32")]
    keys = names if named else ["inputs_0", "inputs_1"]
    expected = network.predict(x, verbose=0)
    for task, key, value in zip(["z", "a"], keys, x, strict=True):
        outputs = served.signatures[task](**{key: tf.constant(value)})
        np.testing.assert_allclose(outputs[task], expected[task], rtol=1e-5)
    together = dict(zip(keys, map(tf.constant, x), strict=True))
    for task, value in served.signatures["serving_default"](**together).items():
        np.testing.assert_allclose(value, expected[task], rtol=1e-5)


def test_the_balancer_of_a_balanced_model_is_not_exported(tmp_path):
    tasks = [mtl.Task.regression("z"), mtl.Task.regression("a")]
    network = mtl.architectures.hard_sharing(keras.Input((3,)), tasks, shared=(4,), tower=())
    model = mtl.BalancedModel(network, tasks, mtl.balancers.PCGrad())
    path = saved_model(model, tasks, tmp_path / "1")
    written = tf.train.list_variables(str(path / "variables" / "variables"))
    assert sum(int(np.prod(shape)) for _, shape in written if shape) == network.count_params()
    x = np.ones((2, 3), "float32")
    served = tf.saved_model.load(path).signatures["a"](inputs=tf.constant(x))
    np.testing.assert_allclose(served["a"], network.predict(x, verbose=0)["a"], rtol=1e-5)


def test_variables_are_written_once(tmp_path):
    network, tasks = plain()
    path = saved_model(network, tasks, tmp_path / "1")
    written = tf.train.list_variables(str(path / "variables" / "variables"))
    assert sum(int(np.prod(shape)) for _, shape in written if shape) == network.count_params()


def test_an_export_does_not_change_the_network(tmp_path):
    network, tasks = plain()
    before = network.get_config()
    saved_model(network, tasks, tmp_path / "1")
    assert network.get_config() == before


def test_the_folder_is_returned_and_no_other_file_remains(tmp_path):
    network, tasks = plain()
    path = saved_model(network, tasks, str(tmp_path / "new" / "model" / "7"))
    assert path == tmp_path / "new" / "model" / "7"
    assert [file.name for file in path.parent.iterdir()] == ["7"]


def test_a_version_is_never_overwritten(tmp_path):
    network, tasks = plain()
    path = saved_model(network, tasks, tmp_path / "9")
    (tmp_path / "10").mkdir()
    before = sorted((file, file.stat().st_mtime_ns) for file in path.rglob("*"))
    with pytest.raises(FileExistsError, match=r"next free version is .*11"):
        saved_model(network, tasks, path)
    assert sorted((file, file.stat().st_mtime_ns) for file in path.rglob("*")) == before


@pytest.mark.parametrize("version", ["latest", "-1", "01", "1.0", "v2"])
def test_a_folder_that_is_not_a_version_is_refused(tmp_path, version):
    network, tasks = plain()
    with pytest.raises(ValueError, match="must be a version"):
        saved_model(network, tasks, tmp_path / version)
    assert list(tmp_path.iterdir()) == []


def test_outputs_must_be_exactly_the_tasks(tmp_path):
    network, tasks = plain()
    with pytest.raises(ValueError, match=r"exactly the tasks \['z'\]; received \['a', 'z'\]"):
        saved_model(network, tasks[:1], tmp_path / "1")
    with pytest.raises(ValueError, match=r"exactly the tasks \['a', 'more', 'z'\]"):
        saved_model(network, [*tasks, mtl.Task.binary("more")], tmp_path / "1")
    listed = keras.Model(network.input, list(network.output.values()))
    with pytest.raises(ValueError, match="received a list"):
        saved_model(listed, tasks, tmp_path / "1")


def test_a_model_that_is_not_functional_is_refused(tmp_path):
    class Subclassed(keras.Model):
        def call(self, inputs):
            return {"z": inputs, "a": inputs}

    _, tasks = plain()
    for wrong in (Subclassed(), keras.layers.Dense(1), "a path"):
        with pytest.raises(TypeError, match="must be a functional"):
            saved_model(wrong, tasks, tmp_path / "1")


@pytest.mark.parametrize("name", ["class of worker", "self", "lambda", "capital-gain"])
def test_an_input_that_no_request_can_name_is_refused(tmp_path, name):
    network, tasks = plain(name=name)
    with pytest.raises(ValueError, match="cannot be asked for by name"):
        saved_model(network, tasks, tmp_path / "1")
    with pytest.warns(UserWarning, match="must match the names"):
        renamed = keras.Model({"worker": network.inputs[0]}, network.output)
    served = tf.saved_model.load(saved_model(renamed, tasks, tmp_path / "1"))
    assert set(served.signatures["z"].structured_input_signature[1]) == {"worker"}


KILLED = """
import os, signal, sys
import keras
import keras_mtl as mtl
import tensorflow as tf
save = tf.saved_model.save
def save_and_die(*args, **kwargs):
    save(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
tf.saved_model.save = save_and_die
task = mtl.Task.regression("a")
x = keras.Input((3,))
mtl.export.saved_model(keras.Model(x, {"a": task.output(x)}), [task], sys.argv[1])
"""


def test_a_killed_export_leaves_nothing_to_serve_and_the_next_one_cleans_up(tmp_path):
    version = tmp_path / "shop" / "1"
    process = subprocess.run([sys.executable, "-c", KILLED, str(version)], capture_output=True)
    assert process.returncode == -9, process.stderr[-2000:]
    left = [file.name for file in version.parent.iterdir()]
    assert len(left) == 1 and not left[0].isdecimal(), left
    assert (version.parent / left[0] / "saved_model.pb").exists()

    network, tasks = plain()
    saved_model(network, tasks, version)
    assert [file.name for file in version.parent.iterdir()] == ["1"]
    assert set(tf.saved_model.load(version).signatures) == {"serving_default", "z", "a"}


def test_a_failed_export_leaves_nothing(tmp_path, monkeypatch):
    network, tasks = plain()

    def fail(module, path, **kwargs):
        pathlib.Path(path, "part").write_text("half")
        raise OSError("no space left on device")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(OSError, match="no space"):
        saved_model(network, tasks, tmp_path / "1")
    assert list(tmp_path.iterdir()) == []

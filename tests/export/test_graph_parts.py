"""Signatures share what they compute alike, and run nothing that their own task does not need."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import keras_mtl as mtl
from keras_mtl.export import saved_model

TASKS = [mtl.Task.regression("z"), mtl.Task.regression("a")]


class Traced(keras.layers.Layer):
    """Counts how often it is called with anything but symbols of Keras."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = 0

    def call(self, inputs):
        if not isinstance(inputs, keras.KerasTensor):
            self.calls += 1
        return 2 * inputs


def served(network, tasks, folder):
    return tf.saved_model.load(saved_model(network, tasks, folder / "1"))


def ops_of(function):
    """Returns the types of the operations of a served function, and of those that it calls."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    return {node.op for node in nodes}


def called_functions(function):
    """Returns the functions that a served function calls, at any depth, each once."""
    library = {f.signature.name: f for f in function.graph.as_graph_def().library.function}
    pending = list(function.graph.as_graph_def().node)
    called = {}
    while pending:
        node = pending.pop()
        for attribute in node.attr.values():
            name = attribute.func.name
            if name in library and name not in called:
                called[name] = library[name]
                pending.extend(library[name].node_def)
    return list(called.values())


def count_ops(folder, kind):
    """Counts the operations of one type in the file of a SavedModel, in all of its functions."""
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    functions = saved.meta_graphs[0].graph_def.library.function
    return sum(node.op == kind for function in functions for node in function.node_def)


def check(network, tasks, x, folder):
    """Checks that each signature predicts as the network does."""
    signatures = served(network, tasks, folder).signatures
    expected = network.predict(x, verbose=0)
    for name, signature in signatures.items():
        names = signature.structured_input_signature[1]
        outputs = signature(**{key: tf.constant(x[key]) for key in names})
        assert set(outputs) == ({*expected} if name == "serving_default" else {name})
        for task, values in outputs.items():
            np.testing.assert_allclose(values, expected[task], rtol=1e-5, atol=1e-6)
    return signatures


def test_each_layer_is_traced_once(tmp_path):
    tasks = [mtl.Task.regression(name) for name in "zcba"]
    x = keras.Input((3,), name="x")
    shared, of_z = Traced(name="shared"), Traced(name="of_z")
    hidden = keras.layers.Dropout(0.5)(shared(x))
    outputs = {task.name: task.output(hidden) for task in tasks[1:]}
    network = keras.Model({"x": x}, {"z": tasks[0].output(of_z(hidden)), **outputs})
    shared.calls = of_z.calls = 0
    # Without the run that tells which inputs are filled, which is not traced.
    saved_model(network, tasks, tmp_path / "1", check_inputs=False)
    assert (shared.calls, of_z.calls) == (1, 1)
    check(network, tasks, {"x": np.ones((4, 3), "float32")}, tmp_path / "again")


@pytest.mark.parametrize(
    "shape", ["columns of each task", pytest.param("chain", marks=pytest.mark.slow), "towers"]
)
def test_each_layer_is_written_once_however_many_tasks_need_it(tmp_path, shape):
    tasks = [mtl.Task.regression(name) for name in ("z", "b", "y", "a", "x")]
    names = ("p", *(f"of_{task.name}" for task in tasks))
    inputs = {name: keras.Input((2,), name=name) for name in names}
    hidden, outputs = keras.ops.sin(inputs["p"]), {}
    for task in tasks:
        features = keras.ops.sin(hidden)
        if shape == "chain":
            hidden = features
        if shape == "columns of each task":
            features = keras.ops.concatenate([features, inputs[f"of_{task.name}"]], -1)
        outputs[task.name] = task.output(keras.ops.cos(features))
    if shape != "columns of each task":
        inputs = {"p": inputs["p"]}
    network = keras.Model(inputs, outputs)
    x = {name: np.random.default_rng(0).random((3, 2), "float32") for name in inputs}
    signatures = check(network, tasks, x, tmp_path)
    assert (count_ops(tmp_path / "1", "Sin"), count_ops(tmp_path / "1", "Cos")) == (6, 5)
    needed = {"p", "of_z"} if shape == "columns of each task" else {"p"}
    assert {*signatures["z"].structured_input_signature[1]} == needed
    # A task alone runs its layers, and no other.
    expected = {"Sin": 2, "Cos": 1} if shape != "chain" else {"Sin": 4, "Cos": 1}
    task = "z" if shape != "chain" else "y"
    called = called_functions(signatures[task])
    received = {op: sum(n.op == op for f in called for n in f.node_def) for op in expected}
    assert received == expected


@pytest.mark.slow
def test_fifty_tasks_stay_small(tmp_path):
    tasks = [mtl.Task.binary(f"t{(7 * i) % 50}") for i in range(50)]
    x = keras.Input((16,), name="x")
    network = mtl.architectures.hard_sharing(x, tasks, shared=(64, 32), tower=(64, 32))
    rows = np.random.default_rng(0).normal(size=(4, 16)).astype("float32")
    expected = network.predict(rows, verbose=0)
    folder = saved_model(network, tasks, tmp_path / "1")
    for signature in tf.saved_model.load(folder).signatures.values():
        for task, values in signature(x=tf.constant(rows)).items():
            np.testing.assert_allclose(values, expected[task], rtol=1e-5, atol=1e-6)
    assert (folder / "saved_model.pb").stat().st_size < 1_000_000
    written = tf.train.list_variables(str(folder / "variables" / "variables"))
    assert sum(int(np.prod(shape)) for _, shape in written if shape) == network.count_params()


def test_one_task_does_not_run_the_layers_of_another(tmp_path):
    x = keras.Input((3,), name="x")
    hidden = keras.layers.Dense(4)(x)
    sines = keras.ops.sin(hidden)
    network = keras.Model({"x": x}, {"z": TASKS[0].output(sines), "a": TASKS[1].output(hidden)})
    signatures = check(network, TASKS, {"x": np.ones((4, 3), "float32")}, tmp_path)
    assert "Sin" in ops_of(signatures["z"])
    assert "Sin" not in ops_of(signatures["a"])


def test_masks_cross_the_boundary_of_the_shared_part(tmp_path):
    tokens = keras.Input((5,), dtype="int32", name="tokens")
    embedded = keras.layers.Embedding(9, 4, mask_zero=True)(tokens)
    hidden = keras.layers.LSTM(3, return_sequences=True)(embedded)
    pooled = [keras.layers.GlobalAveragePooling1D()(hidden) for _ in TASKS]
    network = keras.Model(
        {"tokens": tokens},
        {task.name: task.output(flat) for task, flat in zip(TASKS, pooled, strict=True)},
    )
    short = np.array([[1, 2, 0, 0, 0], [3, 4, 5, 6, 7]], "int32")
    check(network, TASKS, {"tokens": short}, tmp_path)
    predictions = network.predict({"tokens": short}, verbose=0)
    longer = network.predict({"tokens": np.where(short == 0, 8, short)}, verbose=0)
    assert np.abs(predictions["z"][0] - longer["z"][0]).max() > 1e-4  # the mask matters


def test_tasks_that_share_nothing_or_only_an_input(tmp_path):
    inputs = {name: keras.Input((2,), name=name) for name in ("p", "q", "r")}
    join = keras.layers.Concatenate()
    tasks = [*TASKS, mtl.Task.regression("m")]
    outputs = {
        "z": tasks[0].output(inputs["p"]),
        "a": tasks[1].output(inputs["q"]),
        "m": tasks[2].output(join([inputs["q"], inputs["r"]])),
    }
    x = {name: np.full((3, 2), i + 1.0, "float32") for i, name in enumerate(inputs)}
    signatures = check(keras.Model(inputs, outputs), tasks, x, tmp_path)
    read = {name: {*s.structured_input_signature[1]} for name, s in signatures.items()}
    assert read == {"serving_default": {"p", "q", "r"}, "z": {"p"}, "a": {"q"}, "m": {"q", "r"}}


def test_an_output_that_another_task_reads(tmp_path):
    x = keras.Input((2,), name="x")
    first = TASKS[0].output(x)
    network = keras.Model({"x": x}, {"z": first, "a": TASKS[1].output(keras.ops.square(first))})
    check(network, TASKS, {"x": np.ones((3, 2), "float32")}, tmp_path)


class Tables(keras.layers.Layer):
    """Looks words up in tables that it keeps in a list."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        pairs = tf.lookup.KeyValueTensorInitializer(["Oslo", "Rome"], [1.0, 2.0])
        self.tables = [tf.lookup.StaticHashTable(pairs, default) for default in (0.0, -1.0)]

    def call(self, words):
        return tf.concat([table.lookup(words) for table in self.tables], -1)

    def compute_output_spec(self, words):
        return keras.KerasTensor((None, 2), "float32")


@pytest.mark.parametrize("kind", ["StringLookup", "tables in a list"])
def test_tables_are_written_wherever_a_layer_keeps_them(tmp_path, kind):
    city = keras.Input((1,), dtype="string", name="city")
    if kind == "StringLookup":
        lookup = keras.layers.StringLookup(vocabulary=["Oslo", "Rome"], output_mode="one_hot")
    else:
        lookup = Tables()
    codes = lookup(city)
    network = keras.Model({"city": city}, {task.name: task.output(codes) for task in TASKS})
    x = tf.constant([["Rome"], ["Bari"], ["Oslo"]])
    expected = network({"city": x}, training=False)
    for name, signature in served(network, TASKS, tmp_path).signatures.items():
        for task, values in signature(city=x).items():
            assert name in ("serving_default", task)
            np.testing.assert_allclose(values, expected[task], rtol=1e-5)

"""The signature `tf_example` answers serialized examples as `serving_default` answers columns."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import keras_mtl as mtl
from keras_mtl.export import saved_model
from keras_mtl.export._beside._interface import TfExampleSpec, read_interface

layers = keras.layers


def make_shop():
    """Builds two tasks on five kinds of columns."""
    tasks = [mtl.Task.binary("z", threshold=0.3), mtl.Task.regression("a")]
    inputs = {
        "price": keras.Input((2,), name="price"),
        "city": keras.Input((1,), name="city", dtype="string"),
        "hour": keras.Input((), name="hour", dtype="int32"),
        "member": keras.Input((1,), name="member", dtype="bool"),
        "words": keras.Input((None,), name="words", dtype="int64"),
    }
    encoded = [
        inputs["price"],
        layers.StringLookup(vocabulary=["Rome", "Oslo"], output_mode="one_hot")(inputs["city"]),
        layers.Reshape((1,))(keras.ops.cast(inputs["hour"], "float32")),
        keras.ops.cast(inputs["member"], "float32"),
        layers.GlobalAveragePooling1D()(layers.Embedding(9, 2, mask_zero=True)(inputs["words"])),
    ]
    hidden = layers.Dense(4, "tanh")(layers.Concatenate()(encoded))
    return keras.Model(inputs, {task.name: task.output(hidden) for task in tasks}), tasks


ROWS = {
    "price": np.array([[1.5, 0.1], [0.3, 2.0], [np.nan, 1.0]], "float32"),
    "city": np.array([["Oslo"], ["nowhere"], ["Rome"]], object),
    "hour": np.array([3, 20, 7], "int32"),
    "member": np.array([[True], [False], [True]]),
    "words": np.array([[1, 2, 3], [4, 0, 0], [5, 6, 0]]),
}


def feature(values):
    values = np.asarray(values).ravel()
    if values.dtype.kind in "biu":
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values.astype(int)))
    if values.dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    texts = [value.encode() for value in values]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=texts))


def serialize(row, leave_out=()):
    """Returns a row as an example of as many words as it has."""
    columns = {name: values[row] for name, values in ROWS.items() if name not in leave_out}
    columns["words"] = columns["words"][columns["words"] != 0]
    features = {name: feature(values) for name, values in columns.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    keras.utils.set_random_seed(0)
    network, tasks = make_shop()
    defaults = {"city": "Rome", "price": [0.5, 2.0]}
    folder = saved_model(network, tasks, tmp_path_factory.mktemp("shop") / "1", tf_example=defaults)
    return network, folder, tf.saved_model.load(folder)


def test_examples_are_answered_as_columns_are(shop):
    network, _, model = shop
    answers = model.signatures["tf_example"](
        examples=tf.constant([serialize(row) for row in range(3)])
    )
    assert set(answers) == {"z", "z_decision", "a"}
    expected = network({name: tf.constant(values) for name, values in ROWS.items()})
    for name in ("z", "a"):
        np.testing.assert_allclose(answers[name][:2], expected[name][:2], rtol=1e-5)
        assert np.isnan(answers[name][2])  # the row holds NaN
    cut = np.where(expected["z"][:2] > 0.3, 1, 0)
    assert answers["z_decision"].numpy().tolist() == [*cut.tolist(), [-1]]


def test_a_feature_with_a_default_may_be_missing_and_others_not(shop):
    network, _, model = shop
    serve = model.signatures["tf_example"]
    short = serve(examples=tf.constant([serialize(0, {"city", "price"}), serialize(1)]))
    rows = {name: values[:2].copy() for name, values in ROWS.items()}
    rows["city"][0], rows["price"][0] = "Rome", [0.5, 2.0]
    expected = network({name: tf.constant(values) for name, values in rows.items()})
    np.testing.assert_allclose(short["a"], expected["a"], rtol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Feature: hour"):
        serve(examples=tf.constant([serialize(0, {"hour"})]))


def test_outputs_json_describes_it_and_its_layers_are_not_written_again(shop):
    interface = read_interface(shop[1])
    assert interface.tf_example == TfExampleSpec("tf_example", "examples", ("city", "price"))
    assert set(interface.signatures) == {"serving_default", "z", "a"}
    saved = saved_model_pb2.SavedModel.FromString((shop[1] / "saved_model.pb").read_bytes())
    functions = saved.meta_graphs[0].graph_def.library.function
    assert sum(node.op == "Tanh" for function in functions for node in function.node_def) == 1


def small(name="z", **options):
    task = mtl.Task.regression(name)
    x = keras.Input(options.pop("shape", (2,)), name="x", **options)
    return keras.Model(x, {name: task.output(layers.Flatten()(x))}), [task]


@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        ({"y": 1.0}, r"defaults for \['y'\], which are no inputs; there are \['x'\]"),
        ({"x": [1.0, 2.0, 3.0]}, r"default of input 'x' must be float32 of shape \(2,\)"),
        ({"x": "one"}, "default of input 'x' must be float32"),
    ],
)
def test_a_default_that_does_not_fit_is_refused(tmp_path, defaults, message):
    with pytest.raises(ValueError, match=message):
        saved_model(*small(), tmp_path / "1", tf_example=defaults)
    assert list(tmp_path.iterdir()) == []


def test_what_an_example_cannot_hold_is_refused_by_the_name_of_the_input(tmp_path):
    task = mtl.Task.regression("z")
    x = keras.Input((2, None), name="x")
    network = keras.Model(x, {"z": task.output(keras.ops.mean(x, -1))})
    with pytest.raises(ValueError, match=r"input 'x' of shape .* Export without tf_example"):
        saved_model(network, [task], tmp_path / "1", tf_example=True)
    with pytest.raises(TypeError, match="True, False, or a dict of defaults"):
        saved_model(network, [task], tmp_path / "1", tf_example=["x"])


def test_a_task_of_the_name_of_the_signature_is_refused(tmp_path):
    network, tasks = small("tf_example")
    with pytest.raises(ValueError, match=r"task 'tf_example' .* or export without tf_example"):
        saved_model(network, tasks, tmp_path / "1", tf_example=True)
    folder = saved_model(network, tasks, tmp_path / "1")
    assert set(tf.saved_model.load(folder).signatures) == {"serving_default", "tf_example"}
    assert read_interface(folder).tf_example is None

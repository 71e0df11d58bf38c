"""What does more than compute is refused, in every place of a SavedModel, without loading it."""

import keras
import pytest
import tensorflow as tf
from exported_variety import all_varieties
from tensorflow.core.protobuf import saved_model_pb2

import keras_mtl as mtl
from keras_mtl.export import RefusedVersion, audit, saved_model

layers = keras.layers


def save(function, folder, **parts):
    """Writes a function of one string as the only signature of a SavedModel."""
    module = tf.Module()
    module.serve = tf.function(function, input_signature=[tf.TensorSpec((), tf.string, "x")])
    for name, part in parts.items():
        setattr(module, name, part)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    return folder


def test_a_model_that_reads_and_writes_files_is_refused_and_nothing_of_it_has_run(tmp_path):
    written = str(tmp_path / "written")

    def steal(x):
        secret = tf.io.read_file("/etc/hostname")
        with tf.control_dependencies([tf.io.write_file(written, secret)]):
            return {"z": tf.strings.join([x, secret])}

    folder = save(steal, tmp_path / "1")
    result = audit(folder)
    assert set(result.refused) == {"ReadFile", "WriteFile"}
    with pytest.raises(RefusedVersion, match=r"ReadFile reads files .*WriteFile writes files"):
        result.check()
    assert not (tmp_path / "written").exists()
    tf.saved_model.load(folder).signatures["serving_default"](x=tf.constant("a"))
    assert (tmp_path / "written").exists()  # so it was right to refuse it


def in_a_function(x):
    return {"z": tf.function(tf.io.read_file)(x)}


def in_a_loop(x):
    step = lambda n, text: (n + 1, tf.io.read_file(text))  # noqa: E731
    return {"z": tf.while_loop(lambda n, text: n < 1, step, (0, x))[1]}


def in_a_branch(x):
    return {"z": tf.cond(x == "", lambda: x, lambda: tf.io.read_file(x))}


def in_a_map(x):
    return {"z": tf.map_fn(tf.io.read_file, x[None])}


def in_unused_code(x):
    tf.io.read_file(x)
    return {"z": tf.identity(x)}


@pytest.mark.parametrize(
    "function", [in_a_function, in_a_loop, in_a_branch, in_a_map, in_unused_code]
)
def test_functions_at_any_depth_are_read(tmp_path, function):
    assert "ReadFile" in audit(save(function, tmp_path / "1")).refused


def python(x):
    return {"z": tf.py_function(lambda text: text, [x], tf.string)}


def prints(x):
    tf.print(x)
    return {"z": tf.identity(x)}


def lists_files(x):
    return {"z": tf.io.matching_files(x)}


def reads_data(x):
    return {"z": next(iter(tf.data.TextLineDataset(x)))}


def writes_checkpoints(x):
    save_op = tf.raw_ops.SaveV2(prefix=x, tensor_names=["a"], shape_and_slices=[""], tensors=[x])
    with tf.control_dependencies([save_op]):
        return {"z": tf.identity(x)}


def reads_checkpoints(x):
    return {
        "z": tf.raw_ops.RestoreV2(
            prefix=x, tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.string]
        )[0]
    }


@pytest.mark.parametrize(
    ("function", "op"),
    [
        (python, "EagerPyFunc"),
        (prints, "PrintV2"),
        (lists_files, "MatchingFiles"),
        (reads_data, "TextLineDataset"),
        (writes_checkpoints, "SaveV2"),
        (reads_checkpoints, "RestoreV2"),
    ],
)
def test_what_does_more_than_compute_is_refused(tmp_path, function, op):
    result = audit(save(function, tmp_path / "1"))
    assert op in result.refused
    assert "in function __inference" in result.refused[op]


def test_a_signature_that_remembers_something_is_refused(tmp_path):
    last = tf.Variable("nothing yet")

    def remember(x):
        before = last.read_value()
        last.assign(x)
        return {"z": before}

    folder = save(remember, tmp_path / "1", last=last)
    refused = audit(folder).refused
    assert set(refused) == {"AssignVariableOp"}
    assert refused["AssignVariableOp"].startswith("changes the model on a request")

    def disguise(meta):
        name = "__saved_model_init_op"
        meta.signature_def[name].CopyFrom(meta.signature_def.pop("serving_default"))
        for node in meta.object_graph_def.nodes:  # only the main graph knows the signature
            if node.user_object.identifier == "signature_map":
                node.user_object.identifier = "another"

    assert set(change(folder, disguise).refused) == {"AssignVariableOp"}


def test_code_that_runs_while_the_model_is_loaded_is_read(tmp_path):
    words = tmp_path / "words"
    words.write_text("Oslo\nRome")
    table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(words),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        -1,
    )
    folder = save(lambda x: {"z": table.lookup(x)}, tmp_path / "1", table=table)
    refused = audit(folder).refused
    assert refused["InitializeTableFromTextFileV2"].startswith("reads files")
    audit(folder, allow=list(refused)).check()


def change(folder, edit):
    path = folder / "saved_model.pb"
    message = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    edit(message.meta_graphs[0])
    path.write_bytes(message.SerializeToString())
    return audit(folder)


@pytest.fixture
def harmless(tmp_path):
    return save(lambda x: {"z": tf.strings.lower(x)}, tmp_path / "1")


def test_what_the_main_graph_does_is_read_too(harmless):
    assert not audit(harmless).refused
    node = {"name": "evil", "op": "ReadFile", "input": ["x"]}
    refused = change(harmless, lambda meta: meta.graph_def.node.add(**node)).refused
    assert refused == {"ReadFile": "reads files (in the main graph)"}


def test_a_signature_that_asks_for_the_call_that_saves_is_refused(harmless):
    def edit(meta):
        saving = meta.saver_def.save_tensor_name
        meta.signature_def["serving_default"].outputs["z"].name = saving

    assert set(change(harmless, edit).refused) == {
        "MergeV2Checkpoints",
        "SaveV2",
        "ShardedFilename",
    }


def test_a_function_that_is_not_defined_is_refused(harmless):
    def edit(meta):
        del meta.graph_def.library.function[0]

    assert "is called as a function and not defined" in change(harmless, edit).refused.values()


def test_a_file_in_another_form_is_refused(harmless):
    (harmless / "saved_model.pbtxt").write_text("")
    with pytest.raises(RefusedVersion, match=r"one saved_model.pb, and no other form"):
        audit(harmless)
    (harmless / "saved_model.pbtxt").unlink()
    for content in (b"", b"\xff\xff\xff"):
        (harmless / "saved_model.pb").write_bytes(content)
        with pytest.raises(RefusedVersion, match=r"saved_model\.pb"):
            audit(harmless)


def exported(network, tasks, folder, **options):
    result = audit(saved_model(network, tasks, folder / "1", **options))
    assert not result.refused, str(result)
    assert "MatMul" in result.ops and "all of which only compute" in str(result)


def test_an_export_with_words_images_and_examples_passes(tmp_path):
    tasks = [mtl.Task.binary("z", threshold=0.3), mtl.Task.multiclass("a", 3)]
    files = mtl.data.image_decoder(4, 4)
    city = keras.Input((1,), name="city", dtype="string")
    codes = layers.StringLookup(vocabulary=["Rome", "Oslo"], output_mode="one_hot")(city)
    features = layers.Concatenate()([layers.Flatten()(files.output), codes])
    inputs = {"image_bytes": files.input, "city": city}
    network = keras.Model(inputs, {task.name: task.output(features) for task in tasks})
    exported(network, tasks, tmp_path, tf_example=True)


@pytest.mark.slow
def test_every_kind_of_network_that_can_be_exported_passes(tmp_path):
    for name, network, tasks in all_varieties():
        exported(network, tasks, tmp_path / name, tf_example=True)

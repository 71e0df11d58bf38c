"""`model.export` of Keras after balanced training, and the network saved by itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl

X = np.linspace(-1, 1, 24, dtype="float32").reshape(8, 3)
Y = {"z": np.arange(8) % 2.0, "a": X[:, 0]}


@pytest.fixture(scope="module")
def trained():
    tasks = [mtl.Task.binary("z"), mtl.Task.regression("a")]
    network = mtl.architectures.hard_sharing(keras.Input((3,), name="x"), tasks, shared=(4,))
    model = mtl.BalancedModel(network, tasks, mtl.balancers.PCGrad())
    model.compile(keras.optimizers.Adam(0.1))
    model.fit(X, Y, epochs=2, verbose=0)
    return model


def test_a_balanced_model_is_exported_as_keras_exports_its_network(trained, tmp_path):
    trained.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    expected = trained.predict(X, verbose=0)
    outputs = served.serve(tf.constant(X))
    for name in ("z", "a"):
        np.testing.assert_allclose(outputs[name], expected[name], rtol=1e-5, atol=1e-6)
    assert len(served.variables) == len(trained.network.variables)


def served_by(network, tasks, path, **options):
    """Returns what the exported model of a network serves, by task."""
    mtl.BalancedModel(network, tasks, mtl.balancers.Equal()).export(path, verbose=False, **options)
    artifact = tf.saved_model.load(path)

    def serve(inputs):
        answers = artifact.serve(keras.tree.map_structure(tf.constant, inputs))
        return {name: answer.numpy() for name, answer in answers.items()}

    return serve


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_answered_with_nan(trained, tmp_path, value):
    broken = X.copy()
    broken[[1, 4], [0, 2]] = value
    serve = served_by(trained.network, trained.tasks, tmp_path / "served")
    expected = trained.predict(X, verbose=0)
    right = [0, 2, 3, 5, 6, 7]
    for name, answer in serve(broken).items():
        assert np.flatnonzero(np.isnan(answer)).tolist() == [1, 4]
        np.testing.assert_allclose(answer[right], expected[name][right], atol=1e-6)


def test_without_the_check_the_network_alone_answers(trained, tmp_path):
    serve = served_by(trained.network, trained.tasks, tmp_path / "served", check_inputs=False)
    assert not np.isnan(serve(np.full((1, 3), np.nan, "float32"))["z"]).any()


def test_columns_that_an_encoder_fills_are_answered(tmp_path):
    tasks = [mtl.Task.binary("z"), mtl.Task.regression("a")]
    table = {"age": X[:, 0], "rent": np.where(np.arange(8) == 2, np.nan, X[:, 1])}
    encoder = mtl.data.tabular_encoder(table, missing={"rent": "median"})
    network = mtl.architectures.hard_sharing(keras.Input((encoder.output.shape[-1],)), tasks)
    network = mtl.data.with_preprocessing(encoder, network)
    rows = {name: np.asarray(column, "float32") for name, column in table.items()}
    answers = served_by(network, tasks, tmp_path / "served")(rows)
    expected = network.predict(rows, verbose=0)
    for name in ("z", "a"):
        assert np.isfinite(answers[name]).all()
        np.testing.assert_allclose(answers[name], expected[name], atol=1e-6)


def test_only_tasks_that_read_an_input_are_answered_with_nan(tmp_path):
    tasks = [mtl.Task.binary("z"), mtl.Task.regression("a")]
    shapes = {"table": (3,), "image": (2, 2, 1), "age": ()}
    inputs = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    filled = keras.ops.nan_to_num(inputs["table"][:, :1])
    table = keras.ops.concatenate([filled, inputs["table"][:, 1:]], -1)
    of_a = [
        table,
        keras.layers.Flatten()(inputs["image"]),
        keras.ops.reshape(inputs["age"], (-1, 1)),
    ]
    z, a = (
        task.output(keras.layers.Dense(4, "relu")(features))
        for task, features in zip(tasks, (table, keras.layers.Concatenate()(of_a)), strict=True)
    )
    network = keras.Model(inputs, {"z": z, "a": a})
    rows = {"table": X.copy(), "image": np.ones((8, 2, 2, 1), "float32"), "age": X[:, 0].copy()}
    rows["table"][[1, 4], [0, 2]] = np.nan  # the first column is filled
    rows["image"][3, 0, 1] = rows["age"][6] = np.inf
    answers = served_by(network, tasks, tmp_path / "served")(rows)
    assert np.flatnonzero(np.isnan(answers["z"])).tolist() == [4]
    assert np.flatnonzero(np.isnan(answers["a"])).tolist() == [3, 4, 6]


def test_arguments_of_the_export_are_those_of_keras(trained, tmp_path):
    with pytest.raises(ValueError, match="Unrecognized format=paper"):
        trained.export(tmp_path / "served", format="paper")


def test_the_network_is_saved_alone_and_goes_on_under_plain_keras(trained, tmp_path):
    trained.network.save(tmp_path / "network.keras")
    network = keras.saving.load_model(tmp_path / "network.keras")
    expected = trained.predict(X, verbose=0)
    outputs = network.predict(X, verbose=0)
    for name in ("z", "a"):
        np.testing.assert_allclose(outputs[name], expected[name], rtol=1e-6)
    network.compile("adam", **mtl.compile_args(list(trained.tasks)))
    network.fit(X, Y, verbose=0)

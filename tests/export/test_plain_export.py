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

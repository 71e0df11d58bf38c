import keras
import numpy as np
import pytest

from keras_mtl import Task, architectures

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3)]


def value(variable):
    return np.asarray(variable, "float64")


def dense(layer, x):
    return np.maximum(x @ value(layer.kernel) + value(layer.bias), 0)


def test_the_output_equals_the_papers_equation():
    network = architectures.cross_stitch(keras.Input((5,)), TASKS, body=(6, 4), tower=())
    rng = np.random.default_rng(0)
    network.set_weights([rng.normal(size=w.shape) for w in network.get_weights()])
    features = rng.normal(size=(7, 5))
    task_features = [features, features]
    for i in range(2):
        bodies = [network.get_layer(f"shared_{name}_body_{i}") for name in ("zeta", "alpha")]
        task_features = [dense(body, x) for body, x in zip(bodies, task_features, strict=True)]
        alphas = value(network.get_layer(f"shared_stitch_{i}").alphas)
        task_features = [sum(alphas[k, j] * task_features[j] for j in range(2)) for k in range(2)]
    outputs = network(features)
    for name, top in zip(("zeta", "alpha"), task_features, strict=True):
        head = network.get_layer(f"{name}_logits")
        expected = top @ value(head.kernel) + value(head.bias)
        np.testing.assert_allclose(outputs[name], expected, rtol=1e-4, atol=1e-4)


def test_with_an_identity_the_networks_are_separate():
    network = architectures.cross_stitch(keras.Input((5,)), TASKS, body=(6, 4), alpha=1.0)
    features = np.ones((2, 5), "float32")
    before = np.asarray(network(features)["alpha"])
    kernel = network.get_layer("shared_zeta_body_0").kernel
    kernel.assign(kernel.value + 1.0)
    np.testing.assert_array_equal(network(features)["alpha"], before)
    network.get_layer("shared_stitch_1").alphas.assign([[0.5, 0.5], [0.5, 0.5]])
    assert np.abs(np.asarray(network(features)["alpha"]) - before).max() > 1e-3


def conv(filters):
    def stage(features):
        features = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(features)
        return keras.layers.MaxPooling2D()(features)

    return stage


def test_convolutional_stages_are_recipes():
    tasks = [Task.segmentation("zeta", 3), Task.segmentation("alpha", 2)]
    network = architectures.cross_stitch(
        keras.Input((8, 8, 3)), tasks, body=[conv(4), conv(5)], per_channel=True
    )
    assert network(np.ones((2, 8, 8, 3)))["zeta"].shape == (2, 2, 2, 3)
    assert network.get_layer("shared_stitch_0").alphas.shape == (2, 2, 4)


@pytest.mark.parametrize("sequential", [True, False])
def test_each_task_begins_with_a_copy_of_a_model(sequential, tmp_path):
    layers = [keras.layers.Dense(4, name="one"), keras.layers.BatchNormalization(name="norm")]
    if sequential:
        body = keras.Sequential([keras.Input((5,)), *layers])
    else:
        entry = keras.Input((5,))
        body = keras.Model(entry, layers[1](layers[0](entry)))
    body.get_layer("norm").moving_mean.assign([1.0, 2.0, 3.0, 4.0])
    features = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    network = architectures.cross_stitch(keras.Input((5,)), TASKS, body=body, tower=())
    paths = [variable.path for variable in network.variables]
    assert len(set(paths)) == len(paths)
    assert not {id(v) for v in body.variables} & {id(v) for v in network.variables}
    for task in ("zeta", "alpha"):
        copy = network.get_layer(f"shared_{task}_body_0")
        np.testing.assert_array_equal(copy(features), body(features))
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(again(features)["alpha"], network(features)["alpha"])


def test_a_stage_that_returns_several_tensors_is_refused():
    entry = keras.Input((5,))
    body = keras.Model(entry, {"a": keras.layers.Dense(3)(entry), "b": entry}, name="both")
    with pytest.raises(TypeError, match="a stage returns one tensor; 'both' returns"):
        architectures.cross_stitch(keras.Input((5,)), TASKS, body=body)


def test_recipes_that_reuse_a_layer_are_refused():
    live = keras.layers.Dense(5)
    with pytest.raises(ValueError, match="'zeta' and 'alpha' share the layer"):
        architectures.cross_stitch(keras.Input((5,)), TASKS, body=[5, lambda x: live(x)])


@pytest.mark.parametrize("body", [(), (0,), ("relu",), None, [keras.layers.Dense]])
def test_a_body_without_stages_is_refused(body):
    with pytest.raises((TypeError, ValueError), match="body"):
        architectures.cross_stitch(keras.Input((5,)), TASKS, body=body)

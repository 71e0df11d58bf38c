import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import BalancedModel, Task, architectures, balancers
from keras_mtl.data import Branch, mixture

TASKS = [Task.regression("price", metrics=()), Task.binary("liked", metrics=())]
RNG = np.random.default_rng(0)
X = {name: RNG.normal(size=(12, 3)).astype("float32") for name in ("words", "pixels")}
Y = {"price": RNG.normal(size=12).astype("float32"), "liked": RNG.integers(0, 2, 12)}
LABEL = {"words": "price", "pixels": "liked"}
SETS = {
    name: tf.data.Dataset.from_tensor_slices(({name: X[name]}, {label: Y[label]}))
    for name, label in LABEL.items()
}


def make_model(name):
    x = keras.Input((3,))
    features = keras.layers.Dense(4, bias_initializer="ones", name=f"{name}_dense")(x)
    features = keras.layers.BatchNormalization(name=f"{name}_norm")(features)
    return keras.Model(x, keras.layers.Activation("relu")(features), name=f"{name}_model")


def make_network():
    """Returns a network of two branches under one shared body, and the models in the branches."""
    keras.utils.set_random_seed(0)
    models = {name: make_model(name) for name in LABEL}
    inputs = {name: keras.Input((3,), name=name) for name in LABEL}
    branches = [Branch(models[name], name=f"{name}_branch")(inputs[name]) for name in LABEL]
    features = keras.layers.Add(name="sum")(branches)
    return architectures.hard_sharing(features, TASKS, shared=(5,), tower=()), models


def gradients(task, network, variables, x, y, w=None):
    with tf.GradientTape() as tape:
        outputs = network(x, training=True)
        loss = task.make_loss()(y, outputs[task.name], w)
    computed = tape.gradient(loss, [variable.value for variable in variables])
    return [
        np.zeros(v.shape) if g is None else np.asarray(g)
        for g, v in zip(computed, variables, strict=True)
    ]


def test_gradients_and_statistics_are_those_of_the_rows_that_have_the_input():
    mixed, models = make_network()
    ((x, y, w),) = mixture(SETS, TASKS, batch_size=24)
    in_mixture = {
        task.name: gradients(task, mixed, mixed.trainable_variables, x, y[task.name], w[task.name])
        for task in TASKS
    }
    plain, plain_models = make_network()  # one model after the other, without the layer
    rest = keras.Model(plain.get_layer("sum").output, plain.output)
    for task in TASKS:
        (name,) = [name for name, label in LABEL.items() if label == task.name]
        single = keras.Model(plain_models[name].input, rest(plain_models[name].output))
        expected = gradients(task, single, plain.trainable_variables, X[name], Y[task.name])
        for got, wanted in zip(in_mixture[task.name], expected, strict=True):
            np.testing.assert_allclose(got, wanted, atol=1e-6)
    means = [models[n].get_layer(f"{n}_norm").moving_mean for n in LABEL for _ in TASKS]
    # Two passes in training: the average moved twice towards the mean of the rows.
    for mean, name in zip(means, ["words", "words", "pixels", "pixels"], strict=True):
        dense = models[name].get_layer(f"{name}_dense")
        expected = np.asarray(dense(X[name])).mean(axis=0) * (1 - 0.99**2)
        np.testing.assert_allclose(mean, expected, rtol=1e-4, atol=1e-7)


def test_a_branch_stays_as_it_is_where_no_row_has_its_input():
    network, models = make_network()
    pixels_before = models["pixels"].get_weights()
    words_before = models["words"].get_weights()
    model = BalancedModel(network, TASKS, balancers.PCGrad())
    model.compile(keras.optimizers.SGD(0.1))
    batches = {"words": SETS["words"].batch(6)}
    only = mixture(batches | {"pixels": SETS["pixels"].batch(6)}, TASKS, sampling="round_robin")
    model.fit(only.take(1), verbose=0)
    for got, wanted in zip(models["pixels"].get_weights(), pixels_before, strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert np.all(models["words"].get_weights()[0] != words_before[0])


def test_a_network_with_branches_is_saved_loaded_and_served(tmp_path):
    network, _ = make_network()
    x = {"words": X["words"][:4], "pixels": np.zeros((4, 3), "float32")}
    expected = network(x)
    network.save(tmp_path / "n.keras")
    np.testing.assert_allclose(
        keras.models.load_model(tmp_path / "n.keras")(x)["price"], expected["price"], atol=1e-6
    )
    network.export(tmp_path / "served", verbose=False)
    x = {name: tf.constant(values) for name, values in x.items()}
    loaded = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(loaded.serve(x)["price"], expected["price"], atol=1e-6)


def test_texts_and_images_have_branches_too():
    images = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
    x = RNG.normal(size=(3, 2, 2, 1)).astype("float32")
    x[1] = 0
    np.testing.assert_array_equal(Branch(images)(x), x.reshape(3, 4))
    text = keras.Input((), dtype="string")
    lengths = keras.layers.StringLookup(vocabulary=["a", "b"])(text)
    lookup = keras.Model(text, keras.layers.Reshape((1,))(lengths))
    indices = Branch(lookup)(tf.constant(["b", "", "?"]))
    assert np.asarray(indices).tolist() == [[2], [0], [0]]


@pytest.mark.parametrize("rows", [0, 5])
def test_no_row_at_all_gives_zeros(rows):
    branch = Branch(make_model("words"))
    np.testing.assert_array_equal(branch(tf.zeros((rows, 3))), np.zeros((rows, 4)))

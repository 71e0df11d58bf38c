"""Scores of arrays and of networks, beside numbers by hand and other roads."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Head, Task, active
from keras_mtl.active._asking._networks import drawer

TASKS = [
    Task.multiclass("z", 3),
    Task.binary("a"),
    Task.multilabel("m", columns=["one", "two"]),
    Task.regression("n"),
]
KINDS = TASKS[:3]
X = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")


def shared(features):
    features = keras.layers.Dense(6, activation="relu")(features)
    features = keras.layers.BatchNormalization()(features)
    return keras.layers.Dropout(0.4)(features)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(3)
    network_of_all = mtl.architectures.hard_sharing(
        keras.Input((4,)), TASKS, shared=shared, tower=()
    )
    for layer in network_of_all.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign([0.1, 0.2, 0.3, 0.0, 0.5, 0.1])
            layer.moving_variance.assign([0.5, 0.2, 0.3, 1.0, 0.5, 2.0])
    return network_of_all


def state_of(network):
    return [np.array(variable) for variable in network.variables]


def test_the_golden_values():
    p = [0.5, 0.3, 0.2]
    assert active.entropy(p) == pytest.approx(1.0297, abs=5e-5)
    assert active.margin(p) == pytest.approx(1 - 0.2)
    assert active.least_confidence(p) == pytest.approx(0.5)
    draws = [[[0.9, 0.1], [0.5, 0.5]], [[0.1, 0.9], [0.5, 0.5]]]
    np.testing.assert_allclose(active.bald(draws), [0.3681, 0.0], atol=5e-5)
    assert active.entropy([1.0, 0.0]) == 0.0  # 0 log 0
    rows = active.GradientEmbedding(np.array([[-0.5, 0.3, 0.2]]), np.array([[1.0, 2.0]]))
    np.testing.assert_allclose(rows.vectors(), [[-0.5, -1, 0.3, 0.6, 0.2, 0.4]])
    assert rows.squared_lengths()[0] == pytest.approx(1.9)


@pytest.mark.parametrize("rule", ["margin", "entropy", "least_confidence"])
def test_scores_are_those_of_the_predictions(network, rule):
    scores = active.score(network, X, KINDS, rule, batch_size=3)
    assert set(scores) == {"z", "a", "m.one", "m.two"}
    outputs = {name: np.asarray(value, "float64") for name, value in network(X).items()}
    function = getattr(active, rule)
    np.testing.assert_allclose(scores["z"], function(outputs["z"]), atol=1e-6)
    for name, chance in [("a", outputs["a"][:, 0]), ("m.two", outputs["m"][:, 1])]:
        expected = function(np.stack([1 - chance, chance], -1))
        np.testing.assert_allclose(scores[name], expected, atol=1e-6)


def test_rows_come_as_arrays_or_as_a_dataset_and_the_network_in_its_model(network):
    expected = active.score(network, X, KINDS)
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.Equal())
    labels = {task.name: np.zeros(7) for task in TASKS}
    for rows in (
        tf.data.Dataset.from_tensor_slices(X).batch(7),
        tf.data.Dataset.from_tensor_slices((X, labels)).batch(4),
    ):
        scores = active.score(model, rows, KINDS)
        for name, values in scores.items():
            np.testing.assert_allclose(values, expected[name], atol=1e-6)


def test_masked_tokens_do_not_count_and_logits_are_no_probabilities():
    tasks = [
        Task.tagging("tag", 3),
        Task("raw", head=Head(2), loss=keras.losses.SparseCategoricalCrossentropy(True)),
        Task("sign", head=Head(1), loss=keras.losses.BinaryCrossentropy(True)),
    ]
    ids = keras.Input((4,), dtype="int32")
    tokens = keras.layers.Embedding(9, 5, mask_zero=True)(ids)
    pooled = keras.layers.GlobalAveragePooling1D()(tokens)
    outputs = {
        "tag": keras.layers.Dense(3, activation="softmax", name="tag")(tokens),
        "raw": keras.layers.Dense(2, name="raw")(pooled),
        "sign": keras.layers.Dense(1, name="sign")(pooled),
    }
    network = keras.Model(ids, outputs)
    rows = np.array([[1, 2, 0, 0], [3, 4, 5, 6], [7, 0, 0, 0]])
    scores = active.score(network, rows, tasks)
    predictions = {name: np.asarray(value) for name, value in network(rows).items()}
    by_token = active.margin(predictions["tag"])
    expected = [by_token[0, :2].mean(), by_token[1].mean(), by_token[2, 0]]
    np.testing.assert_allclose(scores["tag"], expected, atol=1e-6)
    softmax = np.exp(predictions["raw"]) / np.exp(predictions["raw"]).sum(-1, keepdims=True)
    np.testing.assert_allclose(scores["raw"], active.margin(softmax), atol=1e-6)
    sigmoid = 1 / (1 + np.exp(-predictions["sign"][:, 0]))
    np.testing.assert_allclose(scores["sign"], 1 - np.abs(2 * sigmoid - 1), atol=1e-6)


def test_the_variance_of_a_number_is_that_of_its_dropped_units(network):
    scores = active.score(network, X[:3], TASKS, {"n": "bald"}, draws=400)["n"]
    layers = {type(layer).__name__: layer for layer in network.layers}
    features = keras.Model(network.input, layers["BatchNormalization"].output)(X[:3])
    kernel = next(v for v in network.trainable_variables if v.shape == (6, 1) and "n_" in v.path)
    terms = np.square(np.asarray(features) * np.asarray(kernel)[:, 0])
    expected = 0.4 / 0.6 * terms.sum(1)  # of Bernoulli variables divided by 1 - p
    np.testing.assert_allclose(scores, expected, rtol=0.25)


def test_draws_change_nothing_and_depend_on_the_seed_alone(network):
    before = state_of(network)
    first, again, other = (
        active.score(network, X, TASKS[:1], "bald", draws=4, seed=seed)["z"] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any() and (first > 0).any()
    for old, new in zip(before, state_of(network), strict=True):
        np.testing.assert_array_equal(old, new)
    assert all(layer.trainable for layer in network.layers)


def test_draws_take_the_moving_averages_of_batch_normalization(network):
    """Checks it with one row, whose statistics of the batch would be its own numbers."""
    copied = keras.models.clone_model(network)
    copied.set_weights(network.get_weights())
    for layer in copied.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 1e-9
    (drawn,) = drawer(copied, ["z"], 1, 0)(tf.constant(X[:1]), 0)
    np.testing.assert_allclose(drawn["z"], network(X[:1])["z"], atol=1e-6)


def test_gradients_are_those_of_the_likeliest_labels(network):
    embeddings = active.gradient_embeddings(network, X, KINDS, batch_size=4)
    kernels = {
        name: next(v for v in network.trainable_variables if f"/{name}_" in f"/{v.path}")
        for name in "zam"
    }
    for row in range(3):
        with tf.GradientTape(persistent=True) as tape:
            outputs = network(X[row : row + 1])
            chances = {"z": outputs["z"][0]}
            likeliest = tf.argmax(chances["z"])
            losses = {"z": -tf.math.log(chances["z"][likeliest])}
            for name in "am":
                p = outputs[name][0]
                losses[name] = -tf.reduce_sum(tf.math.log(tf.maximum(p, 1 - p)))
        for name in "zam":
            gradient = tape.gradient(losses[name], kernels[name].value)
            embedding = embeddings.get(name) or embeddings["m.two"]
            vector = embedding.vectors()[row].reshape(embedding.errors.shape[1], -1).T
            expected = gradient.numpy()[:, -1:] if name == "m" else gradient.numpy()
            np.testing.assert_allclose(vector, expected, atol=1e-6)
    vectors = embeddings["z"].vectors()
    distances = np.square(vectors - vectors[2]).sum(1)
    np.testing.assert_allclose(embeddings["z"].squared_distances(2), distances, atol=1e-9)


def plain(tasks):
    return mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(3,))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: active.margin([0.5, 0.6]), "sum to 1.1; expected 1. Logits need"),
        (lambda n: active.entropy([1.2, -0.2]), "holds 1.2; expected probabilities"),
        (lambda n: active.entropy([[0.4]]), "stack those of no and yes"),
        (lambda n: active.bald([[0.5, 0.5]]), "two or more draws"),
        (lambda n: active.score(n, X, TASKS), "task 'n' predicts a number, which has no margin"),
        (lambda n: active.score(n, X, TASKS, "best"), "task 'z': rule must be one of"),
        (lambda n: active.score(n, X, TASKS, {"q": "margin"}), "rule names 'q', which is no task"),
        (lambda n: active.score(n, X, [Task.binary("q")]), "no output for the task 'q'"),
        (lambda n: active.score(n, X[:0], KINDS), "at least one row"),
        (lambda n: active.score(plain(KINDS), X, KINDS, "bald"), "give it keras.layers.Dropout"),
        (lambda n: active.score(lambda x: x, X, KINDS), "call active.margin"),
        (
            lambda n: active.score(n, X, [Task.ranking("r", 3)]),
            "task 'r': no rule is known for predictions of the kind 'scores'",
        ),
        (lambda n: active.gradient_embeddings(n, X, TASKS), "is of the kind 'number'"),
    ],
)
def test_what_cannot_be_scored_is_refused(network, call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(network)


def test_rows_that_are_not_finite_are_refused_also_where_a_relu_hides_it(network):
    rows = X.copy()
    rows[4, 2], rows[5, 2] = np.nan, np.inf
    inputs = keras.Input((4,))
    hidden = keras.layers.Lambda(lambda x: keras.ops.where(x > 0, x, 0.0))(inputs)
    deaf = keras.Model(inputs, {"a": keras.layers.Dense(1, activation="sigmoid")(hidden)})
    tasks = TASKS[1:2]
    assert np.isfinite(deaf(rows)["a"]).all() != np.isfinite(network(rows)["a"]).all()
    for asked in (network, deaf):
        for data in (rows, tf.data.Dataset.from_tensor_slices(rows).batch(3)):
            for ask in (active.score, active.gradient_embeddings):
                with pytest.raises(ValueError, match=r"column\(s\) 2 \(nan, inf; first in row "):
                    ask(asked, data, tasks)

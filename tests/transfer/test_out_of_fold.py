"""out_of_fold beside scikit-learn's cross_val_predict and loops by hand, and what it refuses."""

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_predict,
)

import keras_mtl as mtl
from keras_mtl import Task
from keras_mtl.transfer import out_of_fold

TASKS = [Task.regression("a"), Task.regression("b", 2)]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(23, 3)).astype("float32")
Y = {"a": RNG.normal(size=23), "b": RNG.normal(size=(23, 2))}
GROUPS = np.array(list("abcdefgabcdefgabcabcaab"))


def fit(x, y, w):
    """Returns a network of one linear layer per task, with the coefficients of least squares."""
    inputs = keras.Input((3,))
    outputs = {}
    for name, labels in y.items():
        labels = labels.reshape(len(labels), -1)
        line = LinearRegression().fit(x, labels, sample_weight=w and w[name])
        layer = keras.layers.Dense(labels.shape[1])
        outputs[name] = layer(inputs)
        layer.set_weights([line.coef_.T, line.intercept_])
    return keras.Model(inputs, outputs)


def by_scikit_learn(name, folds, groups=None, params=None):
    expected = cross_val_predict(
        LinearRegression(), X, Y[name], cv=folds, groups=groups, params=params
    )
    return expected.reshape(23, -1)


@pytest.mark.parametrize(
    ("folds", "groups", "same"),
    [
        (4, None, KFold(4, shuffle=True, random_state=0)),
        (KFold(5), None, KFold(5)),
        (3, GROUPS, GroupKFold(3)),
        (GroupKFold(2), GROUPS, GroupKFold(2)),
        (list(KFold(2).split(X)), None, KFold(2)),
    ],
    ids=["number", "splitter", "number of groups", "splitter of groups", "pairs"],
)
def test_predictions_are_those_of_scikit_learn(folds, groups, same):
    predictions = out_of_fold(fit, X, Y, tasks=TASKS, folds=folds, groups=groups)
    for name in "ab":
        expected = by_scikit_learn(name, same, groups)
        np.testing.assert_allclose(predictions[name], expected, rtol=1e-4, atol=1e-5)


def test_weights_are_those_of_the_rows():
    weights = {"a": RNG.uniform(0.5, 2, 23), "b": RNG.uniform(0.5, 2, 23)}
    predictions = out_of_fold(fit, X, Y, weights, tasks=TASKS, folds=KFold(4))
    expected = by_scikit_learn("a", KFold(4), params={"sample_weight": weights["a"]})
    np.testing.assert_allclose(predictions["a"], expected, rtol=1e-4, atol=1e-5)


def test_a_splitter_sees_the_labels_of_one_task_and_rows_without_a_label_get_predictions():
    kinds = np.array([0] * 9 + [1] * 6)
    labels, weights = np.where(np.arange(15) == 2, 0, kinds), 1.0 * (np.arange(15) != 2)
    seen = []

    def train(x, y, w):
        seen.append((y["kind"].sum(), w["kind"].sum()))
        return constant(len(seen), "kind")

    predictions = out_of_fold(
        train,
        X[:15],
        {"kind": labels},
        {"kind": weights},
        tasks=[Task.binary("kind")],
        folds=StratifiedKFold(3),
    )
    assert seen == [(4, 10), (4, 9), (4, 9)]
    folds = [fold for _, fold in StratifiedKFold(3).split(X[:15], kinds)]
    for number, fold in enumerate(folds):
        np.testing.assert_array_equal(predictions["kind"][fold], number + 1.0)


def constant(value, *names):
    inputs = keras.Input((3,))
    layers = {name: keras.layers.Dense(1, kernel_initializer="zeros") for name in names}
    network = keras.Model(inputs, {name: layer(inputs) for name, layer in layers.items()})
    for layer in layers.values():
        layer.bias.assign([value])
    return network


@pytest.mark.slow
def test_a_balanced_model_gives_the_numbers_of_a_loop_by_hand():
    tasks = [Task.binary("a", metrics=())]
    y = {"a": (X[:, 0] > 0).astype("float32")}

    def train(x, y, w):
        keras.utils.set_random_seed(0)
        network = mtl.architectures.hard_sharing(keras.Input((3,)), tasks, shared=(4,), tower=())
        model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
        model.compile(keras.optimizers.SGD(0.1))
        model.fit(x, y, sample_weight=w, batch_size=6, epochs=2, verbose=0)
        return model

    predictions = out_of_fold(train, X, y, tasks=tasks, folds=2)["a"]
    for outside, fold in KFold(2, shuffle=True, random_state=0).split(X):
        network = train(X[outside], {"a": y["a"][outside]}, None).network
        np.testing.assert_array_equal(predictions[fold], network.predict(X[fold], verbose=0)["a"])


@pytest.mark.parametrize(
    "x",
    [
        pd.DataFrame(X, index=range(100, 123)),
        tf.constant(X),
        {"x": X, "more": X},
        [X, X],
        scipy.sparse.coo_matrix(X),
        {"x": tf.ragged.constant([list(row)[: 1 + i % 3] for i, row in enumerate(X)])},
    ],
    ids=["frame", "tensor", "dict", "list", "sparse", "ragged"],
)
def test_rows_are_taken_from_any_structure(x):
    received = []

    def train(x, y, w):
        received.append((x, y["a"]))
        raise InterruptedError

    with pytest.raises(InterruptedError):
        out_of_fold(train, x, {"a": np.arange(23.0)}, tasks=TASKS[:1], folds=KFold(2))
    (part, labels) = received[0]
    assert labels.tolist() == list(range(12, 23))
    for leaf, whole in zip(tf.nest.flatten(part), tf.nest.flatten(x), strict=True):
        if isinstance(leaf, tf.RaggedTensor):
            assert leaf.to_list() == whole.to_list()[12:]
        else:
            array = leaf.toarray() if hasattr(leaf, "toarray") else np.asarray(leaf)
            np.testing.assert_array_equal(array, X[12:])


def test_both_stages_are_one_network_that_is_saved_and_served(tmp_path):
    kind, price = Task.multiclass("kind", 4), Task.regression("price")
    first = mtl.architectures.hard_sharing(keras.Input((3,)), [kind], name="kinds")
    inputs = {"x": keras.Input((3,), name="x"), "kind": keras.Input((4,), name="kind")}
    second = mtl.architectures.hard_sharing(inputs, [price], name="prices")
    x = keras.Input((3,), name="x")
    answers = first(x)
    network = keras.Model(x, {**answers, **second({"x": x, **answers})})
    network.save(tmp_path / "network.keras")
    mtl.export.saved_model(network, [kind, price], tmp_path / "1")
    served = tf.saved_model.load(tmp_path / "1").signatures["serving_default"](x=tf.constant(X))
    kinds = first.predict(X, verbose=0)["kind"]
    expected = second.predict({"x": X, "kind": kinds}, verbose=0)["price"]
    np.testing.assert_allclose(served["price"], expected, rtol=1e-5, atol=1e-6)
    loaded = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_allclose(loaded.predict(X, verbose=0)["kind"], kinds, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"folds": 24}, "folds=24 needs as many rows at least; there are 23"),
        ({"folds": 8, "groups": GROUPS}, "folds=8 needs as many groups at least; there are 7"),
        ({"folds": 1}, "folds is 1; expected a whole number >= 2"),
        ({"folds": True}, "folds is True; expected a whole number"),
        ({"folds": "5"}, "folds is '5'"),
        ({"folds": None}, "folds is None"),
        ({"folds": TimeSeriesSplit(3)}, "exactly one fold; 8 rows are in none and 0 in several"),
        ({"folds": [([0, 1], np.arange(23))]}, "fold 0: 2 of its rows are also outside of it"),
        ({"folds": [([0, 99], np.arange(23))]}, "some of the rows 0 to 22; received 2"),
        (
            {"folds": list(KFold(4).split(X)), "groups": GROUPS},
            "groups have rows inside and outside",
        ),
        ({"groups": GROUPS[:9]}, r"group of each of the 23 rows; received the shape \(9,\)"),
        ({"groups": [None, *GROUPS[1:]]}, "23 rows; received the shape .* with 1 missing"),
        ({"groups": [np.nan, *range(22)]}, "23 rows; received the shape .* with 1 missing"),
        ({"x": {"long": X, "short": X[:9]}}, r"arrays of the lengths \[9, 23\]"),
        ({"x": X.tolist()}, "hold single numbers"),
        ({"y": {"a": Y["a"]}}, "no label for task 'b'"),
        ({"y": {**Y, "a": np.full(23, np.nan)}}, "task 'a': a label is NaN and has a weight"),
        ({"y": {**Y, "a": Y["a"][:9]}}, "task 'a'.* 9 labels for 23"),
        (
            {"sample_weight": {"a": np.ones(23), "b": 1.0 * (np.arange(23) == 0)}},
            r"no row outside of it has a label of task 'b' \(1 of 23 rows have one\)",
        ),
    ],
)
def test_rows_and_folds_that_do_not_fit_are_refused(arguments, match):
    def train(x, y, w):
        pytest.fail("a network was trained")

    with pytest.raises(ValueError, match=match):
        out_of_fold(train, **{"x": X, "y": Y, "tasks": TASKS, **arguments})


def test_a_network_that_goes_on_learning_from_fold_to_fold_is_refused():
    network = constant(1.0, "a")
    body = keras.layers.Dense(1)

    def share(x, y, w):
        inputs = keras.Input((3,))
        return keras.Model(inputs, {"a": body(inputs)})

    for train in (lambda x, y, w: network, share):
        with pytest.raises(ValueError, match=r"fold 1 of 3: .* of fold 0, which has seen the lab"):
            out_of_fold(train, X, {"a": Y["a"]}, tasks=TASKS[:1], folds=3)
    body.trainable = False
    assert out_of_fold(share, X, {"a": Y["a"]}, tasks=TASKS[:1], folds=3)["a"].shape == (23, 1)


@pytest.mark.parametrize(
    ("network", "error", "match"),
    [
        (None, TypeError, "train must return the keras.Model that it has trained; received None"),
        (constant(1.0, "c"), TypeError, r"each of the tasks \['a'\]; it predicts \['c'\]"),
        (constant(np.nan, "a"), ValueError, "fold 0 of 5: .* task 'a' that are not finite"),
    ],
)
def test_networks_that_do_not_predict_are_refused(network, error, match):
    with pytest.raises(error, match=match):
        out_of_fold(lambda x, y, w: network, X, {"a": Y["a"]}, tasks=TASKS[:1])

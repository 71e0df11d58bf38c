"""Rules in `fit`: labels are not needed, and what was saved goes on."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task, export, rules

TASKS = [
    Task.binary("z"),
    Task.binary("a"),
    Task.multilabel("t", 3, loss=rules.MaxConstraint({1: 0, 2: 0}, 3)),
]
X = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")


def data():
    """Yields rows in which the labels of `z` and `a` are all missing."""
    labels = {name: np.full(32, np.nan) for name in "za"}
    labels["t"] = np.stack([X[:, 0] > -1, X[:, 0] > 0, X[:, 0] > 1], -1).astype("float64")
    labels["t"][::4, 1] = np.nan
    return mtl.data.mask_missing(tf.data.Dataset.from_tensor_slices((X, labels)).batch(16), TASKS)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    keras.utils.set_random_seed(3)
    network = mtl.architectures.hard_sharing(keras.Input((3,)), TASKS, shared=(8,), tower=())
    rule = rules.implies("z", "a", 1.0, name="funnel")
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.PCGrad(), penalties=[rule])
    model.compile(keras.optimizers.Adam(0.05))
    first = network.predict(X, verbose=0)
    history = model.fit(data(), epochs=8, verbose=0).history
    path = tmp_path_factory.mktemp("rules") / "model.keras"
    model.save(path)
    return first, history, model, path


def test_rows_without_labels_learn_the_rule(trained):
    first, history, model, _ = trained
    assert (first["z"] > first["a"]).mean() > 0.1
    assert history["funnel_violation"][-1] < 0.6 * history["funnel_violation"][0]
    assert history["funnel_penalty"][-1] < history["funnel_penalty"][0]
    answers = model.predict(X, verbose=0)
    expected = -np.log(1 - answers["z"] * (1 - answers["a"])).mean()
    logs = model.evaluate(data(), verbose=0, return_dict=True)
    assert logs["funnel_penalty"] == pytest.approx(expected, rel=1e-4)
    assert logs["funnel_violation"] == pytest.approx((answers["z"] > answers["a"] + 1e-6).mean())


def test_a_saved_model_knows_its_rules(trained):
    _, _, model, path = trained
    again = keras.saving.load_model(path)
    assert again.evaluate(data(), verbose=0) == model.evaluate(data(), verbose=0)
    served = export.with_rules(again, again.penalties)
    answers = served.predict(X, verbose=0)
    assert (answers["z"] <= answers["a"]).all()

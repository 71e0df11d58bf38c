"""Pseudo-labels and consistency, beside numbers by hand and beside labels that are passed."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task
from keras_mtl.unlabeled import Consistency, PseudoLabels

TASKS = [
    Task.multiclass("z", 3),
    Task.binary("a"),
    Task.multilabel("m", columns=["one", "two"]),
    Task.multilabel("s", 2),
    Task.multiclass("h", 3, labels="one_hot"),
]
X = np.random.default_rng(0).normal(size=(4, 4)).astype("float32")
OUTPUTS = {
    "z": [[0.96, 0.02, 0.02], [0.1, 0.85, 0.05], [0.0, 0.0, 1.0], [0.02, 0.97, 0.01]],
    "a": [[0.01], [0.96], [0.5], [0.04]],
    "m": [[0.99, 0.5], [0.02, 0.97], [0.9, 0.1], [0.99, 0.99]],
    "s": [[0.99, 0.5], [0.02, 0.97], [0.9, 0.1], [0.99, 0.99]],
    "h": [[0.96, 0.02, 0.02], [0.1, 0.85, 0.05], [0.0, 0.0, 1.0], [0.02, 0.97, 0.01]],
}


def small_network(tasks):
    return mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(5,), tower=())


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(2)
    return small_network(TASKS)


def test_sure_predictions_become_labels_where_there_are_none(network):
    hook = PseudoLabels(0.95, weight=0.5)
    hook.bind(network, TASKS)
    labels = {
        "z": np.array([0, 0, 1, 0]),
        "a": np.zeros(4, "float32"),
        "m": np.zeros((4, 2), "float32"),
        "s": np.zeros((4, 2), "float32"),
        "h": np.eye(3, dtype="float32")[[0, 0, 1, 0]],
    }
    weights = {
        "z": np.array([0.0, 0.0, 2.0, 0.0], "float32"),
        "a": np.zeros((4, 1), "float32"),
        "m": np.array([[0, 0], [0, 0], [0, 0], [1, 0]], "float32"),
        "s": np.array([0, 0, 0, 1], "float32"),
        "h": np.array([0.0, 0.0, 2.0, 0.0], "float32"),
    }

    def tensors(arrays):
        return {name: tf.constant(array) for name, array in arrays.items()}

    outputs = {name: tf.constant(values) for name, values in OUTPUTS.items()}
    _, y, w = hook.prepare(lambda x: outputs, X, tensors(labels), tensors(weights), None)
    assert y["z"].dtype == labels["z"].dtype
    expected = {
        "z": ([0, 0, 1, 1], [0.5, 0, 2, 0.5]),
        "a": ([0, 1, 0, 0], [[0.5], [0.5], [0], [0.5]]),
        "m": ([[1, 0], [0, 1], [0, 0], [0, 1]], [[0.5, 0], [0.5, 0.5], [0, 0], [1, 0.5]]),
        # One weight for the row: both entries have to be sure.
        "s": ([[0, 0], [0, 1], [0, 0], [0, 0]], [0, 0.5, 0, 1]),
        "h": (np.eye(3)[[0, 0, 1, 1]], [0.5, 0, 2, 0.5]),
    }
    for name, (label, weight) in expected.items():
        np.testing.assert_array_equal(y[name], label, err_msg=name)
        np.testing.assert_array_equal(w[name], weight, err_msg=name)


def test_a_step_equals_one_with_these_labels():
    tasks = TASKS[:2]
    labels = {"z": np.array([0, 1, 0, 0]), "a": np.zeros(4)}
    weights = {"z": np.array([1.0, 0, 0, 0]), "a": np.array([0.0, 1, 0, 0])}
    results = []
    for hooked in (True, False):
        keras.utils.set_random_seed(3)
        network = small_network(tasks)
        y, w = dict(labels), dict(weights)
        if not hooked:
            chances = {name: np.asarray(value) for name, value in network(X).items()}
            yes = chances["a"][:, 0]
            best = {"z": chances["z"].argmax(1), "a": yes > 0.5}
            sure = {"z": chances["z"].max(1) >= 0.51, "a": np.maximum(yes, 1 - yes) >= 0.51}
            assert 0 < sure["z"][weights["z"] == 0].sum() < 3 or sure["a"].any()
            for name in y:
                takes = (w[name] == 0) & sure[name]
                y[name] = np.where(takes, best[name], y[name])
                w[name] = np.where(takes, 1.0, w[name])
        hook = PseudoLabels(0.51) if hooked else None
        model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal(), prepare=hook)
        model.compile(keras.optimizers.SGD(0.5))
        model.fit(X, y, sample_weight=w, batch_size=4, verbose=0, shuffle=False)
        results.append([np.array(v) for v in network.trainable_variables])
    for first, second in zip(*results, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)


@keras.saving.register_keras_serializable(package="tests_of_unlabeled")
class Shift(keras.layers.Layer):
    """Adds 1 to all entries."""

    def call(self, inputs):
        """Returns larger inputs."""
        return inputs + 1.0


@pytest.mark.parametrize("threshold", [None, 0.55])
def test_consistency_compares_changed_rows_with_the_rows_themselves(threshold):
    keras.utils.set_random_seed(5)
    tasks = [TASKS[0], Task.binary("a", weight=2.0), Task.regression("n")]
    network = small_network(tasks)
    before, after = ({n: np.asarray(v) for n, v in network(x).items()} for x in (X, X + 1))
    if threshold is None:
        kl = (before["z"] * np.log(before["z"] / after["z"])).sum(1)
        for p, q in ((before["a"], after["a"]), (1 - before["a"], 1 - after["a"])):
            kl = kl + 2 * (p * np.log(p / q))[:, 0]
    else:
        best = before["z"].argmax(1)
        is_sure = before["z"].max(1) >= threshold
        kl = is_sure * -np.log(after["z"][range(4), best])
        yes, q = before["a"][:, 0], after["a"][:, 0]
        right = np.where(yes > 0.5, q, 1 - q)
        kl = kl - 2 * (np.maximum(yes, 1 - yes) >= threshold) * np.log(right)
    assert kl.max() > 0
    hook = Consistency(Shift(), 3.0, threshold=threshold, tasks=["z", "a"], name="steady")
    model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal(), prepare=hook)
    model.compile(keras.optimizers.SGD(0.0))
    labels = {name: np.zeros(4) for name in "zan"}
    logs = model.fit(X, labels, batch_size=4, verbose=0).history
    assert logs["steady_penalty"][0] == pytest.approx(kl.mean(), rel=1e-4)
    # Half of the rows that the network has seen have labels: the loss is that of the batch.
    plain = {"z": -np.log(before["z"][:, 0]).mean(), "n": np.square(before["n"]).mean()}
    for name, value in plain.items():
        assert logs[f"{name}_loss"][0] == pytest.approx(value, rel=1e-4)


def test_only_changed_rows_are_pulled():
    """Checks that the prediction for the row itself counts as constant."""
    keras.utils.set_random_seed(5)
    tasks = TASKS[:1]
    network = small_network(tasks)
    hook = Consistency(Shift(), name="steady")
    hook.bind(network, tasks)
    x, _, w = hook.prepare(None, tf.constant(X), {"z": tf.zeros(4)}, {"z": tf.ones(4)}, None)
    assert len(x) == 8 and w["z"].numpy().tolist() == [1] * 4 + [0] * 4
    outputs = tf.Variable(network(x)["z"])
    with tf.GradientTape() as tape:
        rows = hook.penalties[0].penalize({"z": tf.convert_to_tensor(outputs)}, w)
    gradient = tape.gradient(rows, outputs)
    assert not gradient[:4].numpy().any() and gradient[4:].numpy().all()


@pytest.mark.parametrize(
    "hook",
    [
        PseudoLabels(0.9, weight=0.5, tasks=["z"], name="guess"),
        Consistency(Shift(), 2.0, threshold=0.8, on="x", name="steady"),
    ],
)
def test_a_hook_is_saved_with_its_arguments(hook):
    config = keras.saving.serialize_keras_object(hook)
    loaded = keras.saving.deserialize_keras_object(config)
    assert keras.saving.serialize_keras_object(loaded) == config


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PseudoLabels(1.0), "threshold is 1.0; expected"),
        (lambda: PseudoLabels(0.5), "threshold is 0.5; expected"),
        (lambda: PseudoLabels(weight=0), "weight is 0; expected"),
        (lambda: PseudoLabels(tasks=["q"], name="p"), "'p': ['q'] are no tasks"),
        (lambda: PseudoLabels(tasks=["n"], name="p"), "['n'] predict none. Name others"),
        (lambda: Consistency(lambda x: x, name="c"), "'c': change must be a Keras layer"),
        (lambda: Consistency(Shift(), 0.0), "strength is 0.0"),
        (lambda: Consistency(Shift(), threshold=0.2), "threshold is 0.2"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    tasks = [Task.binary("a"), Task.regression("n")]
    with pytest.raises(ValueError, match=re.escape(message)):
        make().bind(small_network(tasks), tasks)


def test_a_change_of_the_shape_is_refused(network):
    hook = Consistency(keras.layers.Dense(3), name="c")
    hook.bind(network, TASKS)
    message = "changes the shape of the input from (4, 4) to (4, 3)"
    with pytest.raises(ValueError, match=re.escape(message)):
        hook.prepare(None, tf.constant(X), {}, {}, None)
    with pytest.raises(ValueError, match="on must name one of the inputs"):
        hook.prepare(None, {"u": tf.constant(X)}, {}, {}, None)

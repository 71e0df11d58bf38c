"""Old values and the Fisher information, beside numbers by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Head, Task, transfer

layers = keras.layers
ROWS = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]], "float32")


def logistic(task=None):
    """Builds p = sigmoid(x theta) with theta (1, -1)."""
    x = keras.Input((2,), name="x")
    output = layers.Dense(1, "sigmoid", use_bias=False, name="shared_theta")(x)
    network = keras.Model(x, {"z": layers.Identity(name="z")(output)})
    network.get_layer("shared_theta").kernel.assign([[1.0], [-1.0]])
    return network, [task or Task("z", head=Head(1, "sigmoid"), loss="binary_crossentropy")]


def batches(x, labels, size=2):
    return tf.data.Dataset.from_tensor_slices((x, labels)).batch(size)


def importances(penalty):
    return np.concatenate([np.ravel(v) for v in penalty.importances.values()])


def test_the_fisher_information_takes_labels_of_the_network():
    network, tasks = logistic()
    penalty = transfer.remember(network, batches(ROWS, {"z": [1, 0, 1]}), tasks)
    # With the labels it would be .1074 and 1.1177; of the gradient of the batch .0059, .1768.
    np.testing.assert_allclose(importances(penalty), [0.1489, 0.2233], atol=5e-5)
    penalty.bind(network, tasks)
    network.get_layer("shared_theta").kernel.assign_add([[0.5], [-0.2]])
    assert penalty.strength * float(penalty.penalize({}, {})) == pytest.approx(2.3075, abs=5e-5)


def test_rows_without_a_label_do_not_count():
    network, tasks = logistic()
    x = np.concatenate([ROWS, [[5.0, 1.0]]]).astype("float32")
    labels = {"z": np.array([1, 0, 1, np.nan], "float32")}
    penalty = transfer.remember(network, batches(x, labels, 4), tasks)
    np.testing.assert_allclose(importances(penalty), [0.1489, 0.2233], atol=5e-5)


def many(columns=None, classes=3, units=4):
    """Builds classes, columns and a number on one layer."""
    x = keras.Input((3,), name="x")
    tasks = [
        Task.multiclass("c", classes),
        Task.multilabel("m", columns=columns or ["p", "q"], weight=2.0),
        Task.regression("a"),
    ]
    features = layers.Dense(units, "tanh", name="shared_0")(x)
    return keras.Model(x, {task.name: task.output(features) for task in tasks}), tasks


def labels_of(rows, classes=3, width=2):
    rng = np.random.default_rng(3)
    hits = (rng.random((rows, width)) < 0.5).astype("float32")
    hits[::3, 0] = np.nan
    return {"c": np.arange(rows) % classes, "m": hits, "a": rng.normal(size=rows)}


def by_hand(network, tasks, x, y):
    """Returns the Fisher information by all outcomes of each row, by float64 sums."""
    variables = network.trainable_variables
    predictions = network(x)
    sigma = np.mean((np.asarray(predictions["a"])[:, 0] - y["a"]) ** 2)
    known = ~np.isnan(y["m"])
    total = [np.zeros(v.shape) for v in variables]

    def add(log_p, factor):
        gradients = tape.gradient(log_p, [v.value for v in variables])
        for sum_, gradient in zip(total, gradients, strict=True):
            if gradient is not None:
                sum_ += float(factor) * np.square(np.asarray(gradient, "float64"))

    for i in range(len(x)):
        with tf.GradientTape(persistent=True) as tape:
            out = network(x[i : i + 1])
            log_c = tf.math.log(out["c"][0])
            log_m = [tf.math.log(out["m"][0]), tf.math.log(1 - out["m"][0])]
            parts = [log_c[k] for k in range(3)], [[t[k] for t in log_m] for k in range(2)]
            mean = out["a"][0, 0]
        for k in range(3):
            add(parts[0][k], out["c"][0, k] / len(x))
        for k in range(2):
            for label, p in enumerate([out["m"][0, k], 1 - out["m"][0, k]]):
                if known[i, k]:
                    add(parts[1][k][label], 2.0 * p / known[:, k].sum())
        add(mean, 1 / sigma / len(x))
    return np.concatenate([np.ravel(t) for t in total])


def test_all_kinds_of_tasks_agree_with_sums_over_outcomes():
    network, tasks = many()
    x = np.random.default_rng(0).normal(size=(7, 3)).astype("float32")
    y = labels_of(7)
    before = [v.numpy() for v in network.weights]
    penalty = transfer.remember(network, batches(x, y, 3), tasks, strength=3.0)
    np.testing.assert_allclose(importances(penalty), by_hand(network, tasks, x, y), rtol=2e-4)
    assert penalty.strength == 3.0
    assert all((a == b.numpy()).all() for a, b in zip(before, network.weights, strict=True))


@pytest.mark.slow
def test_draws_come_near_the_sums():
    network, tasks = many(columns=[f"c{i}" for i in range(40)], classes=40)
    x = np.random.default_rng(0).normal(size=(600, 3)).astype("float32")
    y = labels_of(600, 40, 40)
    drawn = importances(transfer.remember(network, batches(x, y, 100), tasks))
    mtl.transfer._fisher._EXACT, kept = 10**6, mtl.transfer._fisher._EXACT
    try:
        exact = importances(transfer.remember(network, batches(x, y, 100), tasks))
    finally:
        mtl.transfer._fisher._EXACT = kept
    assert np.median(np.abs(drawn / exact - 1)) < 0.15
    assert drawn.sum() == pytest.approx(exact.sum(), rel=0.05)


def test_a_larger_network_is_kept_near_and_goes_on_after_it_was_saved(tmp_path):
    network, tasks = logistic()
    penalty = transfer.remember(network, None, tasks, "l2_sp", strength=2.0)
    new = Task.binary("n")
    larger = transfer.add_task(network, new, at="shared_theta")
    larger.get_layer("shared_theta").kernel.assign([[2.0], [-1.0]])
    model = mtl.BalancedModel(larger, [*tasks, new], mtl.balancers.Equal(), penalties=[penalty])
    model.compile(keras.optimizers.SGD(0.1))
    # No label at all: the penalty alone moves the kernel, by 0.1 * 2 * (2 - 1).
    data = batches(ROWS, {"z": [np.nan] * 3, "n": [np.nan] * 3}, 3)
    history = model.fit(mtl.data.mask_missing(data, model.tasks), verbose=0)
    np.testing.assert_allclose(
        np.ravel(larger.get_layer("shared_theta").kernel), [1.8, -1.0], rtol=1e-6
    )
    assert history.history["remember_l2_sp_penalty"] == [pytest.approx(0.5)]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert float(again.penalties[0].penalize({}, {})) == pytest.approx(0.5 * 0.8**2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "mas"}, r"one of \['ewc', 'l2_sp'\]; received 'mas'"),
        ({"dataset": None}, "rule='ewc' needs rows of the old tasks"),
        ({"layers": "trunk"}, "layers='trunk' matches no layer"),
        ({"layers": "x"}, "no trainable variables"),
        ({"tasks": [Task.binary("q")]}, "no task for the output"),
        ({"strength": -1.0}, "strength is"),
        (
            {"dataset": batches(ROWS, {"z": np.full(3, np.nan, "float32")})},
            "task 'z' has no label in the dataset",
        ),
    ],
)
def test_bad_input_is_refused(options, message):
    network, tasks = logistic()
    arguments = {"dataset": batches(ROWS, {"z": [1, 0, 1]}), "tasks": tasks, **options}
    with pytest.raises(ValueError, match=message):
        transfer.remember(network, **arguments)


def test_a_likelihood_that_is_not_known_is_refused():
    network, tasks = logistic(Task("z", head=Head(1), loss=lambda y, p: abs(y - p)))
    with pytest.raises(ValueError, match=r"task 'z': the Fisher information needs .*'l2_sp'"):
        transfer.remember(network, batches(ROWS, {"z": [1, 0, 1]}), tasks)


def test_a_network_without_the_variables_is_refused():
    network, tasks = logistic()
    penalty = transfer.remember(network, None, tasks, "l2_sp")
    other, other_tasks = many()
    with pytest.raises(ValueError, match=r"does not have: \['shared_theta/kernel \(2, 1\)'\]"):
        penalty.bind(other, other_tasks)
    with pytest.raises(ValueError, match="keeps no variable 'b'"):
        penalty.keep("b", 0.0)
    with pytest.raises(ValueError, match="finite and not negative"):
        penalty.keep("shared_theta/kernel", np.zeros((2, 1)), -np.ones((2, 1)))
    with pytest.raises(ValueError, match="no variable to keep"):
        transfer.KeepNear({})

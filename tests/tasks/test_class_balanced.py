"""Losses that balance classes, beside stock Keras with the same weights as sample weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task

ROWS = 40
X = np.random.default_rng(0).normal(size=(ROWS, 4)).astype("float32")
CLASSES = np.minimum((np.abs(X[:, 0]) * 2).astype("int32"), 2)
COUNTS = {0: 900, 1: 90, 2: 10}
BETA = 0.99


def weights_by_hand(counts, beta):
    """Computes the weights of the paper by its sum: E_n = 1 + beta + ... + beta^(n - 1)."""
    effective = np.array([sum(beta**i for i in range(int(count))) for count in counts])
    return len(effective) / effective / (1 / effective).sum()


def cross_entropy(p, focal):
    return -np.log(p) * ((1 - p) ** 2 if focal else 1)


def task_of(kind, name, **arguments):
    if kind == "binary":
        return Task.binary("zoo", loss=name, class_counts=[90, 10], **arguments)
    labels = {"labels": "one_hot"} if kind == "one-hot" else {}
    return Task.multiclass("zoo", 3, loss=name, class_counts=COUNTS, **labels, **arguments)


EVERY_WAY = [
    pytest.param(
        door,
        kind,
        focal,
        marks=() if focal == (kind == "integer") and door == "PCGrad" else pytest.mark.slow,
    )
    for door in ("compile_args", "PCGrad")
    for kind in ("binary", "integer", "one-hot")
    for focal in (False, True)
]


@pytest.mark.parametrize(("door", "kind", "focal"), EVERY_WAY)
def test_a_label_weighs_by_its_class(door, kind, focal):
    task = task_of(kind, "class_balanced" + "_focal" * focal, beta=BETA, metrics=["accuracy"])
    tasks = [task, Task.regression("axis")]
    keras.utils.set_random_seed(0)
    network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,), tower=())
    if door == "compile_args":
        model = network
        model.compile(keras.optimizers.SGD(0.1), **mtl.compile_args(tasks), run_eagerly=True)
    else:
        model = mtl.BalancedModel(network, tasks, mtl.balancers.PCGrad())
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    classes = (CLASSES > 0).astype("int32") if kind == "binary" else CLASSES
    labels = np.eye(3, dtype="float32")[classes] if kind == "one-hot" else classes
    valid = (np.random.default_rng(1).random(ROWS) < 0.6).astype("float32")
    ones = np.ones(ROWS, "float32")
    y, w = {"zoo": labels, "axis": X[:, 1]}, {"zoo": valid, "axis": ones}
    p = network(X)["zoo"].numpy().astype("float64")
    p = np.concatenate([1 - p, p], 1) if kind == "binary" else p
    of_classes = weights_by_hand([90, 10] if kind == "binary" else [900, 90, 10], BETA)
    values = of_classes[classes] * cross_entropy(p[np.arange(ROWS), classes], focal)
    logs = model.evaluate(X, y, sample_weight=w, verbose=0, return_dict=True)
    assert logs["zoo_mean_loss"] == pytest.approx((values * valid).sum() / valid.sum(), rel=1e-4)
    right = (p.argmax(1) == classes)[valid > 0]
    assert logs["zoo_accuracy"] == pytest.approx(right.mean(), rel=1e-5)  # classes weigh alike
    before = network.get_layer("zoo_logits").kernel.numpy()
    model.fit(X, y, sample_weight=w, batch_size=ROWS, verbose=0)
    assert np.abs(network.get_layer("zoo_logits").kernel.numpy() - before).max() > 1e-4


def test_a_step_is_that_of_keras_with_the_same_sample_weights():
    task = Task.multiclass("zoo", 3, loss="class_balanced", class_counts=COUNTS, metrics=[])
    results = []
    for ours in (True, False):
        keras.utils.set_random_seed(0)
        network = mtl.architectures.hard_sharing(keras.Input((4,)), [task], shared=(8,))
        weights = None
        if ours:
            network.compile(keras.optimizers.SGD(0.1), **mtl.compile_args([task]))
        else:
            network.compile(keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy")
            weights = {"zoo": weights_by_hand([900, 90, 10], 0.999)[CLASSES]}
        network.fit(X, {"zoo": CLASSES}, sample_weight=weights, epochs=2, shuffle=False, verbose=0)
        results.append([variable.numpy() for variable in network.trainable_variables])
    for variable, reference in zip(*results, strict=True):
        np.testing.assert_allclose(variable, reference, atol=1e-6)


def test_counts_of_describe_and_weights_of_the_data_are_the_same():
    task = Task.multiclass("zoo", 3)
    data = tf.data.Dataset.from_tensor_slices((X, {"zoo": CLASSES})).batch(8)
    summaries = mtl.data.describe(data, [task])
    loss = Task.multiclass(
        "zoo", 3, loss="class_balanced", class_counts=summaries["zoo"].classes, beta=0.9
    ).loss
    weights = mtl.data.balanced_class_weights(summaries, beta=0.9)["zoo"]
    assert loss.weights == pytest.approx(list(weights.values()))


def test_tags_and_saved_models_keep_the_weights(tmp_path):
    task = Task.tagging("pos", 3, loss="class_balanced_focal", class_counts=[9, 3, 1], beta=0.9)
    inputs = keras.Input((None, 4))
    network = keras.Model(inputs, {"pos": task.output(inputs)})
    network.compile("sgd", **mtl.compile_args([task]))
    x, y = np.zeros((2, 5, 4), "float32"), {"pos": np.arange(10).reshape(2, 5) % 3}
    network.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.evaluate(x, y, verbose=0) == network.evaluate(x, y, verbose=0)
    again = Task.from_config(task.get_config())
    assert again.loss.weights == task.loss.weights and again.loss.loss.gamma == 2.0


REFUSED = {
    "no counts": (lambda: Task.binary("t", loss="class_balanced"), r"describe\(.*\['t'\].classes"),
    "in vain": (lambda: Task.binary("t", class_counts=[1, 2]), "class_counts are for loss="),
    "too few": (
        lambda: Task.multiclass("t", 3, loss="class_balanced", class_counts=[1, 2]),
        "are 3 numbers, one per class; received 2",
    ),
    "unknown": (
        lambda: Task.binary("t", loss="class_balanced", class_counts={0: 1, 2: 3}),
        r"name \[2\], and the classes are 0 to 1",
    ),
    "negative": (
        lambda: Task.binary("t", loss="class_balanced", class_counts=[1, -2]),
        "counts are the numbers of training examples",
    ),
    "beta": (
        lambda: Task.binary("t", loss="class_balanced", class_counts=[1, 2], beta=1.0),
        "beta is at least 0 and below 1",
    ),
    "labels": (lambda: Task.multilabel("t", 3, loss="class_balanced"), "data.class_weights"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_counts_that_do_not_fit_are_refused(case):
    attempt, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        attempt()

"""Losses and metrics over valid labels, against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task

rng = np.random.default_rng(0)


def binary_crossentropy(y, logits):
    return np.maximum(logits, 0) - logits * y + np.log1p(np.exp(-np.abs(logits)))


def categorical_crossentropy(y, logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return np.log(np.exp(shifted).sum(-1)) - np.take_along_axis(shifted, y[..., None], -1)[..., 0]


def head_on(logits, activation):
    """Returns a prediction that remembers its logits, as that of a head does."""
    return keras.layers.Activation(activation)(tf.constant(logits, "float32"))


@pytest.mark.parametrize("shape", [(8,), (8, 1)])
@pytest.mark.parametrize("weight_shape", [None, (8,), (8, 1)])
def test_labels_and_weights_of_rank_one_or_two_give_one_loss(shape, weight_shape):
    y, prediction = rng.normal(size=8), rng.normal(size=(8, 1)).astype("float32")
    w = np.array([1, 0, 1, 1, 0, 0, 2, 1.0])
    weight = None if weight_shape is None else w.reshape(weight_shape)
    used = np.ones(8) if weight is None else w
    expected = np.sum(used * (prediction[:, 0] - y) ** 2) / used.sum()
    task = Task.regression("a")
    loss = task.make_loss()(tf.constant(y.reshape(shape), "float32"), prediction, weight)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    metrics = task.make_metrics()
    for metric in metrics:
        metric.update_state(y.reshape(shape).astype("float32"), prediction, weight)
    mae = np.sum(used * np.abs(prediction[:, 0] - y)) / used.sum()
    assert float(metrics[0].result()) == pytest.approx(mae, rel=1e-5)
    assert float(metrics[1].result()) == pytest.approx(expected, rel=1e-5)


def test_losses_are_computed_from_the_logits():
    logits = np.array([[-50.0], [-20.0], [0.3], [20.0], [50.0]], "float32")
    y = np.array([1.0, 0.0, 1.0, 1.0, 0.0], "float32")
    loss = Task.binary("a").make_loss()
    with tf.GradientTape() as tape:
        source = tf.constant(logits)
        tape.watch(source)
        value = loss(tf.constant(y), keras.layers.Activation("sigmoid")(source))
    assert float(value) == pytest.approx(binary_crossentropy(y, logits[:, 0]).mean(), rel=1e-6)
    from_keras = keras.losses.BinaryCrossentropy(from_logits=True)(y[:, None], logits)
    assert float(value) == pytest.approx(float(from_keras), rel=1e-6)
    gradient = tape.gradient(value, source).numpy()[:, 0]
    np.testing.assert_allclose(gradient, (1 / (1 + np.exp(-logits[:, 0])) - y) / 5, atol=1e-7)
    assert gradient[0] == pytest.approx(-0.2) and gradient[4] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("task", "shape"),
    [
        (Task.multiclass("a", 4), (6,)),
        (Task.tagging("a", 4), (6, 5)),
        (Task.segmentation("a", 4), (6, 5, 3)),
    ],
)
@pytest.mark.parametrize("per_label", [True, False])
def test_classes_per_example_per_token_and_per_pixel(task, shape, per_label):
    logits = rng.normal(size=(*shape, 4), scale=30).astype("float32")
    y = rng.integers(0, 4, shape)
    weights = rng.integers(0, 3, shape if per_label else shape[:1]).astype("float32")
    weights.flat[0] = 1.0
    used = np.broadcast_to(weights.reshape(weights.shape + (1,) * (y.ndim - weights.ndim)), shape)
    prediction = head_on(logits, "softmax")
    losses = categorical_crossentropy(y, logits.astype("float64"))
    expected = np.sum(used * losses) / used.sum()
    assert float(task.make_loss()(y, prediction, weights)) == pytest.approx(expected, rel=1e-5)
    accuracy, mean_loss = task.make_metrics()
    accuracy.update_state(y, prediction, weights)
    hits = np.sum(used * (logits.argmax(-1) == y)) / used.sum()
    assert float(accuracy.result()) == pytest.approx(hits, rel=1e-5)
    mean_loss.update_state(y, prediction, weights)
    assert float(mean_loss.result()) == pytest.approx(expected, rel=1e-5)


def test_masked_tokens_count_neither_in_the_loss_nor_in_metrics():
    task = Task.tagging("a", 3)
    logits = rng.normal(size=(4, 5, 3)).astype("float32")
    y, mask = rng.integers(0, 3, (4, 5)), rng.random((4, 5)) < 0.6
    weights = np.array([1.0, 0.0, 2.0, 1.0], "float32")
    prediction = head_on(logits, "softmax")
    prediction._keras_mask = tf.constant(mask)
    used = mask * weights[:, None]
    expected = np.sum(used * categorical_crossentropy(y, logits)) / used.sum()
    assert float(task.make_loss()(y, prediction, weights)) == pytest.approx(expected, rel=1e-5)
    accuracy, _ = task.make_metrics()
    accuracy.update_state(y, prediction, weights)
    hits = np.sum(used * (logits.argmax(-1) == y)) / used.sum()
    assert float(accuracy.result()) == pytest.approx(hits, rel=1e-5)


@pytest.mark.parametrize("weight_shape", [(6, 3), (6,)])
def test_every_column_of_a_multilabel_task_has_weights_of_its_own(weight_shape):
    task = Task.multilabel("tox", 3, metrics=["accuracy", "auc"])
    logits = rng.normal(size=(6, 3), scale=20).astype("float32")
    y = rng.integers(0, 2, (6, 3)).astype("float32")
    weights = rng.integers(0, 2, weight_shape).astype("float32")
    weights.flat[0] = 1.0
    used = np.broadcast_to(weights.reshape(6, -1), (6, 3))
    prediction = head_on(logits, "sigmoid")
    expected = np.sum(used * binary_crossentropy(y, logits.astype("float64"))) / used.sum()
    assert float(task.make_loss()(y, prediction, weights)) == pytest.approx(expected, rel=1e-5)
    accuracy, _, mean_loss = task.make_metrics()
    for metric in (accuracy, mean_loss):
        metric.update_state(y, prediction, weights)
    hits = np.sum(used * ((logits > 0) == y)) / used.sum()
    assert float(accuracy.result()) == pytest.approx(hits, rel=1e-5)
    assert float(mean_loss.result()) == pytest.approx(expected, rel=1e-5)


def test_a_regression_with_several_targets_may_miss_each_of_them():
    task = Task.regression("a", 2)
    y, prediction = rng.normal(size=(5, 2)), rng.normal(size=(5, 2)).astype("float32")
    weights = np.array([[1, 0], [0, 0], [1, 1], [0, 1], [1, 1.0]])
    expected = np.sum(weights * (y - prediction) ** 2) / weights.sum()
    loss = task.make_loss()(tf.constant(y, "float32"), prediction, weights)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_counts_have_a_poisson_loss():
    rate, y = rng.uniform(0.1, 4, (6, 1)).astype("float32"), rng.integers(0, 5, 6)
    loss = Task.count("a").make_loss()(tf.constant(y), tf.constant(rate))
    expected = np.mean(rate[:, 0] - y * np.log(rate[:, 0] + 1e-7))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_without_a_valid_label_loss_and_gradient_are_exactly_zero():
    for task, width in ((Task.binary("a"), 1), (Task.regression("a", 2), 2)):
        source = tf.constant(rng.normal(size=(4, width)).astype("float32"))
        with tf.GradientTape() as tape:
            tape.watch(source)
            activation = "sigmoid" if task.labels.high else "linear"
            prediction = keras.layers.Activation(activation)(source)
            value = task.make_loss()(tf.ones((4, width)), prediction, np.zeros(4, "float32"))
        assert float(value) == 0.0
        assert not np.any(tape.gradient(value, source).numpy())
        for metric in task.make_metrics():
            metric.update_state(np.ones((4, width)), prediction, np.zeros(4, "float32"))
            assert np.isfinite(float(metric.result()))


def test_an_auc_counts_valid_labels_only():
    task = Task.binary("a")
    y = np.array([0, 0, 1, 1, 0, 1.0])
    p = np.array([[0.1], [0.4], [0.35], [0.8], [0.99], [0.01]], "float32")
    auc, _ = task.make_metrics()
    auc.update_state(y, p, np.array([1, 1, 1, 1, 0, 0.0]))
    # Of four pairs of a positive and a negative, three are in order.
    assert float(auc.result()) == pytest.approx(0.75, abs=1e-3)


def test_metrics_are_reset_and_come_back_from_their_config():
    for metric in Task.binary("a", metrics=["accuracy"]).make_metrics(prefix="a_"):
        metric.update_state(np.ones(3), np.full((3, 1), 0.2, "float32"))
        first = float(metric.result())
        metric.reset_state()
        assert float(metric.result()) == 0.0
        copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
        assert copy.name == metric.name and copy.name.startswith("a_")
        copy.update_state(np.ones(3), np.full((3, 1), 0.2, "float32"))
        assert float(copy.result()) == first


def test_a_head_without_logits_works_as_well():
    """The loss takes a probability that a user computed as it is."""
    task = Task("a", head=lambda f: keras.layers.Dense(1, "sigmoid")(f), loss="binary_crossentropy")
    p = np.array([[0.2], [0.9]], "float32")
    expected = np.mean([-np.log(0.8), -np.log(0.9)])
    assert float(task.make_loss()(np.array([0.0, 1.0]), p)) == pytest.approx(expected, rel=1e-5)
    assert isinstance(mtl.Head(2)(keras.Input((3,))), keras.KerasTensor)


def test_a_metric_of_a_user_gets_labels_and_predictions_of_one_shape():
    """Shapes `(batch,)` and `(batch, 1)` would broadcast to `(batch, batch)`."""

    @keras.saving.register_keras_serializable("tests")
    class Worst(keras.metrics.Metric):
        def __init__(self, name="worst", **kwargs):
            super().__init__(name=name, **kwargs)
            self.value = self.add_variable((), "zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.value.assign(keras.ops.max(keras.ops.abs(y_true - y_pred)))

        def result(self):
            return self.value.value

    worst = Task.regression("a", metrics=[Worst()]).make_metrics()[0]
    worst.update_state(np.array([1.0, 9.0], "float32"), np.array([[1.5], [8.0]], "float32"))
    assert float(worst.result()) == 1.0

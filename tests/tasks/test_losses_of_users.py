"""Losses that users bring: what they read is found out, and what cannot be exact is refused."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from loss_table_cases import CASES, box_overlap, ranking, rmsle, total_error

from keras_mtl import Head, Labels, Task


def squared(y_true, y_pred):
    return ops.square(y_true - y_pred)


def of_columns(y_true, y_pred):
    """Weighs the columns: no entry can be alone on its axis."""
    return ops.mean(ops.convert_to_tensor([1.0, 2.0, 3.0]) * squared(y_true, y_pred), axis=-1)


def share_of_batch(y_true, y_pred):
    """Divides by the number of examples: one value per example, and no other example's."""
    return ops.mean(squared(y_true, y_pred), axis=-1) / ops.cast(ops.shape(y_pred)[0], "float32")


def same_for_all(y_true, y_pred):
    """Returns one number as often as there are examples."""
    return ops.mean(squared(y_true, y_pred)) * ops.ones_like(y_pred[:, 0])


@pytest.mark.parametrize(
    ("loss", "shape", "reads"),
    [
        (rmsle, (3,), "element"),
        (squared, (3,), "element"),
        (squared, (4, 3), "element"),
        (lambda y, p: ops.sum(squared(y, p), axis=-1), (3,), "last axis"),
        (lambda y, p: ops.max(squared(y, p), axis=-1), (4, 3), "last axis"),
        (of_columns, (3,), "last axis"),
        (box_overlap, (2,), "last axis"),
        (box_overlap, (4, 2), "last axis"),
        (total_error, (4, 3), "example"),
        (lambda y, p: ops.mean(squared(y, p), axis=1), (4, 3), "example"),
        (lambda y, p: ops.mean(squared(y, p)), (3,), "batch"),
        (lambda y, p: ops.mean(squared(y, p), axis=0), (3,), "batch"),
        (share_of_batch, (3,), "batch"),
        (same_for_all, (3,), "batch"),
        (lambda y, p: ops.mean(squared(y, p), axis=-1) + p[0, 0], (3,), "batch"),
        (ranking, (1,), "batch"),
    ],
)
def test_what_a_loss_reads_is_found_out(loss, shape, reads):
    labels = Labels(shape if shape != (1,) else ())
    task = Task("zoo", head=Head(shape[-1]), loss=loss, labels=labels)
    assert task.reading.reads == reads
    assert task.elementwise == (reads == "element")


def test_what_a_loss_reads_is_found_out_while_a_step_is_traced_too():
    """A recipe and no labels: the shapes are known at the first batch only."""
    task = Task("zoo", head=lambda f: keras.layers.Dense(3)(f), loss=of_columns)
    assert task.reading is None
    loss, y, p = task.make_loss(), np.eye(3, dtype="float32"), np.ones((3, 3), "float32")
    weights = np.array([1.0, 0.0, 3.0], "float32")
    values = ((1 - y) ** 2 * [1, 2, 3]).mean(1)
    expected = (values * weights).sum() / 4
    traced = tf.function(loss)
    assert float(traced(y, tf.constant(p), weights)) == pytest.approx(expected, rel=1e-6)


def test_the_user_may_say_what_a_loss_reads():
    def noisy(y_true, y_pred):
        return squared(y_true, y_pred) + keras.random.normal(ops.shape(y_pred))

    task = Task("zoo", head=Head(3), loss=noisy, labels=Labels((3,)), reads="element")
    assert task.elementwise
    again = Task.from_config(dataclasses.replace(task, loss="mse").get_config())
    assert again.reads == "element" and again == dataclasses.replace(task, loss=again.loss)
    silent = dataclasses.replace(task, reads=None)
    with pytest.raises(ValueError, match="task 'zoo': what the loss noisy reads cannot be found"):
        silent.make_loss()(tf.ones((2, 3)), tf.ones((2, 3)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reads": "row"}, r"task 'zoo': reads is one of \['element', 'last axis'.*received 'row'"),
        (
            {"loss": "categorical_crossentropy", "reads": "element"},
            "categorical_crossentropy reads 'last axis', and reads='element' says otherwise",
        ),
        (
            {"loss": "categorical_crossentropy", "columns": ["a", "b", "c"]},
            "task 'zoo': columns are tasks of their own, and one value .* reads the last axis",
        ),
        ({"loss": "cross_entropy"}, "task 'zoo': Keras knows no loss 'cross_entropy'; it knows"),
        ({"loss": 3}, "task 'zoo': loss is a keras.losses.Loss, the name of one, or a function"),
        ({"weight": [1.0, 2.0]}, "task 'zoo': weight must be one number"),
        ({"weight": keras.Variable(-1.0)}, "task 'zoo': weight must be finite and at least 0"),
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_the_task(changes, message):
    settings = {"head": Head(3), "loss": "mse", "labels": Labels((3,))}
    with pytest.raises(ValueError, match=message):
        Task("zoo", **(settings | changes))


@pytest.mark.parametrize(
    ("loss", "labels", "prediction", "message"),
    [
        ("mse", np.ones((4, 3)), np.ones((4, 1)), r"\(4, 3\) and predictions \(4, 1\).*broadcast"),
        ("mse", np.ones(4), np.ones((4, 3)), r"\(4,\) and predictions \(4, 3\).*broadcast"),
        (
            "sparse_categorical_crossentropy",
            np.eye(3),
            np.ones((3, 3)),
            r"labels have shape \(3, 3\), as one-hot labels have.*labels='one_hot'",
        ),
    ],
)
def test_labels_that_would_broadcast_are_refused(loss, labels, prediction, message):
    task = Task("zoo", head=Head(3), loss=loss)
    with pytest.raises(ValueError, match=f"task 'zoo': .*{message}"):
        task.make_loss()(labels.astype("float32"), tf.constant(prediction, "float32"))


def test_ragged_labels_and_labels_without_a_rank_are_refused():
    loss = Task.regression("zoo").make_loss()
    with pytest.raises(ValueError, match="task 'zoo': labels are ragged; data"):
        loss(tf.ragged.constant([[1.0], [2.0, 3.0]]), tf.ones((2, 1)))
    unknown = tf.function(loss, input_signature=[tf.TensorSpec(None), tf.TensorSpec((None, 1))])
    with pytest.raises(ValueError, match="task 'zoo': the number of axes of the labels is unknown"):
        unknown(tf.ones(2), tf.ones((2, 1)))


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
@pytest.mark.parametrize("dtype", ["int64", "float64", "uint8", "bool"])
def test_labels_come_to_a_users_loss_in_its_dtype_and_shape(shape, dtype):
    def strict(y_true, y_pred):
        assert y_true.dtype == y_pred.dtype and y_true.shape == y_pred.shape
        return ops.square(y_true - y_pred)

    y = np.array([0, 1, 1, 0], dtype).reshape(shape)
    task = Task("zoo", head=Head(1), loss=strict, labels=Labels())
    value = task.make_loss()(y, tf.fill((4, 1), 3.0))
    assert float(value) == pytest.approx((9 + 4 + 4 + 9) / 4)


def test_a_loss_that_wants_class_numbers_gets_them():
    def pick(y_true, y_pred):
        return -tf.math.log(tf.gather(y_pred, y_true, batch_dims=1))

    p = np.array([[0.2, 0.8], [0.6, 0.4], [0.5, 0.5]], "float32")
    labels = Labels(integer=True, low=0, high=1)
    loss = Task("zoo", head=Head(2, "softmax"), loss=pick, labels=labels).make_loss()
    value = loss(np.array([1, 0, -1]), tf.constant(p), np.array([1.0, 1.0, 0.0]))
    assert float(value) == pytest.approx(-np.log([0.8, 0.6]).mean(), rel=1e-6)


def test_a_missing_label_is_replaced_by_one_that_the_loss_takes():
    def logarithmic(y_true, y_pred):
        tf.debugging.assert_positive(y_true)
        return ops.square(ops.log(y_true) - y_pred)

    y, p = np.array([np.nan, 2.0, 0.0], "float32"), tf.zeros((3, 1))
    task = Task("zoo", head=Head(1), loss=logarithmic, labels=Labels(low=0.5, high=9.0))
    value = task.make_loss()(y, p, np.array([0.0, 1.0, 0.0]))
    assert float(value) == pytest.approx(np.log(2) ** 2, rel=1e-6)


def test_a_batch_without_valid_labels_adds_nothing_to_the_mean_of_an_epoch():
    mean_loss = Task("zoo", head=Head(1), loss=rmsle, labels=Labels()).make_metrics()[-1]
    p = tf.fill((2, 1), 1.0)
    mean_loss.update_state(np.float32([np.nan, 0.0]), p, np.zeros(2, "float32"))
    assert float(mean_loss.result()) == 0.0
    mean_loss.update_state(np.float32([2.0, np.nan]), p, np.float32([1.0, 0.0]))
    assert float(mean_loss.result()) == pytest.approx(np.log(2) ** 2, rel=1e-6)


def test_a_mask_of_positions_beside_a_loss_of_whole_examples_is_refused():
    prediction = tf.ones((2, 4, 3))
    prediction._keras_mask = tf.ones((2, 4), tf.bool)
    with pytest.raises(ValueError, match="task 'zoo': the prediction has a mask of shape"):
        CASES["a user's loss per example"].task().make_loss()(tf.ones((2, 4, 3)), prediction)


def test_ctc_takes_a_masked_sequence_for_a_shorter_one():
    logits = np.random.default_rng(0).normal(size=(3, 7, 4)).astype("float32")
    lengths, y = [7, 5, 4], np.array([[1, 1, 2], [3, 3, 0], [2, 0, 0]])
    source = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(source)
        prediction = tf.identity(source)
        prediction._keras_mask = tf.sequence_mask(lengths, 7)
        value = Task("text", head=Head(4), loss="ctc").make_loss()(y, prediction)
    expected = [
        float(keras.losses.CTC()(y[i : i + 1], logits[i : i + 1, : lengths[i]])) for i in range(3)
    ]
    assert float(value) == pytest.approx(np.mean(expected), rel=1e-6)
    gradient = tape.gradient(value, source).numpy()
    assert not gradient[1, 5:].any() and gradient[1, :5].all()


def test_a_running_mean_inside_of_a_loss_is_not_touched_by_the_search():
    class Centered(keras.losses.Loss):
        def __init__(self):
            super().__init__()
            self.mean = keras.Variable(2.0, trainable=False)

        def call(self, y_true, y_pred):
            self.mean.assign(0.9 * self.mean + 0.1 * ops.mean(y_true))
            return ops.square(y_true - self.mean - y_pred)

    loss = Centered()
    with pytest.raises(ValueError, match="it gives different values for equal labels"):
        Task("zoo", head=Head(1), loss=loss).make_loss()(tf.ones((4, 1)), tf.ones((4, 1)))
    assert float(loss.mean) == 2.0


def test_a_loss_keeps_its_arguments_in_a_file():
    """Keras's `get_config` forgets `delta` and `axis`."""
    for loss in (keras.losses.Huber(delta=0.1), keras.losses.CosineSimilarity(axis=1)):
        task = Task("zoo", head=Head(3), loss=loss)
        again = Task.from_config(task.get_config())
        y, p = np.eye(3, dtype="float32"), np.arange(9, dtype="float32").reshape(3, 3)
        assert float(again.make_loss()(y, tf.constant(p))) == float(loss(y, p))
    task = Task("zoo", head=Head(1), loss="mse", weight=keras.Variable(0.25))
    assert Task.from_config(task.get_config()).weight == 0.25


def test_functions_and_names_and_classes_stand_for_a_loss():
    for loss in ("mse", "mean_squared_error", keras.losses.mean_squared_error):
        assert isinstance(Task("a", head=Head(1), loss=loss).make_loss().loss, type(MSE))
    assert Task("a", head=Head(1), loss=keras.losses.KLDivergence).make_loss().loss.name == (
        "kl_divergence"
    )
    assert Task("a", head=Head(1), loss="kld").make_loss().loss.name == "kl_divergence"
    again = Task.from_config(Task("a", head=Head(1), loss=keras.losses.huber).get_config())
    assert again.make_loss().loss.name == "huber_loss"


MSE = keras.losses.MeanSquaredError()

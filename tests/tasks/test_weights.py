"""Weights of tasks and of examples, and one-hot labels, through both doors."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from loss_table_cases import CASES

import keras_mtl as mtl
from keras_mtl import Head, Labels, Task

X = np.random.default_rng(0).normal(size=(12, 4)).astype("float32")


def build(tasks):
    keras.utils.set_random_seed(0)
    return mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,))


def through(door, tasks, *, optimizer=None, **options):
    """Returns a compiled model for one of the two ways to train, and its network."""
    network, optimizer = build(tasks), optimizer or keras.optimizers.SGD(0.1)
    if door == "compile_args":
        network.compile(optimizer, **mtl.compile_args(tasks), **options)
        return network, network
    model = mtl.BalancedModel(network, tasks, getattr(mtl.balancers, door)())
    model.compile(optimizer, **options)
    return model, network


@pytest.mark.parametrize("door", ["compile_args", "PCGrad"])
def test_negative_weights_step_where_stock_keras_steps(door):
    """Checks advantages whose sum is negative: the loss is sum(w l) / sum(|w|)."""
    rng = np.random.default_rng(1)
    advantage, actions = rng.normal(size=12), rng.integers(0, 3, 12)
    advantage -= advantage.mean() + 0.05
    tasks = [Task.multiclass("policy", 3, metrics=[]), Task.regression("height", weight=0.0)]
    labels, weights = {"policy": actions, "height": X[:, 0]}, {"policy": advantage}
    weights["height"] = np.ones(12)
    model, network = through(door, tasks, run_eagerly=True)
    kernel = network.get_layer("policy_logits").kernel
    before = kernel.numpy()
    p = network.predict(X, verbose=0)["policy"]
    losses = -np.log(p[np.arange(12), actions])
    logs = model.evaluate(X, labels, sample_weight=weights, verbose=0, return_dict=True)
    expected = np.sum(advantage * losses) / np.abs(advantage).sum()
    assert logs["policy_mean_loss"] == pytest.approx(expected, rel=1e-5)
    model.train_on_batch(X, labels, weights)
    stock = build(tasks)
    loss = {"policy": "sparse_categorical_crossentropy", "height": "mse"}
    of_tasks = {"policy": 1.0, "height": 0.0}
    stock.compile(keras.optimizers.SGD(0.1), loss=loss, loss_weights=of_tasks, run_eagerly=True)
    stock.train_on_batch(X, labels, weights)
    stock_step = stock.get_layer("policy_logits").kernel.numpy() - before
    # Keras divides by the number of examples.
    expected_step = stock_step * 12 / np.abs(advantage).sum()
    np.testing.assert_allclose(kernel.numpy() - before, expected_step, atol=1e-6)


@pytest.mark.parametrize(
    ("door", "jit_compile"),
    [
        ("compile_args", False),
        ("MGDA", False),
        pytest.param("Equal", False, marks=pytest.mark.slow),
        pytest.param("compile_args", True, marks=pytest.mark.slow),
        pytest.param("Equal", True, marks=pytest.mark.slow),
        pytest.param("MGDA", True, marks=pytest.mark.slow),
    ],
)
def test_a_callback_may_change_the_weight_of_a_task(door, jit_compile):
    """With the weight 0 from the second epoch on, the task's own layer rests."""
    weight = keras.Variable(1.0, trainable=False)
    tasks = [Task.regression("width", weight=weight), Task.regression("height")]
    model, network = through(door, tasks, jit_compile=jit_compile)
    kernels = []

    class ChangeWeight(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kernels.append(network.get_layer("width_logits").kernel.numpy())
            weight.assign(0.0)

    labels = {"width": X[:, 0], "height": X[:, 1]}
    model.fit(X, labels, epochs=3, verbose=0, callbacks=[ChangeWeight()])
    start = build(tasks).get_layer("width_logits").kernel.numpy()
    assert not np.allclose(kernels[0], start)
    np.testing.assert_array_equal(kernels[1], kernels[0])
    np.testing.assert_array_equal(kernels[2], kernels[0])
    logs = model.evaluate(X, labels, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["height_mean_loss"], rel=1e-6)


@pytest.mark.parametrize("door", ["compile_args", "Equal"])
def test_one_hot_labels_may_miss_rows(door):
    classes = np.arange(12) % 3
    rows = np.eye(3, dtype="float32")[classes] * 0.8 + 0.2 / 3
    missing = [1, 4, 5]
    rows[missing] = np.nan
    rows[7, 1] = np.nan  # with one entry missing the row is
    tasks = [Task.multiclass("topic", 3, labels="one_hot"), Task.regression("height")]
    data = tf.data.Dataset.from_tensor_slices((X, {"topic": rows, "height": X[:, 0]})).batch(12)
    data = mtl.data.mask_missing(data, tasks)
    model, network = through(door, tasks, run_eagerly=True)
    p = network.predict(X, verbose=0)["topic"]
    valid = np.setdiff1d(np.arange(12), [*missing, 7])
    logs = model.evaluate(data, verbose=0, return_dict=True)
    expected = -np.sum(rows[valid] * np.log(p[valid])) / len(valid)
    assert logs["topic_mean_loss"] == pytest.approx(expected, rel=1e-5)


def test_data_functions_take_a_row_of_one_hot_labels_for_one_label(capsys):
    rows = np.float32([[1, 0, 0], [0, 0, 1], [np.nan] * 3, [0.5, 0.5, 0.0]])
    tasks = [Task.multiclass("topic", 3, labels="one_hot")]
    data = tf.data.Dataset.from_tensor_slices((X[:4], {"topic": rows})).batch(4)
    masked = mtl.data.mask_missing(data, tasks)
    weighted = mtl.data.class_weights(masked, tasks, {"topic": [1.0, 3.0, 5.0]})
    weights = next(iter(weighted))[2]["topic"].numpy()
    np.testing.assert_array_equal(weights, np.float32([[1.0], [5.0], [0.0], [2.0]]) * np.ones(3))
    with pytest.warns(UserWarning, match="have no example: 1"):
        summary = mtl.data.describe(data, tasks)["topic"]
    assert (summary.labels, summary.classes) == (3, {0: 2, 2: 1})
    assert "topic" in capsys.readouterr().out


def test_a_weight_that_is_a_variable_is_not_replaced_by_a_number():
    tasks = [Task.regression("a", weight=keras.Variable(2.0))]
    summary = {"a": mtl.data.LabelSummary(labels=3)}
    with pytest.raises(ValueError, match="task 'a': its weight is a variable"):
        mtl.data.weigh_tasks(summary, tasks)


@pytest.mark.parametrize("labels", ["integer", "one_hot"])
def test_the_focal_loss_of_classes_is_the_one_of_the_paper(labels):
    classes, p = np.array([0, 2, 1]), np.array([[0.7, 0.2, 0.1], [0.5, 0.2, 0.3], [0.1, 0.8, 0.1]])
    y = classes if labels == "integer" else np.eye(3, dtype="float32")[classes]
    right = p[np.arange(3), classes]
    expected = np.mean(-((1 - right) ** 2) * np.log(right))
    task = Task.multiclass("topic", 3, labels=labels, loss="focal")
    assert float(task.make_loss()(y, p.astype("float32"))) == pytest.approx(expected, rel=1e-5)
    prediction = keras.layers.Activation("softmax")(tf.constant(np.log(p) + 3, "float32"))
    assert float(task.make_loss()(y, prediction)) == pytest.approx(expected, rel=1e-5)
    y, q = np.array([1, 0, 1]), np.array([[0.9], [0.4], [0.2]], "float32")
    right = np.array([0.9, 0.6, 0.2])
    expected = np.mean(-((1 - right) ** 2) * np.log(right))
    for binary in (Task.binary("click", loss="focal"), Task.multilabel("tags", 1, loss="focal")):
        assert float(binary.make_loss()(y[:, None], q)) == pytest.approx(expected, rel=1e-5)


def test_factories_take_another_loss():
    for task in (Task.regression("a", loss="mae"), Task.count("a", loss="mae")):
        value = task.make_loss()(np.array([1.0, 2.0]), np.array([[3.0], [3.0]], "float32"))
        assert float(value) == pytest.approx(1.5)
    hinge = Task.multiclass("a", 3, labels="one_hot", loss="categorical_hinge")
    assert hinge.make_loss().loss.name == "categorical_hinge"
    with pytest.raises(ValueError, match=r"task 'a': labels is one of \['integer', 'one_hot'\]"):
        Task.multiclass("a", 3, labels="onehot")
    with pytest.raises(ValueError, match=r"gamma is 0, or at least 1; received 0\.5"):
        type(Task.multiclass("a", 3, loss="focal").loss)(gamma=0.5)


SURVIVAL = CASES["a user's risk sets"].task()
BOXES = CASES["a user's boxes"].task()
SOFT = Task.multiclass("zoo", 3, labels="one_hot")


@pytest.mark.parametrize(
    ("task", "labels", "weights", "message"),
    [
        (SURVIVAL, np.ones((4, 2)), [1, 0, 0.5, 1], "depends on the batch.*received 0.5 and 1"),
        (SURVIVAL, np.ones((4, 2)), [2, 0, 2, 2], None),
        (BOXES, np.ones((4, 2)), [[1, 1], [1, 0], [0.5, 0.5], [1, 1]], None),
        (BOXES, np.ones((4, 2)), [[1, 1], [1, 0.5], [1, 1], [1, 1]], "depends on the last axis"),
        (SOFT, np.eye(4, 3), None, "a row of its one-hot labels sums to 0; expected 1"),
        (SOFT, np.eye(4, 3), [1, 1, 1, 0], None),
        (SOFT, np.eye(4, 3), [[1, 1, 1], [2, 2, 2], [1, 1, 1], [0, 1, 3]], None),
        (SOFT, np.ones((4, 3)), None, "sums to 3; expected 1"),
        (SOFT, np.ones(4), None, "leave out labels='one_hot'"),
        (Task.multiclass("zoo", 3), np.eye(4, 3), None, "look like one-hot labels.*argmax"),
        (CASES["ignore_class, one"].task(), np.array([0, 1, 2, 1]), None, None),
    ],
)
def test_labels_and_weights_that_a_loss_cannot_take_are_refused_at_the_door(
    task, labels, weights, message
):
    parts = (X[:4], {"zoo": labels})
    if weights is not None:
        parts += ({"zoo": np.array(weights, "float32")},)
    data = tf.data.Dataset.from_tensor_slices(parts).batch(4)
    if message is None:
        mtl.data.check_dataset(data, [task])
        return
    with pytest.raises(ValueError, match=f"task 'zoo': .*{message}"):
        mtl.data.check_dataset(data, [task])


def test_a_class_that_the_loss_ignores_may_be_out_of_range():
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)
    head, labels = Head(3, "softmax"), Labels(integer=True, low=0, high=2)
    task = Task("zoo", head=head, loss=loss, labels=labels)
    data = tf.data.Dataset.from_tensor_slices((X[:3], {"zoo": [0, -1, 2]})).batch(3)
    mtl.data.check_dataset(data, [task])
    p = np.full((3, 3), 1 / 3, "float32")
    assert float(task.make_loss()(np.array([0, -1, 2]), p)) == pytest.approx(np.log(3), rel=1e-6)

"""The table of losses: on valid labels each equals stock Keras on these labels alone.

Rows are all losses that `keras.losses` exports and a user's of each kind, for one label, several
labels and labels of tokens (`loss_table_cases.py`). Columns are the weights: none, zeros and ones,
fractions, all zero. A label of weight 0 is one that the loss cannot take.

What is not exact is refused: fractions for a loss over the batch (one example cannot be there by
a half), and a sequence's mask for a loss of whole examples.
"""

import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from loss_table_cases import CASES

import keras_mtl as mtl

EVERYDAY = ("BinaryCrossentropy, several", "ignore_class, tokens", "Dice")
WEIGHTS = ("none", "zeros and ones", "fractions", "negative", "all zero")


def test_every_loss_that_keras_exports_is_in_the_table():
    exported = {name for name in dir(keras.losses) if isinstance(getattr(keras.losses, name), type)}
    rows = {name.split(",")[0] for name in CASES} | {"CTC"}
    assert exported - {"Loss"} <= rows


def draw_weights(kind, shape, rng):
    weights = {
        "none": np.ones(shape),
        "zeros and ones": rng.integers(0, 2, shape),
        "fractions": rng.integers(0, 4, shape) * 0.37,
        "negative": rng.integers(-3, 2, shape),
        "all zero": np.zeros(shape),
    }[kind].astype("float32")
    if kind not in ("none", "all zero"):
        weights.flat[:4] = weights.max() * np.array(
            [1.0, 0.0, 1.0, 1.0 if kind == "zeros and ones" else 0.5]
        )
    return weights


def is_missing(weights, array):
    """Tells for each entry of an array whether its weight is 0."""
    weights = weights.reshape(weights.shape + (1,) * (array.ndim - weights.ndim))
    return np.broadcast_to(weights == 0, array.shape)


def spoil(labels, weights):
    """Returns labels that no loss takes where the weight is 0."""
    labels = labels.copy()
    labels[is_missing(weights, labels)] = -1 if labels.dtype.kind == "i" else np.nan
    return labels


def stock_value(case, labels, predictions, weights):
    """Computes the loss with stock Keras alone: on the valid units, or one by one if weighted."""
    loss, units = case.stock(), max(1, case.unit)
    if labels.ndim == units - 1:
        labels = labels[..., None]
    shape = predictions.shape[:units]
    flat_labels = labels.reshape(-1, *labels.shape[units:])
    flat = tf.reshape(predictions, (-1, *predictions.shape[units:]))
    if case.unit == len(case.shape) + 1 or (
        flat_labels.ndim < 2 <= flat.ndim and flat.shape[-1] == 1
    ):
        flat_labels = flat_labels.reshape(-1, 1)
        flat = tf.reshape(flat, (-1, 1))
    of_units = np.broadcast_to(weights, shape).reshape(-1)
    valid = np.flatnonzero(of_units)
    if not valid.size:
        return 0.0 * tf.reduce_sum(flat)
    if case.unit == 0 or set(of_units) <= {0.0, 1.0}:
        return np.sign(of_units[valid[0]]) * loss(flat_labels[valid], tf.gather(flat, valid))
    kept = [i for i in valid if flat_labels[i] != loss.ignore_class] if ignores(loss) else valid
    values = [of_units[i] * loss(flat_labels[i : i + 1], flat[i : i + 1]) for i in kept]
    return tf.add_n(values) / np.abs(of_units[kept]).sum()


def ignores(loss):
    return getattr(loss, "ignore_class", None) is not None


def value_and_gradient(function, predictions):
    source = tf.constant(predictions)
    with tf.GradientTape() as tape:
        tape.watch(source)
        value = function(source)
    return float(value), tf.convert_to_tensor(tape.gradient(value, source)).numpy()


def cells():
    """Yields each loss with each kind of weights; a few of them are tried every day."""
    for name in CASES:
        for kind in WEIGHTS:
            representative = kind == "zeros and ones" and not name.endswith(("several", "tokens"))
            everyday = representative or name in EVERYDAY
            yield pytest.param(name, kind, marks=[] if everyday else pytest.mark.slow)


@pytest.mark.parametrize(("name", "kind"), list(cells()))
def test_the_loss_of_a_task_is_that_of_keras_on_the_valid_labels(name, kind):
    case, rng = CASES[name], np.random.default_rng(0)
    labels, predictions = case.draw(rng)
    weights = draw_weights(kind, predictions.shape[: max(1, case.unit)], rng)
    loss = case.task().make_loss()
    if case.unit == 0 and kind in ("fractions", "negative"):
        with pytest.raises(tf.errors.InvalidArgumentError, match="equal or 0 among them"):
            loss(labels, tf.constant(predictions), weights)
        return
    expected = value_and_gradient(lambda p: stock_value(case, labels, p, weights), predictions)
    given_weights = None if kind == "none" else weights
    spoilt = spoil(labels, weights)
    value = value_and_gradient(lambda p: loss(spoilt, p, given_weights), predictions)
    assert value[0] == pytest.approx(expected[0], rel=1e-6, abs=1e-6)
    np.testing.assert_allclose(value[1], expected[1], rtol=1e-5, atol=1e-6)
    assert not value[1][is_missing(weights, value[1])].any()


def doors():
    everyday = {"CategoricalCrossentropy, one", "a user's elementwise loss, several", "Circle"}
    for name in CASES:
        yield pytest.param(name, marks=[] if name in everyday else pytest.mark.slow)


@pytest.mark.parametrize("door", ["compile_args", "BalancedModel"])
@pytest.mark.parametrize("name", list(doors()))
def test_a_step_and_an_evaluation_equal_keras_on_the_valid_labels(name, door):
    """Checks the loss that is logged, and the gradient at the first kernel, by a step of SGD."""
    case, rng = CASES[name], np.random.default_rng(1)
    labels, predictions = case.draw(rng)
    weights = draw_weights("zeros and ones", predictions.shape[: max(1, case.unit)], rng)
    x = rng.normal(size=(*predictions.shape[:-1], 4)).astype("float32")
    tasks = [case.task(), axis_task(case)]
    network = build(tasks, x)
    kernel = network.layers[1].kernel

    with tf.GradientTape() as tape:
        outputs = network(x)
        zoo = stock_value(case, labels, outputs["zoo"], weights)
        total = zoo + tf.reduce_mean((outputs["axis"][..., 0] - x[..., 0]) ** 2)
    expected = kernel.numpy() - 0.5 * tape.gradient(total, kernel.value).numpy()

    model = network
    if door == "compile_args":
        network.compile(keras.optimizers.SGD(0.5), run_eagerly=True, **mtl.compile_args(tasks))
    else:
        model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
        model.compile(keras.optimizers.SGD(0.5), run_eagerly=True)
    data = (
        x,
        {"zoo": spoil(labels, weights), "axis": x[..., 0]},
        {"zoo": weights, "axis": np.ones(len(x), "float32")},
    )
    logs = model.evaluate(*data[:2], sample_weight=data[2], verbose=0, return_dict=True)
    assert logs["zoo_mean_loss"] == pytest.approx(float(zoo), rel=1e-6, abs=1e-6)
    model.train_on_batch(*data)
    np.testing.assert_allclose(kernel, expected, rtol=1e-5, atol=1e-6)


def axis_task(case):
    labels = mtl.Labels(case.shape[:-1])
    return mtl.Task("axis", head=mtl.Head(1), loss="mse", labels=labels)


def build(tasks, x):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(x.shape[1:])
    features = keras.layers.Dense(5, "relu")(inputs)
    return keras.Model(inputs, {task.name: task.output(features) for task in tasks})


@pytest.mark.slow
def test_two_replicas_equal_one_device_with_a_loss_of_each_kind():
    script = pathlib.Path(__file__).with_name("loss_replica_runs.py")
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    differences = json.loads(run.stdout.splitlines()[-1])
    assert len(differences) == 20
    for case, (of_variables, of_loss, loss) in differences.items():
        assert of_variables < 2e-6 and of_loss < 1e-6 * max(1.0, loss), case

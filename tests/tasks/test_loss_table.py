"""The table of losses: on valid labels each equals stock Keras on these labels alone.

Rows are all losses that `keras.losses` exports and a user's of each kind, for one label, several
labels and labels of tokens (`loss_table_cases.py`). Columns are the weights: none, zeros and ones,
fractions, all zero. A label of weight 0 is one that the loss cannot take.

What is not exact is refused: fractions for a loss over the batch (one example cannot be there by
a half), and a sequence's mask for a loss of whole examples.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from loss_table_cases import CASES

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
        weights.flat[:3] = weights.max(), 0.0, weights.max()
    return weights


def spoil(labels, weights):
    """Returns labels that no loss takes where the weight is 0."""
    labels = labels.copy()
    missing = np.broadcast_to(
        (weights == 0).reshape(weights.shape + (1,) * (labels.ndim - weights.ndim)), labels.shape
    )
    labels[missing] = -1 if labels.dtype.kind == "i" else np.nan
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


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("name", CASES)
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
    missing = np.broadcast_to(
        weights.reshape(weights.shape + (1,) * (value[1].ndim - weights.ndim)) == 0, value[1].shape
    )
    assert not value[1][missing].any()

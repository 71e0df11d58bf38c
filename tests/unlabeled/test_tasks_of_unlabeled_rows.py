"""Auxiliary tasks of rows without labels: what they append, and the contrastive loss."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task, unlabeled

TASKS = [Task.binary("spam"), Task.regression("n")]
ROWS = 64
X = (np.random.default_rng(0).normal(size=(ROWS, 5)) + 10.0 * np.arange(5)).astype("float32")
LABELS = {"spam": np.where(np.arange(ROWS) % 4 == 0, 1.0, np.nan), "n": np.ones(ROWS)}


def rows(x=X, size=ROWS):
    return tf.data.Dataset.from_tensor_slices((x, LABELS)).batch(size)


def numbers(element):
    return tf.nest.map_structure(np.asarray, element)


def test_masked_cells_come_from_the_same_column_and_are_to_be_restored():
    x, y, w = numbers(next(iter(unlabeled.mask_columns(rows(), TASKS, rate=0.4))))
    np.testing.assert_array_equal(x[:ROWS], X)
    for column in range(5):
        assert set(x[ROWS:, column]) <= set(X[:, column])
    np.testing.assert_array_equal(y["columns"], np.concatenate([X, X]))
    np.testing.assert_array_equal(w["columns"][ROWS:], x[ROWS:] != X)
    assert not w["columns"][:ROWS].any()
    assert w["columns"][ROWS:].mean() == pytest.approx(0.4, abs=0.08)
    # Columns of one row are swapped by themselves.
    assert w["columns"][ROWS:].std(axis=0).min() > 0.1
    np.testing.assert_array_equal(w["spam"], [*(np.arange(ROWS) % 4 == 0), *np.zeros(ROWS)])
    np.testing.assert_array_equal(w["n"], [1] * ROWS + [0] * ROWS)


def test_an_equal_cell_is_not_masked():
    x = np.tile([[1.0, 2.0]], (ROWS, 1)).astype("float32")
    _, _, w = numbers(next(iter(unlabeled.mask_columns(rows(x), TASKS, rate=0.9))))
    assert not w["columns"].any()


def test_each_epoch_has_other_draws_and_each_seed_the_same_ones():
    def epochs(seed):
        dataset = unlabeled.mask_columns(rows(size=32), TASKS, seed=seed)
        assert int(dataset.cardinality()) == 2
        return [np.concatenate([x[32:] for x, _, _ in dataset]) for _ in range(2)]

    first, second = epochs(1)
    assert (first[:32] != second[:32]).any() and (first != X).any()
    again, other = epochs(1), epochs(2)
    np.testing.assert_array_equal(first, again[0])
    np.testing.assert_array_equal(second, again[1])
    assert (first != other[0]).any()


def test_of_chosen_tokens_most_are_masked():
    tokens = np.random.default_rng(0).integers(1, 50, size=(ROWS, 400))
    tokens[:, 300:] = 0
    dataset = unlabeled.mask_tokens(rows(tokens), TASKS, num_tokens=51, mask=50)
    x, y, w = numbers(next(iter(dataset)))
    np.testing.assert_array_equal(x[:ROWS], tokens)
    np.testing.assert_array_equal(y["tokens"][ROWS:], tokens)
    changed, chosen = x[ROWS:], w["tokens"][ROWS:] == 1
    assert not w["tokens"][:ROWS].any() and not chosen[:, 300:].any()
    np.testing.assert_array_equal(changed[~chosen], tokens[~chosen])
    assert chosen[:, :300].mean() == pytest.approx(0.15, abs=0.01)
    assert (changed[chosen] == 50).mean() == pytest.approx(0.8, abs=0.02)
    assert (changed[chosen] == tokens[chosen]).mean() == pytest.approx(0.1, abs=0.02)
    assert changed[chosen].min() >= 1 and changed.max() <= 50


def embeddings_network():
    z = keras.Input((2,))
    return keras.Model(z, {"views": keras.layers.Identity(name="views")(z)})


def test_the_contrastive_loss_has_its_golden_values_and_leaves_out_rows_of_weight_0():
    views = np.array([[1, 0], [0, 1], [0.8, 0.6], [-0.6, 0.8]], "float32")
    loss = unlabeled.NTXent()
    pairs = np.array([0, 1, 0, 1])
    assert float(loss(pairs, 3.0 * views)) == pytest.approx(0.4302, abs=5e-5)
    for label, value in ((0, 0.2333), (1, 0.6271)):
        one_way = _losses_of_anchors(views, pairs, 0.5)
        assert one_way[label] == pytest.approx(value, abs=5e-5)
    network = embeddings_network()
    network.compile(**mtl.compile_args([unlabeled.contrastive("views", 2)]))
    z = np.concatenate([views, [[0.9, 0.1], [0.1, 0.2], [5.0, 5.0]]])
    ids = np.array([0, 1, 0, 1, 0, 7, 1])
    result = network.evaluate(
        z,
        {"views": ids},
        sample_weight={"views": np.array([1.0, 1, 1, 1, 0, 0, 0])},
        batch_size=7,
        verbose=0,
        return_dict=True,
    )
    assert result["loss"] == pytest.approx(0.4302, abs=5e-5)


def _losses_of_anchors(z, pairs, temperature):
    """Returns the loss of each row that has one partner, by loops."""
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    losses = []
    for i in range(len(z)):
        partner = next(j for j in range(len(z)) if j != i and pairs[j] == pairs[i])
        terms = [np.exp(z[i] @ z[k] / temperature) for k in range(len(z)) if k != i]
        losses.append(-np.log(np.exp(z[i] @ z[partner] / temperature) / sum(terms)))
    return losses


def test_rows_without_a_partner_are_compared_with_but_do_not_count():
    z = np.random.default_rng(1).normal(size=(5, 3)).astype("float32")
    pairs = np.array([4, 9, 4, 8, 8])
    normal = z / np.linalg.norm(z, axis=1, keepdims=True)
    logits = np.exp(normal @ normal.T / 0.2)
    np.fill_diagonal(logits, 0)
    chances = logits / logits.sum(1, keepdims=True)
    expected = -np.log([chances[0, 2], chances[2, 0], chances[3, 4], chances[4, 3]]).mean()
    assert float(unlabeled.NTXent(0.2)(pairs, z)) == pytest.approx(expected, rel=1e-4)
    assert float(unlabeled.NTXent()(np.array([1, 2]), z[:2])) == 0.0


@pytest.mark.slow
def test_views_and_masked_columns_train_beside_tasks():
    added = [Task.regression("columns", 5), unlabeled.contrastive("views", 3)]
    tasks = [*TASKS, *added]
    dataset = unlabeled.mask_columns(rows(size=16), TASKS)
    change = unlabeled.SwapCells(0.6, seed=1)
    dataset = unlabeled.two_views(dataset, change, [*TASKS, added[0]])
    x, y, w = numbers(next(iter(dataset)))
    assert len(x) == 64 and w["spam"][:16].sum() == 4 and not w["columns"][32:].any()
    np.testing.assert_array_equal(y["views"], [*range(32), *range(32)])
    assert (x[32:] != x[:32]).mean() > 0.3
    network = mtl.architectures.hard_sharing(keras.Input((5,)), tasks, shared=(6,), tower=())
    model = mtl.BalancedModel(network, tasks, mtl.balancers.PCGrad())
    model.compile("adam")
    logs = model.fit(dataset, epochs=1, verbose=0).history
    assert all(np.isfinite(logs[f"{task.name}_loss"][0]) for task in tasks)
    assert logs["views_loss"][0] > 0 and logs["columns_loss"][0] > 0


def test_cells_are_swapped_in_training_alone():
    layer = unlabeled.SwapCells(0.5, seed=2)
    np.testing.assert_array_equal(layer(X), X)
    first, second = (np.asarray(layer(X, training=True)) for _ in range(2))
    assert (first != X).mean() == pytest.approx(0.5, abs=0.15) and (first != second).any()
    copied = unlabeled.SwapCells.from_config(layer.get_config())
    np.testing.assert_array_equal(copied(X, training=True), first)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: unlabeled.mask_columns(rows(), TASKS, "spam"), "for a new task 'spam'"),
        (lambda: unlabeled.mask_columns(rows(), TASKS, rate=1.0), "rate is 1.0"),
        (
            lambda: unlabeled.mask_columns(rows(X.astype("int64")), TASKS),
            "needs a batch of rows of real numbers",
        ),
        (lambda: unlabeled.mask_columns(rows({"u": X}), TASKS), "on must name one of the inputs"),
        (lambda: unlabeled.mask_columns(rows(), TASKS, on="u"), "needs inputs as a dict"),
        (
            lambda: unlabeled.mask_tokens(rows(), TASKS, num_tokens=9, mask=8),
            "data.text_encoder makes them",
        ),
        (
            lambda: unlabeled.mask_tokens(rows(), TASKS, num_tokens=9, mask=9),
            "mask is 9; expected a token below 9",
        ),
        (
            lambda: unlabeled.two_views(
                rows(size=ROWS).unbatch().batch(1, drop_remainder=True),
                unlabeled.SwapCells(),
                TASKS,
            ),
            "needs batches of several rows",
        ),
        (lambda: unlabeled.SwapCells(0.0), "rate is 0.0"),
        (lambda: unlabeled.NTXent(0.0), "temperature is 0.0"),
        (lambda: unlabeled.contrastive("v", 1), "dimensions is 1"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()

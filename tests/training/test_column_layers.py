"""Columns that one layer spreads: their gradients against those of the columns one by one."""

import keras
import numpy as np
import pytest
import small_problem as problem
import tensorflow as tf
from keras import layers

import keras_mtl as mtl
from keras_mtl import balancers
from keras_mtl.training._frontier import find_column_layer
from keras_mtl.training._gradients import gramian, squared_lengths

K, UNITS, WIDTH, BATCH = 5, 3, 8, 16


def dense(features):
    return layers.Dense(K, "sigmoid")(features)


def towers(features, dropout=0.5):
    hidden = layers.EinsumDense("bi,iku->bku", (K, UNITS), "tanh", bias_axes="ku")(features)
    hidden = layers.Dropout(dropout, seed=1)(hidden)
    return layers.EinsumDense("bku,ku->bk", (K,), "sigmoid", bias_axes="k")(hidden)


def above_a_tower(features):
    return towers(layers.Dense(6, "gelu", name="tower")(features))


def mixed(features):
    """No layer spreads the columns: they are normalized together."""
    logits = layers.LayerNormalization()(layers.Dense(K, name="tower")(features))
    return layers.Activation("sigmoid")(logits)


class OfItsOwn(layers.Dense):
    """A layer by another's name: each of its columns sees the others."""

    def call(self, inputs, training=None):
        made = super().call(inputs, training=training)
        return made - keras.ops.mean(made, axis=-1, keepdims=True)


HEADS = [dense, towers, above_a_tower, mixed]


def task(head):
    names = [f"c{k}" for k in range(K)]
    loss = keras.losses.BinaryCrossentropy()
    return mtl.Task("assays", head=head, loss=loss, metrics=(), columns=names)


def network(tasks):
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    features = layers.Dense(WIDTH, "tanh", name="body")(x)
    return keras.Model(x, {task.name: task.output(features) for task in tasks})


def batch():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, 4)).astype("float32")
    y = (rng.random((BATCH, K)) < 0.5).astype("float32")
    w = (rng.random((BATCH, K)) < 0.7).astype("float32")
    w[:, 1] = 0
    ones = np.ones(BATCH, "float32")
    return x, {"assays": y, "z": (x[:, 1] > 0).astype("float32")}, {"assays": w, "z": ones}


class Remembers(balancers.GramianBalancer):
    def build(self, num_tasks):
        super().build(num_tasks)
        self.matrix = self.add_state("matrix", (num_tasks, num_tasks), task_axes=2)

    def weigh(self, gramian, losses):
        self.matrix.assign(gramian)
        return self.select_active(np.arange(1.0, self.num_tasks + 1))


class RemembersLengths(Remembers):
    needs = balancers.Needs(lengths_only=True)


def by_hand(network):
    """The Gramian of the gradients with respect to the body's output, a pass a column."""
    x, y, w = batch()
    below, above = problem.cut(network, "body")
    features = below(x, training=True)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(features)
        made = above([features, tf.constant(x)], training=True)
        columns = [(made["assays"][:, k], y["assays"][:, k], w["assays"][:, k]) for k in range(K)]
        losses = [
            tf.math.divide_no_nan(tf.reduce_sum(cross_entropy(label, p) * weight), weight.sum())
            for p, label, weight in [*columns, (made["z"][:, 0], y["z"], w["z"])]
        ]
    rows = np.stack([np.array(tape.gradient(loss, features)).ravel() for loss in losses])
    return rows @ rows.T


def cross_entropy(label, p):
    return -label * tf.math.log(p) - (1 - label) * tf.math.log(1 - p)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("run_eagerly", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_gramian_of_columns_is_that_of_each_by_itself(head, run_eagerly):
    tasks = [task(head), mtl.Task.binary("z", metrics=())]
    expected = by_hand(network(tasks))
    model = mtl.BalancedModel(network(tasks), tasks, Remembers(), at="representation")
    model.compile("sgd", run_eagerly=run_eagerly)
    assert len(model.frontier.joint_layers) == (head is not mixed)
    model.train_on_batch(*batch())
    found = np.asarray(model.balancer.matrix.variable)
    expected[1] = expected[:, 1] = 0  # no label: the rule is not asked about it
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize("at", ["representation", "parameters"])
def test_a_rule_that_reads_lengths_gets_no_more(at):
    matrices = []
    for make in (Remembers, RemembersLengths):
        tasks = [task(dense), mtl.Task.binary("z", metrics=())]
        model = mtl.BalancedModel(network(tasks), tasks, make(), at=at)
        model.compile("sgd", run_eagerly=True)
        model.train_on_batch(*batch())
        matrices.append(np.asarray(model.balancer.matrix.variable))
    assert np.count_nonzero(matrices[0]) > K
    np.testing.assert_allclose(matrices[1], np.diag(np.diag(matrices[0])), rtol=1e-5)


def test_a_lone_tasks_columns_share_what_lies_below_the_layer_that_spreads_them():
    lone = [task(above_a_tower)]
    model = mtl.BalancedModel(network(lone), lone, balancers.MGDA(), at="representation")
    assert {v.path.split("/")[0] for v in model.frontier.shared} == {"body", "tower"}
    lone = [task(mixed)]  # it could as well begin above the normalization, which has variables
    model = mtl.BalancedModel(network(lone), lone, balancers.MGDA(), at="representation")
    assert {v.path.split("/")[0] for v in model.frontier.shared} == {"body", "tower"}


def test_half_precision_gives_the_same_gramian():
    tasks = [task(lambda features: towers(features, 0.0)), mtl.Task.binary("z", metrics=())]
    expected = by_hand(network(tasks))
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = mtl.BalancedModel(network(tasks), tasks, Remembers(), at="representation")
        scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(), initial_scale=2.0**11)
        model.compile(scaled, run_eagerly=True)
        model.train_on_batch(*batch())
    finally:
        keras.config.set_dtype_policy("float32")
    found = np.asarray(model.balancer.matrix.variable)
    expected[1] = expected[:, 1] = 0
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.02 * np.abs(expected).max())


def test_a_broken_task_beside_columns_is_left_out_alone():
    tasks = [task(towers), mtl.Task.regression("z", metrics=())]
    outcomes = []
    for spoiled in (True, False):
        x, y, w = batch()
        if spoiled:
            y["z"] = np.full_like(y["z"], np.nan)
        else:
            w["z"] = np.zeros_like(w["z"])
        model = mtl.BalancedModel(network(tasks), tasks, balancers.MGDA(), at="representation")
        model.compile("sgd", run_eagerly=True)
        model.train_on_batch(x, y, w)
        outcomes.append(problem.values(model.network.variables))
    problem.assert_close(*outcomes, 1e-7)


@pytest.mark.parametrize(
    "make",
    [
        balancers.PCGrad,
        pytest.param(balancers.MGDA, marks=pytest.mark.slow),
        pytest.param(balancers.GradDrop, marks=pytest.mark.slow),
    ],
)
def test_many_columns_with_labels_missing_are_balanced_in_one_graph(make):
    count = 15  # more than a branch for each number of columns would be traced for
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, 4)).astype("float32")
    y = (rng.random((BATCH, count)) < 0.5).astype("float32")
    w = np.ones_like(y)
    w[:, ::3] = 0
    names = [f"c{k}" for k in range(count)]

    def trained(which):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4,))
        features = layers.Dense(WIDTH, "tanh", name="body")(inputs)
        some = mtl.Task.multilabel("assays", columns=[names[k] for k in which], metrics=())
        net = keras.Model(inputs, {"assays": some.output(features)})
        head = net.get_layer("assays_logits")
        head.set_weights([kernel[:, which], np.zeros(len(which))])
        model = mtl.BalancedModel(net, [some], make(), at="representation")
        model.compile("sgd")
        model.fit(
            x, {"assays": y[:, which]}, sample_weight={"assays": w[:, which]}, batch_size=BATCH,
            verbose=0, shuffle=False,
        )  # fmt: skip
        return model, problem.values(net.get_layer("body").weights)

    kernel = np.random.default_rng(1).normal(size=(WIDTH, count)).astype("float32")
    model, found = trained(list(range(count)))
    present = [k for k in range(count) if k % 3]
    alone, expected = trained(present)
    if make is not balancers.GradDrop:  # which draws for the entries of other arrays
        problem.assert_close(found, expected, 1e-5)
    weights = np.array([*model.task_weights.values()])
    if make is balancers.MGDA:
        np.testing.assert_allclose(weights[present], [*alone.task_weights.values()], atol=1e-5)
        np.testing.assert_allclose(weights[present].sum(), 1, rtol=1e-5)


def test_half_of_the_products_of_many_rows_give_the_others():
    rows = tf.random.normal((131, 7))
    expected = np.asarray(rows) @ np.asarray(rows).T
    np.testing.assert_allclose(gramian([rows, rows]), 2 * expected, rtol=1e-4, atol=1e-5)
    alone = np.diag(np.diag(2 * expected))
    np.testing.assert_allclose(squared_lengths([rows, rows]), alone, rtol=1e-5)


def test_what_mixes_columns_spreads_none():
    def spread(head):
        x = keras.Input((4,))
        return find_column_layer(head(x), "t")

    assert spread(dense) is not None and spread(mixed) is None
    assert spread(lambda x: layers.Dense(K)(layers.Dense(K)(x))).inputs == "...i"
    assert spread(lambda x: layers.Dense(K, "softmax")(x)) is None
    assert spread(lambda x: layers.LayerNormalization()(layers.Dense(K)(x))) is None
    assert spread(OfItsOwn(K)) is None
    grown = layers.EinsumDense("bku,kuv->bkv", (K, 2))
    first = layers.EinsumDense("bi,iku->bku", (K, UNITS))
    last = layers.EinsumDense("bkv,kv->bk", (K,))
    assert spread(lambda x: last(grown(first(x)))).kernel == "iku"

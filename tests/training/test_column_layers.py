"""Columns that part at one layer: their gradients against those of each column by itself."""

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
    """Builds columns that part at no layer, since they are normalized together."""
    logits = layers.LayerNormalization()(layers.Dense(K, name="tower")(features))
    return layers.Activation("sigmoid")(logits)


class CenteredDense(layers.Dense):
    """Subclasses a layer whose columns part, but each of its columns depends on the others."""

    def call(self, inputs, training=None):
        outputs = super().call(inputs, training=training)
        return outputs - keras.ops.mean(outputs, axis=-1, keepdims=True)


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
    """Computes the Gramian of the gradients by the body's output, with one pass per column."""
    x, y, w = batch()
    below, above = problem.cut(network, "body")
    features = below(x, training=True)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(features)
        outputs = above([features, tf.constant(x)], training=True)
        columns = [
            (outputs["assays"][:, k], y["assays"][:, k], w["assays"][:, k]) for k in range(K)
        ]
        losses = [
            tf.math.divide_no_nan(tf.reduce_sum(cross_entropy(label, p) * weight), weight.sum())
            for p, label, weight in [*columns, (outputs["z"][:, 0], y["z"], w["z"])]
        ]
    rows = np.stack([np.array(tape.gradient(loss, features)).ravel() for loss in losses])
    return rows @ rows.T


def cross_entropy(label, p):
    return -label * tf.math.log(p) - (1 - label) * tf.math.log(1 - p)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("run_eagerly", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_gramian_of_columns_equals_that_of_one_pass_per_column(head, run_eagerly):
    tasks = [task(head), mtl.Task.binary("z", metrics=())]
    expected = by_hand(network(tasks))
    model = mtl.BalancedModel(network(tasks), tasks, Remembers(), at="representation")
    model.compile("sgd", run_eagerly=run_eagerly)
    assert len(model.frontier.joint_layers) == (head is not mixed)
    model.train_on_batch(*batch())
    actual = np.asarray(model.balancer.matrix.variable)
    expected[1] = expected[:, 1] = 0  # a column without labels: the rule does not see it
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize("at", ["representation", "parameters"])
def test_a_rule_that_reads_lengths_gets_a_diagonal_matrix(at):
    matrices = []
    for make in (Remembers, RemembersLengths):
        tasks = [task(dense), mtl.Task.binary("z", metrics=())]
        model = mtl.BalancedModel(network(tasks), tasks, make(), at=at)
        model.compile("sgd", run_eagerly=True)
        model.train_on_batch(*batch())
        matrices.append(np.asarray(model.balancer.matrix.variable))
    assert np.count_nonzero(matrices[0]) > K
    np.testing.assert_allclose(matrices[1], np.diag(np.diag(matrices[0])), rtol=1e-5)


def test_the_columns_of_a_lone_task_share_the_layers_below_their_column_layer():
    lone = [task(above_a_tower)]
    model = mtl.BalancedModel(network(lone), lone, balancers.MGDA(), at="representation")
    assert {v.path.split("/")[0] for v in model.frontier.shared} == {"body", "tower"}
    lone = [
        task(mixed)
    ]  # the frontier could as well lie above the normalization, which has variables
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
    actual = np.asarray(model.balancer.matrix.variable)
    expected[1] = expected[:, 1] = 0
    np.testing.assert_allclose(actual, expected, rtol=0.05, atol=0.02 * np.abs(expected).max())


def test_a_broken_task_beside_columns_is_left_out_alone():
    tasks = [task(towers), mtl.Task.regression("z", metrics=())]
    outcomes = []
    for spoiled in (True, False):
        x, y, w = batch()
        if spoiled:
            y["z"] = np.full_like(y["z"], 1e30)
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
    num_columns = 15  # too many for one traced branch per number of active columns
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, 4)).astype("float32")
    y = (rng.random((BATCH, num_columns)) < 0.5).astype("float32")
    w = np.ones_like(y)
    w[:, ::3] = 0
    names = [f"c{k}" for k in range(num_columns)]

    def trained(which):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4,))
        features = layers.Dense(WIDTH, "tanh", name="body")(inputs)
        task = mtl.Task.multilabel("assays", columns=[names[k] for k in which], metrics=())
        net = keras.Model(inputs, {"assays": task.output(features)})
        head = net.get_layer("assays_logits")
        head.set_weights([kernel[:, which], np.zeros(len(which))])
        model = mtl.BalancedModel(net, [task], make(), at="representation")
        model.compile("sgd")
        model.fit(
            x, {"assays": y[:, which]}, sample_weight={"assays": w[:, which]}, batch_size=BATCH,
            verbose=0, shuffle=False,
        )  # fmt: skip
        return model, problem.values(net.get_layer("body").weights)

    kernel = np.random.default_rng(1).normal(size=(WIDTH, num_columns)).astype("float32")
    model, actual = trained(list(range(num_columns)))
    active = [k for k in range(num_columns) if k % 3]
    alone, expected = trained(active)
    if make is not balancers.GradDrop:  # its draws depend on the shapes of the arrays
        problem.assert_close(actual, expected, 1e-5)
    weights = np.array([*model.task_weights.values()])
    if make is balancers.MGDA:
        np.testing.assert_allclose(weights[active], [*alone.task_weights.values()], atol=1e-5)
        np.testing.assert_allclose(weights[active].sum(), 1, rtol=1e-5)


def test_the_gramian_of_many_rows_follows_from_half_of_its_products():
    rows = tf.random.normal((131, 7))
    expected = np.asarray(rows) @ np.asarray(rows).T
    np.testing.assert_allclose(gramian([rows, rows]), 2 * expected, rtol=1e-4, atol=1e-5)
    alone = np.diag(np.diag(2 * expected))
    np.testing.assert_allclose(squared_lengths([rows, rows]), alone, rtol=1e-5)


def test_layers_that_mix_columns_are_no_column_layers():
    def column_layer(head):
        x = keras.Input((4,))
        return find_column_layer(head(x), "t")

    assert column_layer(dense) is not None and column_layer(mixed) is None
    assert column_layer(lambda x: layers.Dense(K)(layers.Dense(K)(x))).inputs == "...i"
    assert column_layer(lambda x: layers.Dense(K, "softmax")(x)) is None
    assert column_layer(lambda x: layers.LayerNormalization()(layers.Dense(K)(x))) is None
    assert column_layer(CenteredDense(K)) is None
    grown = layers.EinsumDense("bku,kuv->bkv", (K, 2))
    first = layers.EinsumDense("bi,iku->bku", (K, UNITS))
    last = layers.EinsumDense("bkv,kv->bk", (K,))
    assert column_layer(lambda x: last(grown(first(x)))).kernel == "iku"

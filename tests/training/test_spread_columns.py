"""Many columns that a `Dense` layer spreads: the same steps as with a row for each column."""

import keras
import numpy as np
import pytest
import small_problem as problem
import test_column_layers as small
from keras import layers

import keras_mtl as mtl
from keras_mtl import balancers
from keras_mtl.training._gradients import _spread_columns, _trunk_backward
from keras_mtl.training._gradients._tape import StepTape

K, BATCH, WIDTH = 130, 12, 6


def spreading(features):
    return layers.Dense(K, "sigmoid", name="spread")(features)


def tasks():
    loss = keras.losses.BinaryCrossentropy()
    names = [f"c{k}" for k in range(K)]
    assays = mtl.Task("assays", head=spreading, loss=loss, metrics=(), columns=names)
    return [mtl.Task.binary("z", metrics=(), weight=0.5), assays]


def network(of_tasks):
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    features = layers.Dense(WIDTH, "tanh", name="body")(x)
    return keras.Model(x, {task.name: task.output(features) for task in of_tasks})


def batch():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, 4)).astype("float32")
    y = {"z": (x[:, 1] > 0).astype("float32")}
    y["assays"] = (rng.random((BATCH, K)) < 0.5).astype("float32")
    w = {"z": np.ones(BATCH, "float32")}
    w["assays"] = (rng.random((BATCH, K)) < 0.7).astype("float32")
    w["assays"][:, 1] = 0  # a column without labels
    return x, y, w


def build(rule, **options):
    of_tasks = tasks()
    return problem.balanced(
        rule, lambda: network(of_tasks), lambda: of_tasks, at="representation", **options
    )


def is_spread(model, monkeypatch):
    """Returns a list that gets an entry for each Gramian of spread columns."""
    calls = []
    gramian = _spread_columns.SpreadCotangents.gramian

    def counted(self, lengths_only):
        calls.append(lengths_only)
        return gramian(self, lengths_only)

    monkeypatch.setattr(_spread_columns.SpreadCotangents, "gramian", counted)
    return calls


def rows_by_hand(model, x, y, w):
    """Returns each loss's gradient at the representation, `[K, B d]`, in float64."""
    hidden = model.network.get_layer("body")(x).numpy().astype("float64")
    rows = []
    for name, layer, weight in (("z", "z_logits", 0.5), ("assays", "spread", 1.0)):
        kernel, bias = (v.astype("float64") for v in model.network.get_layer(layer).get_weights())
        errors = 1 / (1 + np.exp(-(hidden @ kernel + bias))) - y[name].reshape(BATCH, -1)
        valid = w[name].reshape(BATCH, -1)
        errors = weight * errors * valid / np.maximum(valid.sum(axis=0), 1)
        rows += [np.outer(e, k).ravel() for e, k in zip(errors.T, kernel.T, strict=True)]
    return np.array(rows)


@pytest.mark.parametrize("diagonal", [False, True])
def test_the_gramian_is_that_of_rows_computed_by_hand(diagonal, monkeypatch):
    rule = small.RemembersLengths() if diagonal else small.Remembers()
    model = build(rule)
    calls = is_spread(model, monkeypatch)
    rows = rows_by_hand(model, *batch())
    expected = rows @ rows.T
    model.train_on_batch(*batch())
    assert calls == [diagonal]
    expected = np.diag(np.diag(expected)) if diagonal else expected
    actual = np.asarray(rule.matrix.variable)  # zeros for the column without labels
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=1e-6 * expected.max())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"every": 2, "scale_towers": True},
        pytest.param({"rescale_weights": True}, marks=pytest.mark.slow),
    ],
)
def test_steps_are_those_with_a_row_for_each_column(options, monkeypatch):
    ends = []
    for at_least in (K, K + 1):
        monkeypatch.setattr(_spread_columns, "MANY_COLUMNS", at_least)
        model = build(balancers.PCGrad(), **options)
        calls = is_spread(model, monkeypatch)
        for _ in range(2):
            model.train_on_batch(*batch())
        assert bool(calls) == (at_least == K)
        ends.append((problem.values(model.variables), [*model.task_weights.values()]))
    for spread, rows in zip(*ends, strict=True):
        for actual, expected in zip(spread, rows, strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("broken", ["z", "assays"])
def test_a_task_that_is_not_finite_is_left_out_alone(broken, monkeypatch):
    model = build(balancers.PCGrad())
    calls = is_spread(model, monkeypatch)
    layer = model.network.get_layer("spread" if broken == "assays" else "z_logits")
    kernel, bias = layer.get_weights()
    kernel[0, 0] = np.nan
    layer.set_weights([kernel, bias])
    body = model.network.get_layer("body")
    before = body.get_weights()[0]
    model.train_on_batch(*batch())
    assert calls
    assert {name.partition("/")[0] for name, count in model.left_out.items() if count} == {broken}
    after = body.get_weights()[0]
    assert np.isfinite(after).all() and abs(after - before).max() > 1e-6


def test_few_columns_and_towers_between_keep_their_rows(monkeypatch):
    loss = keras.losses.BinaryCrossentropy()
    names = [f"c{k}" for k in range(K)]

    def with_tower(features):
        return layers.Dense(K, "sigmoid")(layers.Dense(5, "tanh")(features))

    many = mtl.Task("assays", head=with_tower, loss=loss, metrics=(), columns=names)
    other = mtl.Task.binary("z", metrics=())
    model = problem.balanced(
        balancers.MGDA(), lambda: network([other, many]), lambda: [other, many], at="representation"
    )
    calls = is_spread(model, monkeypatch)
    model.train_on_batch(*batch())
    assert not calls


def test_many_named_tasks_pass_the_trunk_in_a_loop_with_the_same_numbers(monkeypatch):
    ends, passes = [], []
    trunk_in_turn = StepTape.trunk_in_turn

    def counted(self, cotangents, shared):
        passes.append(len(cotangents))
        return trunk_in_turn(self, cotangents, shared)

    monkeypatch.setattr(StepTape, "trunk_in_turn", counted)
    for least in (3, 4):
        monkeypatch.setattr(_trunk_backward, "_MANY_PASSES", least)
        of_tasks = [*problem.tasks()]
        model = mtl.BalancedModel(problem.network(), of_tasks, balancers.PCGrad())
        model.compile(keras.optimizers.SGD(0.1))
        for i in range(2):
            model.train_on_batch(*problem.batch(i))
        ends.append(problem.values(model.variables))
    assert passes == [3]
    for looped, apart in zip(*ends, strict=True):
        np.testing.assert_array_equal(looped, apart)

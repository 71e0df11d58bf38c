"""Ordinal, quantile and zero-inflated tasks: equations, metrics, refusals, every way to train."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics
import tensorflow as tf
from keras import ops

import keras_mtl as mtl
from keras_mtl import Head, Task
from keras_mtl._tasks._kinds._ordinal import OrdinalCrossentropy, OrdinalProbabilities
from keras_mtl._tasks._kinds._quantiles import Ascending, Pinball
from keras_mtl._tasks._kinds._zero_inflated import ZeroInflatedLogNormal, ZeroInflatedMean
from keras_mtl.studies._data._test_rows import _metric_of_rows
from keras_mtl.transfer._soft_labels import soft_loss

ROWS = 24
X = np.random.default_rng(0).normal(size=(ROWS, 4)).astype("float32")
STARS = np.clip(np.round(1.5 * X[:, 0] + 2), 0, 4)
MINUTES = np.exp(X[:, 1] + 3)
SPENT = np.where(X[:, 2] > 0, np.exp(X[:, 3]), 0)
GAPS = np.arange(ROWS) % 4 == 1


def with_gaps(values):
    return np.where(GAPS, np.nan, values).astype("float32")


def coral_probabilities(z):
    above = np.concatenate([[1.0], scipy.special.expit(z), [0.0]])
    return above[:-1] - above[1:]


def corn_probabilities(z):
    steps = scipy.special.expit(np.asarray(z))
    reached = np.concatenate([[1.0], np.cumprod(steps)])
    return reached * np.concatenate([1 - steps, [1.0]])


def coral_layer(thresholds):
    """Returns the layer with these thresholds, and the score that moves the first one to 0."""
    layer = OrdinalProbabilities(len(thresholds) + 1, "coral")
    layer.build((None, 1))
    gaps = -np.diff(thresholds)
    layer.distances.assign(np.log(np.expm1(gaps - 1e-6)))
    return layer, thresholds[0] - layer._first


def test_coral_has_the_probabilities_and_the_loss_of_the_paper():
    layer, score = coral_layer(np.array([2.0, 0.5, -1.0]))
    prediction = layer(ops.array([[score]]))
    np.testing.assert_allclose(prediction[0], [0.1192, 0.2583, 0.3535, 0.2689], atol=5.1e-5)
    np.testing.assert_allclose(prediction[0], coral_probabilities([2, 0.5, -1]), atol=1e-6)
    loss = OrdinalCrossentropy()
    value = loss.call(ops.array([2]), prediction)[0]
    np.testing.assert_allclose(value, 0.1269 + 0.4741 + 0.3133, atol=1e-4)
    # The same from the probabilities alone, which a served model gives.
    served = ops.array(np.array(prediction))
    np.testing.assert_allclose(loss.call(ops.array([2]), served)[0], value, rtol=1e-5)


def test_corn_has_the_probabilities_of_the_paper_and_its_loss_is_that_of_classes():
    z = np.array([[2.0, 0.5, -1.0]])
    prediction = OrdinalProbabilities(4, "corn")(ops.array(z))
    np.testing.assert_allclose(prediction[0], [0.1192, 0.3325, 0.4008, 0.1474], atol=5e-5)
    np.testing.assert_allclose(prediction[0], corn_probabilities(z[0]), atol=1e-6)
    task = Task.ordinal("stars", 4, method="corn")
    for label, steps in (
        (2, [0.1269, 0.4741, 0.3133]),
        (0, [2.1269]),
        (3, [0.1269, 0.4741, 1.3133]),
    ):
        value = task.loss.call(ops.array([label]), prediction)[0]
        np.testing.assert_allclose(value, sum(steps), atol=1e-4)


def test_classes_begin_equally_probable_and_never_have_a_negative_probability():
    layer = OrdinalProbabilities(5, "coral")
    np.testing.assert_allclose(layer(ops.array([[0.0]]))[0], np.full(5, 0.2), atol=1e-5)
    layer.distances.assign([-200.0, 3.0, -200.0])  # free biases would cross here
    p = np.array(layer(ops.array([[-30.0], [0.0], [30.0]])))
    assert p.min() >= 0
    np.testing.assert_allclose(p.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("method", ["coral", "corn"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_loss_of_an_order_and_its_gradient_are_finite_and_right_for_large_logits(method, dtype):
    layer = OrdinalProbabilities(4, method, dtype="float32")
    width = 1 if method == "coral" else 3
    layer.build((None, width))
    z = tf.cast(tf.constant([[-60.0] * width, [60.0] * width, [0.3] * width]), dtype)
    labels = np.array([3, 0, 1])
    loss = Task.ordinal("stars", 4, method=method).make_loss().loss
    with tf.GradientTape() as tape:
        tape.watch(z)
        values = loss.call(labels, layer(z))
    gradient = np.array(tape.gradient(values, z), "float64")
    z = np.array(z, "float64")
    if method == "coral":
        gaps = np.log1p(np.exp(np.array(layer.distances, "float64"))) + 1e-6
        steps = z + layer._first - np.concatenate([[0.0], np.cumsum(gaps)])
        asked = np.ones_like(steps, bool)
    else:
        steps, asked = z, np.arange(3) <= labels[:, None]
    above = np.arange(3) < labels[:, None]
    expected = np.where(asked, np.logaddexp(0, np.where(above, -steps, steps)), 0)
    np.testing.assert_allclose(values, expected.sum(-1), rtol=2e-5)
    slopes = np.where(asked, scipy.special.expit(steps) - above, 0)
    slopes = slopes.sum(-1, keepdims=True) if method == "coral" else slopes
    np.testing.assert_allclose(gradient, slopes, atol=2e-3 if dtype == "float16" else 2e-5)


def test_pinball_has_the_golden_values_and_those_of_scikit_learn():
    levels = (0.1, 0.5, 0.9)
    quantiles = ops.array([[1.0, 2.5, 4.0]])
    value = Pinball(levels).call(ops.array([3.0]), quantiles)[0]
    np.testing.assert_allclose(value, (0.20 + 0.25 + 0.10) / 3, rtol=1e-6)
    rng = np.random.default_rng(1)
    y, q, w = rng.normal(size=20), np.sort(rng.normal(size=(20, 3)), -1), rng.random(20)
    metric = mtl.metrics.PinballLoss(levels)
    for part in (slice(0, 7), slice(7, 20)):
        metric.update_state(y[part], q[part], w[part])
    expected = np.mean(
        [
            sklearn.metrics.mean_pinball_loss(y, q[:, i], sample_weight=w, alpha=level)
            for i, level in enumerate(levels)
        ]
    )
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-5)
    metric = mtl.metrics.CoverageError(levels)
    metric.update_state(y, q, w)
    shares = [np.average(y <= q[:, i], weights=w) for i in range(3)]
    np.testing.assert_allclose(
        metric.result(), np.mean(np.abs(shares - np.array(levels))), rtol=1e-5
    )


def test_quantiles_never_cross():
    z = np.random.default_rng(2).normal(size=(50, 5), scale=40).astype("float32")
    assert np.all(np.diff(np.array(Ascending()(z)), axis=-1) >= 0)


def test_the_best_constant_quantile_is_that_of_the_labels():
    labels = np.random.default_rng(3).exponential(size=400)
    grid = np.linspace(0, 5, 2001)
    loss = Pinball([0.25])
    values = [float(ops.mean(loss.call(labels, np.full((400, 1), q)))) for q in grid[::5]]
    assert abs(grid[::5][np.argmin(values)] - np.quantile(labels, 0.25)) < 0.02


def test_amounts_have_the_golden_values_and_the_likelihood_of_scipy():
    numbers = np.array([[0.5, 1.0, 0.3]] * 2)
    prediction = ZeroInflatedMean()(ops.array(numbers))
    np.testing.assert_allclose(prediction, [[2.4373]] * 2, atol=5e-5)
    values = ZeroInflatedLogNormal().call(ops.array([0.0, 10.0]), prediction)
    np.testing.assert_allclose(values, [0.9741, 0.4741 + 4.2264], atol=1e-4)
    p, spread = scipy.special.expit(0.5), np.log1p(np.exp(0.3))
    density = scipy.stats.lognorm(s=spread, scale=np.exp(1.0))
    np.testing.assert_allclose(values[1], -np.log(p) - density.logpdf(10.0), rtol=1e-6)
    np.testing.assert_allclose(prediction[0, 0], p * density.mean(), rtol=1e-6)


def test_amounts_and_their_gradients_are_finite_for_any_numbers():
    numbers = tf.constant([[-90.0, -80.0, -200.0], [90.0, 90.0, 90.0], [0.0, 300.0, 0.0]])
    layer, loss = ZeroInflatedMean(), ZeroInflatedLogNormal()
    for amount in (0.0, 1e-30, 1.0, 1e30):
        with tf.GradientTape() as tape:
            tape.watch(numbers)
            prediction = layer(numbers)
            values = loss.call(np.full(3, amount, "float32"), prediction)
        assert np.isfinite(values).all() and np.isfinite(prediction).all(), amount
        assert np.isfinite(tape.gradient(values, numbers)).all(), amount


def test_the_loss_of_amounts_refuses_predictions_without_their_numbers():
    loss = Task.zero_inflated("spent").make_loss()
    with pytest.raises(ValueError, match="three numbers behind the predicted mean"):
        loss(np.ones(3), np.ones((3, 1)))


def test_ranks_are_judged_by_their_median_as_scikit_learn_does():
    rng = np.random.default_rng(4)
    y, w = rng.integers(0, 5, 40), rng.random(40)
    p = rng.dirichlet(np.ones(5), 40)
    decided = (np.cumsum(p, -1)[:, :-1] < 0.5).sum(-1)
    metrics = [mtl.metrics.RankMAE(5), mtl.metrics.Kappa(5)]
    for metric in metrics:
        metric.update_state(y[:15], p[:15], w[:15])
        metric.update_state(y[15:], p[15:], w[15:])
    np.testing.assert_allclose(
        metrics[0].result(), np.average(np.abs(y - decided), weights=w), rtol=1e-5
    )
    expected = sklearn.metrics.cohen_kappa_score(y, decided, weights="quadratic", sample_weight=w)
    np.testing.assert_allclose(metrics[1].result(), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Task.ordinal("zoo", 2), "task 'zoo': an order has at least three classes"),
        (lambda: Task.ordinal("zoo", 4, method="cora"), "task 'zoo': method is one of"),
        (lambda: Task.quantiles("zoo", [0.5, 0.1]), "task 'zoo': levels of quantiles ascend"),
        (lambda: Task.quantiles("zoo", []), "task 'zoo': levels"),
        (lambda: Task.quantiles("zoo", [0.0, 0.5]), "task 'zoo': levels"),
        (lambda: Task.quantiles("zoo", metrics=["mae"]), "task 'zoo': .*'pinball'"),
        (lambda: Task.quantiles("zoo", metrics=["r2"]), "task 'zoo': .*'pinball'"),
        (lambda: Task.regression("zoo", metrics=["pinball"]), "task 'zoo': .*Task.quantiles"),
        (lambda: Task.regression("zoo", metrics=["kappa"]), "task 'zoo': .*Task.ordinal"),
        (
            lambda: Task("zoo", head=Head(3), loss=Pinball([0.1, 0.5, 0.9]), columns=list("abc")),
            "task 'zoo': columns are tasks of their own",
        ),
    ],
)
def test_what_a_kind_cannot_be_is_refused_by_the_name_of_the_task(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("task", "labels", "wrong"),
    [
        (Task.ordinal("zoo", 4), np.full(8, 1), (1, 2, 7)),
        (Task.quantiles("zoo", [0.1, 0.5, 0.9]), np.full(8, 1.0), (1, 2, 7)),
        (Task.ranking("zoo", 5, metrics=[]), np.full((8, 5), 1.0), (1, 2, 7)),
        (Task.ranking("zoo", 5, metrics=[], loss="listmle"), np.full((8, 5), 1.0), (1, 2, 7)),
        (Task.survival("zoo", [1.0, 2.0, 3.0]), np.full((8, 2), 1.0), (1, 2, 7)),
        (Task.survival("zoo", [1.0, 2.0], method="cox"), np.full((8, 2), 1.0), (2, 7)),
    ],
    ids=["ordinal", "quantiles", "pairwise", "listmle", "hazards", "cox"],
)
def test_networks_of_users_with_another_number_of_outputs_are_refused(task, labels, wrong):
    x = keras.Input((4,))
    for units in wrong:
        network = keras.Model(x, {"zoo": keras.layers.Dense(units)(x)})
        model = mtl.BalancedModel(network, [task], mtl.balancers.Equal())
        model.compile("sgd")
        with pytest.raises(ValueError, match=r"task .zoo.: .*(predictions|scores)"):
            model.train_on_batch(X[:8], {"zoo": labels})


def test_labels_of_another_width_are_refused_and_do_not_broadcast():
    loss = Task.quantiles("zoo").make_loss()
    with pytest.raises(ValueError, match="expected one number"):
        loss(np.ones((4, 3)), np.ones((4, 3)))


@pytest.fixture(scope="module")
def data():
    """Returns batches with gaps and sample weights, and the tasks with fitted scales."""
    labels = {"zoo": with_gaps(STARS), "minutes": with_gaps(MINUTES), "axis": with_gaps(SPENT)}
    labels["corn"] = STARS.astype("int64")
    weights = {name: np.linspace(0.5, 1.5, ROWS, dtype="float32") for name in labels}
    batches = tf.data.Dataset.from_tensor_slices((X, labels, weights)).batch(ROWS // 2)
    tasks = [
        Task.ordinal("zoo", 5, metrics=["rank_mae", "kappa", "log_loss"]),
        Task.ordinal("corn", 5, method="corn"),
        Task.quantiles("minutes", scale="log"),
        Task.zero_inflated("axis"),
    ]
    batches = mtl.data.mask_missing(batches, tasks)
    return batches, mtl.data.fit_scales(batches, tasks)


def losses_by_numpy(network, batches):
    """Returns the mean loss of each task over the valid labels of all batches."""
    cut = keras.Model(
        network.inputs[0],
        [network.get_layer(f"{name}_logits").output for name in ("zoo", "corn", "minutes", "axis")],
    )
    x, y, w = (
        keras.tree.map_structure(lambda *parts: np.concatenate(parts), *values)
        for values in zip(*batches.as_numpy_iterator(), strict=True)
    )
    numbers = [np.asarray(values, "float64") for values in cut(x)]
    layer = network.get_layer("zoo_ordinal")
    gaps = np.log1p(np.exp(np.array(layer.distances, "float64"))) + 1e-6
    steps = numbers[0] + layer._first - np.concatenate([[0.0], np.cumsum(gaps)])
    above = np.arange(4) < y["zoo"][:, None]
    coral = np.logaddexp(0, np.where(above, -steps, steps)).sum(-1)
    corn = [-np.log(corn_probabilities(z)[k]) for z, k in zip(numbers[1], y["corn"], strict=True)]
    q = numbers[2][:, :1] + np.concatenate(
        [np.zeros((ROWS, 1)), np.cumsum(np.log1p(np.exp(numbers[2][:, 1:])), -1)], -1
    )
    scale = network.get_layer("minutes_scale").scale
    scaled = (np.log(np.maximum(y["minutes"], 1e-9)) - scale.center) / scale.spread
    error = scaled[:, None] - q
    levels = np.array([0.1, 0.5, 0.9])
    pinball = np.maximum(levels * error, (levels - 1) * error).mean(-1)
    logit, mean, raw = numbers[3].T
    density = scipy.stats.lognorm(s=np.log1p(np.exp(raw)), scale=np.exp(mean))
    p = scipy.special.expit(logit)
    amounts = np.maximum(y["axis"], 1e-9)
    spent = np.where(y["axis"] > 0, -np.log(p) - density.logpdf(amounts), -np.log1p(-p))
    values = {"zoo": coral, "corn": np.array(corn), "minutes": pinball, "axis": spent}
    return {name: np.average(values[name], weights=w[name]) for name in values}


def build(tasks):
    keras.utils.set_random_seed(0)
    return mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,), tower=(5,))


def test_the_losses_of_a_batch_are_those_of_numpy_in_every_way_to_train(data):
    batches, tasks = data
    network = build(tasks)
    expected = losses_by_numpy(network, batches)
    network.compile(run_eagerly=True, **mtl.compile_args(tasks))
    stock = network.evaluate(batches, verbose=0, return_dict=True)
    model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
    model.compile("sgd", run_eagerly=True)
    balanced = model.evaluate(batches, verbose=0, return_dict=True)
    for name, value in expected.items():
        np.testing.assert_allclose(stock[f"{name}_mean_loss"], value, rtol=1e-5)
        np.testing.assert_allclose(balanced[f"{name}_mean_loss"], value, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("at", ["representation", "parameters"])
def test_a_rule_on_gradients_sees_the_gradients_of_plain_keras(data, at):
    """With equal weights, all kinds of balancers take the step of stock Keras."""
    batches, tasks = data
    batches = batches.take(1)
    steps = []
    for balancer in (None, mtl.balancers.Equal(), mtl.balancers.TrimmedMean(trim=0)):
        network = build(tasks)
        optimizer = keras.optimizers.SGD(0.1)
        if balancer is None:
            network.compile(optimizer, run_eagerly=True, **mtl.compile_args(tasks))
            network.fit(batches, verbose=0, shuffle=False)
        else:
            options = {} if isinstance(balancer, mtl.balancers.LossBalancer) else {"at": at}
            model = mtl.BalancedModel(network, tasks, balancer, **options)
            model.compile(optimizer, run_eagerly=True)
            model.fit(batches, verbose=0)
        steps.append([variable.numpy() for variable in network.trainable_variables])
    scale = len(tasks)  # the mean of the gradients, of the shared variables alone
    network = build(tasks)
    for before, *after, variable in zip(
        [v.numpy() for v in network.trainable_variables],
        *steps,
        network.trainable_variables,
        strict=True,
    ):
        np.testing.assert_allclose(after[0], after[1], atol=1e-6)
        factor = scale if variable.path.startswith("shared") else 1
        np.testing.assert_allclose(
            factor * (after[2] - before), after[0] - before, atol=2e-6, err_msg=variable.path
        )


KINDS = {
    "ordinal": lambda: Task.ordinal("zoo", 4),
    "quantiles": lambda: Task.quantiles("zoo"),
    "zero_inflated": lambda: Task.zero_inflated("zoo"),
    "survival": lambda: Task.survival("zoo", [1.0, 2.0]),
    "cox": lambda: Task.survival("zoo", [1.0, 2.0], method="cox"),
    "ranking": lambda: Task.ranking("zoo", 3),
    "marginal": lambda: Task.marginal("zoo", of="axis", groups=[[0], [1]]),
    "generation": lambda: Task.generation("zoo", 5),
}


@pytest.mark.parametrize("kind", KINDS)
def test_thresholds_columns_and_scales_are_refused_where_they_mean_nothing(kind):
    task = KINDS[kind]()
    with pytest.raises(ValueError, match="task 'zoo': threshold is for yes-or-no labels"):
        dataclasses.replace(task, threshold=0.5)
    with pytest.raises(ValueError, match="task 'zoo': columns are tasks of their own"):
        dataclasses.replace(task, columns=("one", "two"))
    if kind != "quantiles":
        with pytest.raises(ValueError, match=r"task 'zoo': (scale is for real|a network learns)"):
            dataclasses.replace(task, scale="standard")


@pytest.mark.parametrize("kind", KINDS)
def test_a_study_scores_a_kind_row_by_row_or_says_why_not(kind):
    task = KINDS[kind]()
    metric = _metric_of_rows(task, task.metric_names[0])
    if kind in ("zero_inflated", "marginal", "generation"):
        assert metric.name in ("mae", "accuracy")
    else:
        assert "cannot be computed row by row" in metric


def test_a_teacher_is_no_label_for_kinds_that_need_measured_ones():
    for kind in ("quantiles", "zero_inflated", "survival", "cox", "ranking"):
        with pytest.raises(
            ValueError, match="task 'zoo': its loss takes labels that were measured"
        ):
            soft_loss(KINDS[kind]())
    for kind in ("ordinal", "marginal"):
        assert isinstance(soft_loss(KINDS[kind]()), keras.losses.CategoricalCrossentropy)


@pytest.mark.slow
@pytest.mark.parametrize("option", ["xla", "mixed", "every", "served"])
def test_all_kinds_train_in_one_network_under_every_option(data, option, tmp_path):
    batches, tasks = data
    if option == "mixed":
        keras.config.set_dtype_policy("mixed_float16")
    try:
        network = build(tasks)
    finally:
        keras.config.set_dtype_policy("float32")
    model = mtl.BalancedModel(
        network, tasks, mtl.balancers.PCGrad(), every=2 if option == "every" else 1
    )
    model.compile("adam", jit_compile=option == "xla")
    history = model.fit(batches, epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    if option != "served":
        return
    folder = mtl.export.saved_model(network, tasks, tmp_path / "1", formats=["onnx", "litert"])
    served = tf.saved_model.load(folder).signatures["serving_default"]
    (name,) = served.structured_input_signature[1]
    answers = served(**{name: tf.constant(X)})
    for name, values in network(X).items():
        np.testing.assert_allclose(answers[name], values, rtol=1e-5, atol=1e-6)
    described = json.loads((folder / "outputs.json").read_text())["tasks"]
    assert described["minutes"]["levels"] == [0.1, 0.5, 0.9]
    assert described["zoo"]["kind"] == described["corn"]["kind"] == "class"

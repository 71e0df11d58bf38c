"""Gradients of a network on a dataset, beside those of a plain tape, and the laws of conflict."""

import keras
import numpy as np
import probed_networks as problem
import pytest
import tensorflow as tf
from probed_networks import AGE, CLICK, PRICE, TASKS

import keras_mtl as mtl
from keras_mtl import analysis
from keras_mtl.analysis import gradient_gramian, noise_scale
from keras_mtl.analysis._probing._permute import permute_rows
from keras_mtl.training._gradients._trunk_backward import TrunkBackward

TOX = mtl.Task.multilabel("tox", columns=problem.ASSAYS)


def shared_of(network):
    """Returns the variables that several tasks train, told by names and numbers of layers."""
    heads = {"price", "click", "age", "tox"}
    names = [layer.name for layer in network.layers]
    towers = [name for name in names if name.split("_")[0] in heads]
    return [
        variable
        for layer in network.layers
        if layer.name not in towers
        for variable in layer.trainable_variables
    ]


@pytest.mark.parametrize(
    ("kind", "tasks"),
    [
        (problem.plain, TASKS),
        (problem.plain, (CLICK, TOX)),
        (problem.plain, (TOX,)),
        (problem.of_a_user, TASKS),
        (problem.tied, TASKS),
    ],
    ids=["plain", "columns", "only columns", "of a user", "tied"],
)
def test_the_gramian_is_that_of_a_plain_tape(kind, tasks):
    network = kind(tasks)
    rng = np.random.default_rng(0)
    for variable in network.variables:  # moving averages of an untrained network would do little
        if variable.dtype == "float32":
            variable.assign(variable + 0.2 * rng.uniform(size=variable.shape))
    result = gradient_gramian(network, problem.batches(tasks), tasks)
    if kind is problem.tied:
        shared = network.get_layer("twice").variables
    elif tasks == (TOX,):  # the columns of one task share all below the layer that parts them
        shared = network.trainable_variables[:-2]
    else:
        shared = shared_of(network)
    halves = [
        problem.plain_gradients(network, tasks, batch, shared) for batch in problem.batches(tasks)
    ]
    assert result.num_variables == halves[0].shape[1]
    assert result.tasks == tuple(name for task in tasks for name in task.loss_names)
    expected = [analysis.unbiased_gramian(*halves[:2]), analysis.unbiased_gramian(*halves[2:])]
    np.testing.assert_allclose(result.gramians, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.slow
def test_columns_that_pass_a_deep_trunk_at_once_are_those_that_pass_it_one_by_one(monkeypatch):
    columns = [f"assay_{i}" for i in range(70)]  # more than pass at once
    tasks = (mtl.Task.multilabel("tox", columns=columns), PRICE)
    words, image = (
        keras.Input((6,), dtype="int32", name="words"),
        keras.Input((6, 6, 1), name="image"),
    )
    rows = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(9, 3)(words))
    pixels = keras.layers.Conv2D(3, 3, activation="relu")(image)
    pixels = keras.layers.Flatten()(keras.layers.MaxPooling2D()(pixels))
    shared = keras.layers.Dense(5, activation="tanh")(keras.layers.Concatenate()([rows, pixels]))
    network = keras.Model(
        [words, image], {task.name: task.head(shared, name=task.name) for task in tasks}
    )
    rng = np.random.default_rng(0)
    x = {"words": rng.integers(0, 9, (24, 6)), "image": rng.normal(size=(24, 6, 6, 1))}
    y = {"tox": rng.integers(0, 2, (24, 70)), "price": rng.normal(size=24)}
    weights = {"tox": rng.integers(0, 2, (24, 70)), "price": np.ones(24)}
    data = tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(12)
    at_once = gradient_gramian(network, data, tasks)
    rows_of = TrunkBackward.rows
    monkeypatch.setattr(
        TrunkBackward, "rows", lambda self, cotangents, vectorized: rows_of(self, cotangents)
    )
    one_by_one = gradient_gramian(network, data, tasks)
    assert at_once.num_variables == 27 + 30 + 80
    for name in ("gramians", "noise"):
        expected = getattr(one_by_one, name)
        rounding = 1e-6 * np.abs(expected).max()  # of float32, where terms cancel
        np.testing.assert_allclose(getattr(at_once, name), expected, rtol=1e-5, atol=rounding)


def test_noise_scales_of_equal_halves_are_those_of_the_paper():
    network = problem.plain((CLICK, AGE))
    data = problem.batches((CLICK, AGE), weighted=False)
    result = gradient_gramian(network, data, (CLICK, AGE)).noise_scale()
    ones = {name: np.ones(12, "float32") for name in ("click", "age")}
    halves = [
        problem.plain_gradients(network, (CLICK, AGE), (x, y, ones), shared_of(network))
        for x, y in data
    ]
    steps = [(halves[0], halves[1]), (halves[2], halves[3])]
    small = [(np.sum(a**2, 1) + np.sum(b**2, 1)) / 2 for a, b in steps]
    large = [np.sum(((a + b) / 2) ** 2, 1) for a, b in steps]
    expected = noise_scale(small, large, small_rows=12, large_rows=24)
    np.testing.assert_allclose(result.squared_gradients, expected.squared_gradients, rtol=1e-4)
    np.testing.assert_allclose(result.noise, expected.noise, rtol=1e-4)


def test_an_absent_task_is_missing_from_the_step_and_no_other():
    weights = {**problem.WEIGHTS, "price": np.where(np.arange(48) < 12, 0, 1).astype("float32")}
    labels = {task.name: problem.LABELS[task.name] for task in TASKS}
    weights = {task.name: weights[task.name] for task in TASKS}
    data = tf.data.Dataset.from_tensor_slices((problem.X, labels, weights)).batch(12)
    result = gradient_gramian(problem.plain(TASKS), data, TASKS)
    absent = np.isnan(result.gramians)
    assert absent[0, 0].all() and absent[0, :, 0].all()
    assert not absent[0, 1:, 1:].any() and not absent[1].any()
    assert np.isnan(result.losses[0, 0]) and not np.isnan(result.losses[1]).any()


def infinite_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.log(y_pred - y_pred) * y_true, axis=-1)


def infinite_gradient(y_true, y_pred):
    return keras.ops.mean(keras.ops.sqrt(y_pred - y_pred) * y_true, axis=-1)


@pytest.mark.parametrize("broken", [infinite_loss, infinite_gradient])
def test_a_loss_or_gradient_that_is_not_finite_is_missing_too(broken):
    tasks = (mtl.Task("age", head=PRICE.head, loss=broken, reads="element"), CLICK)
    result = gradient_gramian(problem.plain(tasks), problem.batches(tasks), tasks)
    assert np.isnan(result.gramians[:, 0]).all()
    assert np.isfinite(result.losses[:, 0]).all() == (broken is infinite_gradient)
    assert (np.abs(result.gramians[:, 1, 1]) > 0).all()


def test_small_gradients_survive_layers_in_float16():
    tasks = (mtl.Task.binary("click", weight=1e-5), mtl.Task.regression("price", weight=1e-5))
    results = []
    for policy in ("float32", "mixed_float16"):
        keras.config.set_dtype_policy(policy)
        keras.utils.set_random_seed(0)
        network = problem.plain(tasks)
        keras.config.set_dtype_policy("float32")
        results.append(gradient_gramian(network, problem.batches(tasks), tasks).gramians)
    exact, half = results
    scale = np.abs(exact).max()
    np.testing.assert_allclose(half / scale, exact / scale, atol=0.01)


def test_permuting_the_tasks_permutes_the_result():
    network, order = problem.plain(TASKS), [2, 0, 1]
    data = problem.batches(TASKS)
    one = gradient_gramian(network, data, TASKS)
    two = gradient_gramian(network, data, [TASKS[k] for k in order])
    assert two.tasks == ("age", "price", "click")
    np.testing.assert_allclose(two.gramians, one.gramians[:, order][:, :, order], rtol=1e-5)
    np.testing.assert_allclose(two.noise, one.noise[:, order], rtol=1e-5)


def copies(weights):
    """Builds a network of equal tasks with equal towers, and its data."""
    tasks = [mtl.Task.regression(f"copy_{k}", weight=w) for k, w in enumerate(weights)]
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(8, activation="tanh", kernel_initializer="ones")(inputs)
    outputs = {
        task.name: keras.layers.Dense(1, kernel_initializer="ones", name=task.name)(hidden)
        for task in tasks
    }
    labels = {task.name: problem.LABELS["age"] for task in tasks}
    data = tf.data.Dataset.from_tensor_slices((problem.X, labels)).batch(12)
    return keras.Model(inputs, outputs), data, tasks


def test_equal_tasks_count_as_one():
    statistics = gradient_gramian(*copies([1.0] * 4)).statistics()
    np.testing.assert_allclose(statistics.cosines, 1, rtol=1e-5)
    assert statistics.effective_tasks == pytest.approx(1)
    assert statistics.effective_tasks_entropy == pytest.approx(1, abs=1e-3)
    assert statistics.cooperation == pytest.approx(4)


def test_scaling_a_loss_changes_magnitudes_and_never_cosines():
    network = problem.plain(TASKS)
    data = problem.batches(TASKS)
    scaled = [PRICE, mtl.Task.binary("click", weight=30.0), AGE]
    one, two = (gradient_gramian(network, data, t).statistics() for t in (TASKS, scaled))
    np.testing.assert_allclose(two.cosines, one.cosines, rtol=1e-4)
    assert abs(two.magnitude_similarities[0, 1] - one.magnitude_similarities[0, 1]) > 0.1
    np.testing.assert_allclose(two.norms, one.norms * [1, 30, 1], rtol=1e-4)


@pytest.mark.parametrize("balanced", [pytest.param(False, marks=pytest.mark.slow), True])
def test_nothing_of_the_model_changes(balanced):
    network = problem.of_a_user(TASKS)
    if balanced:
        model = mtl.BalancedModel(network, TASKS, mtl.balancers.PCGrad())
        model.compile("adam")
    else:
        model = network
        model.compile("adam", **mtl.compile_args(TASKS))
    model.fit(problem.batches(TASKS), verbose=0, shuffle=False)
    before = problem.state(model, model.optimizer)
    gradient_gramian(model, problem.batches(TASKS), TASKS, permute=True)
    for old, new in zip(before, problem.state(model, model.optimizer), strict=True):
        np.testing.assert_array_equal(old, new)


def test_permuted_rows_are_measured_beside_the_rows():
    keras.utils.set_random_seed(0)
    data = mtl.datasets.synthetic_groups(3, 1, rows=2048, seed=1)
    network = mtl.architectures.hard_sharing(keras.Input((32,)), data.tasks, shared=(16,))
    network.compile("adam", **mtl.compile_args(data.tasks))
    network.fit(data.train.batch(64), epochs=4, verbose=0, shuffle=False)
    result = gradient_gramian(network, data.validation.batch(64), data.tasks, permute=True)
    assert result.permuted.shape == result.gramians.shape
    # Labels of other rows ask for the mean alone: the losses are larger, so are the gradients.
    assert not np.allclose(result.permuted, result.gramians)
    rates = result.permuted_rates()
    assert 0 <= rates[0.1] <= rates[0.0] <= 1
    assert "of permuted rows: share" in str(result)
    again = gradient_gramian(network, data.validation.batch(64), data.tasks, permute=True)
    np.testing.assert_array_equal(again.permuted, result.permuted)
    assert np.isnan(gradient_gramian(network, data.test.batch(64), data.tasks).permuted_rates()[0])


def test_rows_are_permuted_task_by_task_and_column_by_column_with_their_weights():
    tasks = (PRICE, TOX)
    batch = next(iter(problem.batches(tasks, size=48)))
    x, labels, weights = permute_rows(batch, tasks, np.random.default_rng(0))
    np.testing.assert_array_equal(x, problem.X)
    pairs = [
        (np.stack([values["price"], of_task["price"]], axis=-1), values["tox"], of_task["tox"])
        for values, of_task in ((labels, weights), (problem.LABELS, problem.WEIGHTS))
    ]
    (new, new_tox, new_weights), (old, old_tox, old_weights) = pairs
    assert not np.array_equal(new, old)
    np.testing.assert_array_equal(new[new[:, 0].argsort()], old[old[:, 0].argsort()])
    orders = []
    for column in range(3):  # four kinds of label and weight: as many as before
        new_kinds, old_kinds = (
            np.asarray(tox)[:, column] + 2 * np.asarray(of_tox)[:, column]
            for tox, of_tox in ((new_tox, new_weights), (old_tox, old_weights))
        )
        np.testing.assert_array_equal(np.sort(new_kinds), np.sort(old_kinds))
        orders.append(not np.array_equal(new_kinds, old_kinds))
    assert all(orders)


@pytest.mark.parametrize(
    ("model", "data", "tasks", "error", "message"),
    [
        (problem.plain, problem.batches, (PRICE,), ValueError, "the single task 'price'"),
        (lambda tasks: "network", problem.batches, TASKS, TypeError, "model is a str"),
        (
            lambda tasks: mtl.architectures.single_task(keras.Input((6,)), tasks),
            problem.batches,
            TASKS,
            ValueError,
            r"\['price', 'click', 'age'\] share no trainable variable",
        ),
        (
            problem.plain,
            lambda tasks: problem.batches(tasks, size=48),
            TASKS,
            ValueError,
            "fewer than two batches",
        ),
        (
            problem.plain,
            lambda tasks: problem.batches(tasks).repeat(),
            TASKS,
            ValueError,
            "the dataset is infinite; pass steps",
        ),
        (
            problem.plain,
            lambda tasks: problem.batches(tasks).map(
                lambda x, y, w: (x, {**y, "click": y["click"] + float("nan")}, w)
            ),
            TASKS,
            ValueError,
            "task 'click'",
        ),
        (
            lambda tasks: problem.plain(TASKS),
            problem.batches,
            TASKS[:2],
            ValueError,
            "no task for the output",
        ),
    ],
    ids=["one task", "no model", "no shared", "one batch", "infinite", "nan", "outputs"],
)
def test_what_does_not_fit_is_refused(model, data, tasks, error, message):
    with pytest.raises(error, match=message):
        gradient_gramian(model(tasks), data(tasks), tasks)


def test_steps_bound_the_number_of_pairs():
    network = problem.plain(TASKS)
    data = problem.batches(TASKS).repeat()
    assert gradient_gramian(network, data, TASKS, steps=3).gramians.shape == (3, 3, 3)

"""Affinities: golden values, the optimizer's own steps, laws, and a model that stays as it was."""

import keras
import numpy as np
import probed_networks as problem
import pytest
import tensorflow as tf
from probed_networks import AGE, CLICK, PRICE, TASKS

import keras_mtl as mtl
from keras_mtl.analysis import Affinity, affinity, group_tasks

NAMES = ("z", "c", "a")  # in no alphabetical order
FACTORS = np.array([[1, 1], [2, 0.5], [1, 3]], "float32")
CENTERS = np.array([[1, 0], [0, 2], [-1, -1]], "float32")

# Rows are the tasks whose gradients the steps follow. From an independent NumPy script.
SGD = [[0.19, 0.079412, 0.083810], [0.26875, 0.344559, 0.077738], [0.675, 0.169412, 0.372857]]
SGD_FIRST_ORDER = [[0.2, 0.082353, 0.085714], [0.35, 0.382353, 0.085714], [0.9, 0.211765, 0.428571]]
ADAM = [[0.189999, 0.079412, 0.083809], [-0.009999, 0.102941, -0.030476]]
ADAM += [[0.19, 0.079412, 0.083809]]
ADAM_4 = [[0.227308, 0.067371, 0.081105], [0.229092, 0.077647, 0.079511]]
ADAM_4 += [[0.252878, 0.071385, 0.091588]]
MARGINAL_4 = [[0.008387, 0.002133, 0.003220], [0.010171, 0.012409, 0.001626]]
MARGINAL_4 += [[0.033957, 0.006146, 0.013703]]
ZERO_4 = [0.218921, 0.065238, 0.077885]


def quadratics(optimizer):
    """Builds two shared variables, at (2, 1), and three quadratic losses of them."""

    def loss_of(factors):
        def loss(y_true, y_pred):
            return 0.5 * keras.ops.sum(keras.ops.array(factors) * (y_pred - y_true) ** 2, -1)

        return loss

    tasks = [
        mtl.Task(name, head=lambda features: features, loss=loss_of(row), reads="last axis")
        for name, row in zip(NAMES, FACTORS, strict=True)
    ]
    inputs = keras.Input((1,))
    variables = keras.layers.Dense(2, use_bias=False)(inputs)
    network = keras.Model(
        inputs, {name: keras.layers.Identity(name=name)(variables) for name in NAMES}
    )
    network.set_weights([np.array([[2.0, 1.0]], "float32")])
    network.compile(optimizer, **mtl.compile_args(tasks))
    labels = {name: row[None] for name, row in zip(NAMES, CENTERS, strict=True)}
    data = tf.data.Dataset.from_tensor_slices((np.ones((1, 1), "float32"), labels)).batch(1)
    return network, data, tasks


def test_golden_values_of_sgd():
    model = quadratics(keras.optimizers.SGD(0.1))
    result = affinity(*model)
    np.testing.assert_allclose(result.benefit, SGD, atol=2e-6)
    np.testing.assert_allclose(result.marginal, SGD, atol=2e-6)
    result = affinity(*model, method="first order")
    np.testing.assert_allclose(result.benefit, SGD_FIRST_ORDER, atol=2e-6)
    np.testing.assert_allclose(result.losses, [1, 4.25, 10.5])


def test_golden_values_of_adam_whose_momentum_is_not_the_task():
    network, data, tasks = quadratics(keras.optimizers.Adam(0.1))
    result = affinity(network, data, tasks)
    np.testing.assert_allclose(result.benefit, ADAM, atol=2e-6)
    for _ in range(3):
        network.fit(data, verbose=0, shuffle=False)
    np.testing.assert_allclose(network.get_weights()[0], [[1.700623, 0.700949]], atol=3e-6)
    result = affinity(network, data, tasks)
    np.testing.assert_allclose(result.benefit, ADAM_4, atol=4e-6)
    np.testing.assert_allclose(result.marginal, MARGINAL_4, atol=4e-6)
    np.testing.assert_allclose(result.benefit - result.marginal, [ZERO_4] * 3, atol=4e-6)
    # To first order, but of Adam's real step.
    estimate = affinity(network, data, tasks, method="first order")
    np.testing.assert_allclose(estimate.marginal, MARGINAL_4, rtol=0.25)


OPTIMIZERS = [
    pytest.param(keras.optimizers.SGD, {"learning_rate": 0.1, "global_clipnorm": 0.5}),
    pytest.param(
        keras.optimizers.AdamW, {"learning_rate": 0.01, "use_ema": True}, marks=pytest.mark.slow
    ),
    *(
        pytest.param(getattr(keras.optimizers, name), {}, marks=pytest.mark.slow)
        for name in ("RMSprop", "Lion", "Adafactor", "Adam", "Muon", "Ftrl")
    ),
]


def reference(network, tasks, batch, judges, kind, options, weights_before):
    """Computes benefits by models of their own, one for each task, that take a real step."""
    shared = [v for v in network.trainable_variables if v.path.startswith("shared")]
    assert len(shared) == 2
    gradients = problem.plain_gradients(network, tasks, batch, shared)
    task_weights = [task.weight for task in tasks]
    before = np.array(problem.plain_losses(network, tasks, judges)) / task_weights
    matrix = []
    for row in [*gradients, np.zeros_like(gradients[0])]:
        copy = keras.models.clone_model(network)
        copy.set_weights(network.get_weights())
        copied = [v for v in copy.trainable_variables if v.path.startswith("shared")]
        optimizer = kind(**options)
        optimizer.build(copy.trainable_variables)
        for variable, value in zip(optimizer.variables, weights_before, strict=True):
            variable.assign(value)
        parts = np.split(row.astype("float32"), np.cumsum([np.prod(v.shape) for v in copied])[:-1])
        optimizer.apply([p.reshape(v.shape) for p, v in zip(parts, copied, strict=True)], copied)
        after = np.array(problem.plain_losses(copy, tasks, judges)) / task_weights
        matrix.append(1 - after / before)
    return np.array(matrix)


@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS)
def test_steps_are_those_of_the_real_optimizer_and_leave_no_trace(kind, options):
    keras.utils.set_random_seed(1)
    network = problem.plain(TASKS)
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.Equal())
    model.compile(kind(**options))
    data = problem.batches(TASKS, size=24)
    model.fit(data, epochs=2, verbose=0)
    before = problem.state(model, model.optimizer)
    result = affinity(model, data, TASKS, on="other")
    for old, new in zip(before, problem.state(model, model.optimizer), strict=True):
        np.testing.assert_array_equal(old, new)
    state = [np.array(variable) for variable in model.optimizer.variables]
    expected = reference(network, TASKS, *data, kind, options, state)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(result.benefit, expected[:3], atol=1e-4 * scale + 1e-6)
    np.testing.assert_allclose(
        result.marginal, expected[:3] - expected[3], atol=1e-4 * scale + 1e-6
    )


def test_first_order_is_the_limit_of_small_steps():
    keras.utils.set_random_seed(0)
    network = problem.plain(TASKS)
    network.compile(keras.optimizers.SGD(1e-2), **mtl.compile_args(TASKS))
    matrices = [
        affinity(network, problem.batches(TASKS), TASKS, on="other", method=method).marginal
        for method in ("look ahead", "first order")
    ]
    np.testing.assert_allclose(*matrices, rtol=0.02, atol=5e-5)
    assert np.abs(matrices[0]).max() > 5e-4


@pytest.mark.slow
def test_layers_that_differ_in_training_leave_no_trace():
    network = problem.of_a_user(TASKS)
    network.compile("adam", **mtl.compile_args(TASKS))
    network.fit(problem.batches(TASKS), verbose=0, shuffle=False)
    before = problem.state(network, network.optimizer)
    affinity(network, problem.batches(TASKS), TASKS, steps=1)
    for old, new in zip(before, problem.state(network, network.optimizer), strict=True):
        np.testing.assert_array_equal(old, new)


def test_permuting_the_tasks_permutes_the_result():
    network = problem.plain(TASKS)
    network.compile("adam", **mtl.compile_args(TASKS))
    order = [2, 0, 1]
    one = affinity(network, problem.batches(TASKS), TASKS, steps=2)
    two = affinity(network, problem.batches(TASKS), [TASKS[k] for k in order], steps=2)
    assert one.steps == two.steps == 2
    np.testing.assert_allclose(two.marginal, one.marginal[order][:, order], atol=1e-5)
    assert not np.allclose(one.marginal, one.marginal.T, atol=1e-4)
    assert len(group_tasks(one.marginal, tasks=one.tasks, networks=3, alone=0).tasks) == 3


def test_standardized_columns_do_not_see_momentum_or_the_scale_of_a_column():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(4, 4))
    moved = matrix * [1, 10, 0.1, 1] + [0.3, -2, 0, 5]

    def standardized(benefit):
        ones = np.ones(4)
        return Affinity(
            tuple("zcab"), benefit, benefit, ones, 1, "look ahead", "same", "SGD", 0.0
        ).standardized

    result = standardized(matrix)
    np.testing.assert_allclose(standardized(moved), result, atol=1e-12)
    np.testing.assert_array_equal(np.diagonal(result), 0)
    np.testing.assert_allclose(result.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose((result**2).sum(axis=0), 3)
    matrix[1] = matrix[:, 1] = np.nan
    gaps = standardized(matrix)
    assert np.isnan(gaps[0, 1]) and np.isnan(gaps[1, 0]) and np.isfinite(gaps[::2, ::2]).all()
    np.testing.assert_array_equal(standardized(np.ones((4, 4))), 0)


@pytest.mark.parametrize("method", ["look ahead", "first order"])
def test_an_absent_task_has_no_row_and_no_column(method):
    tasks = (CLICK, PRICE, AGE)
    weights = {task.name: problem.WEIGHTS[task.name] for task in tasks}
    weights["price"] = np.zeros(48, "float32")
    labels = {task.name: problem.LABELS[task.name] for task in tasks}
    data = tf.data.Dataset.from_tensor_slices((problem.X, labels, weights)).batch(48)
    network = problem.plain(tasks)
    network.compile("sgd", **mtl.compile_args(tasks))
    result = affinity(network, data, tasks, method=method)
    absent = np.isnan(result.marginal)
    assert absent[1].all() and absent[:, 1].all()
    assert not absent[::2, ::2].any()
    assert " - " in str(result)


def test_columns_are_tasks_and_many_tasks_are_measured_to_first_order():
    names = [f"assay_{k}" for k in range(17)]
    task = mtl.Task.multilabel("tox", columns=names)
    labels = (np.random.default_rng(0).uniform(size=(48, 17)) > 0.5).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((problem.X, {"tox": labels})).batch(48)
    network = problem.plain((task,))
    network.compile("sgd", **mtl.compile_args([task]))
    result = affinity(network, data, [task])
    assert result.method == "first order"
    assert result.marginal.shape == (17, 17)
    assert (np.diagonal(result.marginal) > 0).all()
    assert "272 pairs in all" in str(result)


def quick(**options):
    network = problem.plain(TASKS)
    network.compile(keras.optimizers.SGD(0.1, **options), **mtl.compile_args(TASKS))
    return network


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (lambda: problem.plain(TASKS), {}, "the model is not compiled"),
        (quick, {"on": "third"}, "on is 'third'"),
        (quick, {"method": "second order"}, "method is 'second order'"),
        (lambda: quick(gradient_accumulation_steps=4), {}, "gathers gradients over 4 steps"),
    ],
)
def test_what_does_not_fit_is_refused(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        affinity(model(), problem.batches(TASKS), TASKS, **arguments)

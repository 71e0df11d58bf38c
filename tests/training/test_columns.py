"""A task with columns counts as one task per column: for balancers, losses and logs."""

import keras
import numpy as np
import pytest
import small_problem as problem

import keras_mtl as mtl
from keras_mtl import balancers
from keras_mtl.layers import StopGradient

COLUMNS = ("b", "c", "a")


def arrays(columns=3):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 4)).astype("float32")
    y = (x[:, :1] * rng.normal(size=(1, columns)) > 0).astype("float32")
    w = (rng.random(y.shape) < 0.7).astype("float32")
    return x, y, w


def with_columns(names=COLUMNS, **options):
    return mtl.Task.multilabel("assays", columns=names, **options)


def body(units=8):
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    return x, keras.layers.Dense(units, activation="tanh", name="body")(x)


def network_of(tasks):
    x, features = body()
    return keras.Model(x, {task.name: task.output(features) for task in tasks})


def one_tensor(balancer, **options):
    tasks = [with_columns(metrics=()), mtl.Task.binary("z", metrics=())]
    return problem.balanced(balancer, lambda: network_of(tasks), lambda: tasks, **options)


def named(balancer, model, build=network_of, **options):
    """Builds the same network, with the same variables, with a named task for each column."""
    names = [*COLUMNS, *(task.name for task in model.tasks if task.columns is None)]
    tasks = [mtl.Task.binary(name, metrics=()) for name in names]
    network = build(tasks)
    for layer in model.network.layers:
        if layer.name == "assays_logits":
            kernel, bias = layer.get_weights()
            for k, name in enumerate(COLUMNS):
                of_column = [kernel[:, k : k + 1], bias[k : k + 1]]
                network.get_layer(f"{name}_logits").set_weights(of_column)
        elif layer.weights:
            network.get_layer(layer.name).set_weights(layer.get_weights())
    return problem.balanced(balancer, lambda: network, lambda: tasks, **options)


def check_same(model, other):
    """Checks that a task with columns and named tasks have the same variables and weights."""
    for layer in model.network.layers:
        if layer.name == "assays_logits":
            heads = [other.network.get_layer(f"{name}_logits").get_weights() for name in COLUMNS]
            same = [np.concatenate(arrays, axis=-1) for arrays in zip(*heads, strict=True)]
        else:
            same = other.network.get_layer(layer.name).get_weights() if layer.weights else []
        for actual, expected in zip(layer.get_weights(), same, strict=True):
            np.testing.assert_allclose(actual, expected, atol=1e-6, err_msg=layer.name)
    expected = [*other.task_weights.values()]
    np.testing.assert_allclose([*model.task_weights.values()], expected, atol=1e-5)


def by_column(values):
    return {name: values[:, k] for k, name in enumerate(COLUMNS)}


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (balancers.Equal, {}),
        (lambda: balancers.Fixed([1.0, 0.0, 5.0, 2.0]), {}),
        (balancers.Uncertainty, {"every": 2}),
        (balancers.MGDA, {"at": "representation"}),
        (balancers.MGDA, {"at": "representation", "every": 2}),
        (balancers.PCGrad, {}),
        (balancers.GradDrop, {"at": "representation"}),
    ],
)
@pytest.mark.parametrize("missing", [pytest.param(False, marks=pytest.mark.slow), True])
def test_columns_are_trained_as_named_tasks_are(make, options, missing):
    model = one_tensor(make(), **options)
    other = named(make(), model, **options)
    x, y, w = arrays()
    if missing:
        w[:, 1] = 0
    for _ in range(2):
        z = {"z": x[:, 1] > 0}
        ones = {"z": np.ones(len(x))}
        model.train_on_batch(x, {"assays": y, **z}, {"assays": w, **ones})
        other.train_on_batch(x, by_column(y) | z, by_column(w) | ones)
    check_same(model, other)
    assert list(model.task_weights) == [*(f"assays/{name}" for name in COLUMNS), "z"]


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (balancers.MGDA, {}),
        (balancers.PCGrad, {"at": "representation"}),
        (balancers.GradDrop, {"every": 2}),
    ],
)
def test_columns_of_a_lone_task_are_balanced_over_all_layers_below_their_head(make, options):
    def build(tasks):
        x, features = body()
        features = keras.layers.Dense(6, activation="tanh", name="above")(features)
        return keras.Model(x, {task.name: task.output(features) for task in tasks})

    lone = [with_columns(metrics=())]
    model = problem.balanced(make(), lambda: build(lone), lambda: lone, **options)
    before = model.network.get_layer("body").get_weights()
    other = named(make(), model, build, **options)
    x, y, w = arrays()
    for _ in range(2):
        model.train_on_batch(x, {"assays": y}, {"assays": w})
        other.train_on_batch(x, by_column(y), by_column(w))
    check_same(model, other)
    assert np.abs(model.network.get_layer("body").get_weights()[0] - before[0]).max() > 1e-4


def tied(tasks):
    """Builds a network in which z and the other tasks call one layer on different features."""
    x, features = body()
    twice = keras.layers.Dense(6, activation="tanh", name="twice")
    of_z = twice(keras.layers.Dense(8, activation="tanh", name="before_z")(features))
    of_columns = twice(features)
    outputs = {task.name: of_z if task.name == "z" else of_columns for task in tasks}
    return keras.Model(x, {task.name: task.output(outputs[task.name]) for task in tasks})


def walled(tasks):
    """Builds a network in which an operation stops gradients."""
    x, features = body()
    joined = keras.layers.Concatenate()([features, StopGradient()(x)])
    features = keras.layers.Dense(6, activation="tanh", name="above")(joined)
    return keras.Model(x, {task.name: task.output(features) for task in tasks})


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (balancers.ScaleInvariant, {}),
        (lambda: balancers.MetaBalance(target=1), {}),
        pytest.param(balancers.Uncertainty, {"every": 2}, marks=pytest.mark.slow),
        pytest.param(balancers.MGDA, {"every": 2}, marks=pytest.mark.slow),
        pytest.param(balancers.TrimmedMean, {}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    ("build", "lone"),
    [(tied, False), pytest.param(walled, False, marks=pytest.mark.slow), (walled, True)],
)
def test_columns_are_trained_where_only_gradients_tell_what_is_shared(build, lone, make, options):
    tasks = [with_columns(metrics=()), mtl.Task.binary("z", metrics=())][: 1 if lone else 2]
    model = problem.balanced(make(), lambda: build(tasks), lambda: tasks, **options)
    other = named(make(), model, build, **options)
    x, y, w = arrays()
    for _ in range(2):
        z = {} if lone else {"z": x[:, 1] > 0}
        ones = {name: np.ones(len(x)) for name in z}
        model.train_on_batch(x, {"assays": y, **z}, {"assays": w, **ones})
        other.train_on_batch(x, by_column(y) | z, by_column(w) | ones)
    check_same(model, other)


def test_plain_keras_sums_the_means_of_columns():
    task = with_columns()
    _, y, w = arrays()
    prediction = np.random.default_rng(1).uniform(0.1, 0.9, y.shape).astype("float32")
    losses = -y * np.log(prediction) - (1 - y) * np.log(1 - prediction)
    means = (losses * w).sum(axis=0) / w.sum(axis=0)
    np.testing.assert_allclose(task.make_loss()(y, prediction, w), means.sum(), rtol=1e-5)
    mean_loss = task.make_metrics()[-1]
    mean_loss.update_state(y, prediction, w)
    np.testing.assert_allclose(mean_loss.result(), means.mean(), rtol=1e-5)


@pytest.mark.parametrize("metric", ["auc", "accuracy"])
def test_metrics_of_columns_equal_those_of_each_column_alone(metric):
    task = with_columns(metrics=[metric], log_columns=["c"])
    alone = [mtl.Task.binary(name, metrics=[metric]).make_metrics()[0] for name in COLUMNS]
    mean, worst, best, of_c, _ = task.make_metrics()
    rng = np.random.default_rng(1)
    for seed in range(2):
        _, y, w = arrays()
        w[:, 2] *= seed  # no label of the last column in the first batch
        prediction = rng.uniform(size=y.shape).astype("float32")
        mean.update_state(y, prediction, w)
        for k, of_column in enumerate(alone):
            of_column.update_state(y[:, k], prediction[:, k : k + 1], w[:, k])
        values = np.array([float(of_column.result()) for of_column in alone])[: 2 + seed]
        np.testing.assert_allclose(mean.by_column()[: 2 + seed], values, rtol=1e-5)
        np.testing.assert_allclose(
            [mean.result(), worst.result(), best.result(), of_c.result()],
            [values.mean(), values.min(), values.max(), values[1]],
            rtol=1e-5,
        )
    mean.reset_state()
    assert float(best.result()) == 0


def test_columns_are_logged_as_mean_worst_and_best():
    task = with_columns(log_columns=["a"])
    model = mtl.BalancedModel(network_of([task]), [task], balancers.Uncertainty())
    model.compile("sgd")
    x, y, w = arrays()
    data = x, {"assays": y}, {"assays": w}
    history = model.fit(*data[:2], sample_weight=data[2], epochs=1, verbose=0).history
    ends = ["auc", "auc_a", "auc_best", "auc_worst", "best_loss", "loss", "mean_loss", "weight"]
    assert sorted(history) == sorted(["loss", *(f"assays_{end}" for end in [*ends, "worst_loss"])])
    assert history["assays_auc_worst"] < history["assays_auc"] < history["assays_auc_best"]
    assert mtl.monitor(task, "auc_worst") == ("val_assays_auc_worst", "max")
    logs = model.evaluate(x, data[1], sample_weight=data[2], verbose=0, return_dict=True)
    assert logs["assays_best_loss"] < logs["assays_loss"] < logs["assays_worst_loss"]


@pytest.mark.parametrize(
    "make", [balancers.DWA, balancers.GeometricMean, balancers.RandomWeighting]
)
def test_many_columns_are_active_or_not(make):
    names = [f"c{k}" for k in range(40)]
    x, y, w = arrays(40)
    w[:, ::3] = 0
    task = with_columns(names, metrics=())
    model = mtl.BalancedModel(network_of([task]), [task], make())
    model.compile("sgd")
    model.fit(x, {"assays": y}, sample_weight={"assays": w}, batch_size=32, verbose=0)
    of_active = np.delete([*model.task_weights.values()], np.arange(0, 40, 3))
    assert len(of_active) == 26
    if make is balancers.DWA:
        np.testing.assert_allclose(of_active, 1, rtol=1e-6)
    elif make is balancers.RandomWeighting:
        np.testing.assert_allclose(of_active.sum(), 1, rtol=1e-5)
    else:  # the weight of a loss L is GM / (26 L)
        np.testing.assert_allclose(np.log(26 * of_active).sum(), 0, atol=1e-4)


def test_a_model_of_columns_is_restored(tmp_path):
    task = with_columns(log_columns=["a"])
    model = mtl.BalancedModel(network_of([task]), [task], balancers.Uncertainty())
    model.compile("sgd")
    x, y, w = arrays()
    model.train_on_batch(x, {"assays": y}, {"assays": w})
    model.save(tmp_path / "m.keras")
    copy = keras.saving.load_model(tmp_path / "m.keras")
    assert copy.tasks[0].loss_names == task.loss_names
    assert copy.tasks[0].log_columns == ("a",)
    for trained in (model, copy):
        trained.train_on_batch(x, {"assays": y}, {"assays": w})
    assert copy.task_weights == model.task_weights


def test_columns_to_log_must_be_columns():
    with pytest.raises(ValueError, match=r"task 'assays': log_columns \['x'\] are not among"):
        with_columns(log_columns=["x"])

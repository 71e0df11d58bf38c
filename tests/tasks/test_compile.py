"""`compile_args` and `monitor`: plain Keras with fixed weights, and metric names for callbacks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task, compile_args, monitor

MANY = [Task.binary("z", metrics=["auc", "accuracy"]), Task.regression("a", weight=0.25)]


def build(tasks, *, rate=0.1, width=4):
    keras.utils.set_random_seed(0)
    network = mtl.architectures.hard_sharing(keras.Input((width,)), tasks, shared=(6,), tower=(4,))
    network.compile(keras.optimizers.SGD(rate), run_eagerly=True, **compile_args(tasks))
    return network


def data(tasks, rows=20, batch=16):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4)).astype("float32")
    labels = {"z": (x[:, 0] > 0).astype("float32"), "a": x[:, 1]}
    y = {task.name: labels[task.name] for task in tasks}
    w = {task.name: (rng.random(rows) < 0.5).astype("float32") for task in tasks}
    return tf.data.Dataset.from_tensor_slices((x, y, w)).batch(batch)


def test_the_mean_loss_averages_labels_where_the_loss_of_keras_averages_batches():
    network, batches = build(MANY), data(MANY)
    logs = network.evaluate(batches, verbose=0, return_dict=True)
    totals, counts, means = 0.0, 0.0, []
    for x, y, w in batches:
        errors = (np.array(network(x)["a"])[:, 0] - y["a"].numpy()) ** 2
        totals, counts = totals + np.sum(errors * w["a"]), counts + np.sum(w["a"])
        means.append((np.sum(errors * w["a"]) / np.sum(w["a"]), len(x)))
    assert logs["a_mean_loss"] == pytest.approx(totals / counts, rel=1e-5)
    # Keras's own loss is the mean of the batches, weighted by their number of examples.
    batch_mean = np.average([mean for mean, _ in means], weights=[rows for _, rows in means])
    assert batch_mean != pytest.approx(totals / counts, rel=1e-3)
    assert logs["a_loss"] == pytest.approx(batch_mean, rel=1e-5)


def test_a_task_with_few_labels_is_not_weighted_down():
    """Keras divides by the batch size: half of the labels would give half of the gradient."""
    tasks = [Task.regression("z"), Task.regression("a")]
    network = build(tasks)
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    y = {"z": x[:, 0], "a": x[:, 1]}
    reference = build(tasks)
    half = {"z": np.ones(8, "float32"), "a": np.float32([1, 1, 1, 1, 0, 0, 0, 0])}
    network.train_on_batch(x, y, half)
    doubled = {name: np.concatenate([value[:4]] * 2) for name, value in y.items()}
    reference.train_on_batch(np.concatenate([x[:4]] * 2), doubled)
    for value, expected in zip(
        network.get_layer("a_logits").weights,
        reference.get_layer("a_logits").weights,
        strict=True,
    ):
        np.testing.assert_allclose(value, expected, atol=1e-6)


def test_one_task_logs_under_the_same_names_as_many():
    def names(tasks):
        options = {"validation_data": data(tasks), "shuffle": False, "verbose": 0}
        return set(build(tasks).fit(data(tasks), **options).history)

    one, many = names(MANY[:1]), names(MANY)
    # Keras logs no <task>_loss for one output; the mean loss is there for both.
    assert one == {key for key in many if "z_" in key and not key.endswith("z_loss")} | {
        "loss",
        "val_loss",
    }
    for tasks in (MANY[:1], MANY):
        for metric in ("auc", "accuracy", "loss"):
            assert monitor(tasks[0], metric)[0] in one
            assert monitor(tasks[0], metric, validation=False)[0] in many


def test_the_weight_of_a_task_multiplies_its_loss():
    keras_loss = build(MANY).evaluate(data(MANY, 16), verbose=0, return_dict=True)
    assert keras_loss["loss"] == pytest.approx(
        keras_loss["z_mean_loss"] + 0.25 * keras_loss["a_mean_loss"], rel=1e-5
    )


def test_compile_gets_new_losses_and_metrics_each_time():
    first, second = compile_args(MANY), compile_args(MANY)
    for task in MANY:
        assert first["loss"][task.name] is not second["loss"][task.name]
        for metric, other_metric in zip(
            first["weighted_metrics"][task.name], second["weighted_metrics"][task.name], strict=True
        ):
            assert metric is not other_metric


@pytest.mark.parametrize(
    ("tasks", "error", "message"),
    [
        ([], ValueError, "at least one task"),
        ([MANY[0], MANY[0]], ValueError, r"\['z'\] appear more than once"),
        (MANY[0], TypeError, "put 'z' in a list"),
        (["z"], TypeError, "must hold Task objects; received 'z'"),
    ],
)
def test_anything_but_a_list_of_different_tasks_is_refused(tasks, error, message):
    with pytest.raises(error, match=message):
        compile_args(tasks)


@pytest.mark.parametrize(
    ("task", "metric", "expected"),
    [
        (Task.binary("z"), "auc", ("val_z_auc", "max")),
        (Task.binary("z", metrics=["accuracy"]), "accuracy", ("val_z_accuracy", "max")),
        (Task.regression("a"), "mae", ("val_a_mae", "min")),
        (Task.regression("a", metrics=["rmse"]), "rmse", ("val_a_rmse", "min")),
        (Task.regression("a", metrics=["r2"]), "r2", ("val_a_r2", "max")),
        (Task.binary("z"), "loss", ("val_z_mean_loss", "min")),
        (Task.binary("z"), "mean_loss", ("val_z_mean_loss", "min")),
    ],
)
def test_a_monitor_knows_its_name_and_direction(task, metric, expected):
    assert monitor(task, metric) == expected
    assert monitor(task, metric, validation=False)[0] == expected[0].removeprefix("val_")


UNDERSCORES = Task.multilabel(
    "toxic_effects",
    columns=["nr_ar", "b"],
    metrics=["auc", keras.metrics.BinaryAccuracy(name="accuracy_at_half"), "log_loss"],
    log_columns=["nr_ar"],
)


@pytest.mark.parametrize("column", ["", "_worst", "_best", "_nr_ar"])
@pytest.mark.parametrize(
    ("metric", "mode"), [("auc", "max"), ("accuracy_at_half", "max"), ("log_loss", "min")]
)
def test_names_of_columns_and_of_metrics_may_hold_underscores(metric, mode, column):
    name = metric + column
    assert name in UNDERSCORES.metric_names
    assert monitor(UNDERSCORES, name) == (f"val_toxic_effects_{name}", mode)


def test_metric_names_are_those_of_the_metrics():
    metrics = [metric.name for metric in UNDERSCORES.make_metrics()]
    assert metrics == [*UNDERSCORES.metric_names, "mean_loss"]


def named(name):
    return [keras.metrics.MeanAbsoluteError(name=name)]


@pytest.mark.parametrize(
    ("tasks", "key"),
    [
        ([Task.regression("a", metrics=named("b_mae")), Task.regression("a_b")], "a_b_mae"),
        ([Task.regression("a", metrics=named("b_loss")), Task.regression("a_b")], "a_b_loss"),
        ([Task.regression("a", metrics=named("mae")), Task.regression("val_a")], "val_a_mae"),
    ],
)
def test_tasks_that_would_log_under_one_name_are_refused(tasks, key):
    with pytest.raises(ValueError, match=f"would both log '{key}'; rename"):
        compile_args(tasks)


@pytest.mark.parametrize("name", ["loss", "mean_loss", "weight"])
def test_a_metric_with_the_name_of_another_log_is_refused(name):
    with pytest.raises(ValueError, match=f"task 'a': the logs have .'{name}'. already"):
        Task.regression("a", metrics=named(name))


def test_an_unknown_metric_or_one_without_a_direction_is_refused():
    with pytest.raises(ValueError, match=r"task 'z' has no metric 'acc'; it has \['auc', 'loss'\]"):
        monitor(Task.binary("z"), "acc")
    task = Task.regression("a", metrics=[keras.metrics.Mean(name="mean")])
    with pytest.raises(ValueError, match="task 'a': whether 'mean' is better high or low"):
        monitor(task, "mean")
    assert monitor(task, "mean", mode="max") == ("val_a_mean", "max")


def test_early_stopping_works_with_monitor_for_one_task_and_for_two():
    for tasks in (MANY[:1], MANY):
        name, mode = monitor(tasks[0], "auc")
        stop = keras.callbacks.EarlyStopping(name, mode=mode, patience=1, min_delta=2.0)
        batches = data(tasks)
        history = build(tasks).fit(
            batches, validation_data=batches, epochs=4, shuffle=False, verbose=0, callbacks=[stop]
        )
        assert len(history.epoch) == 2

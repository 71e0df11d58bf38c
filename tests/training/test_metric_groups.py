"""Equal metrics of many tasks, computed together, have the values of Keras's metrics per task."""

import keras
import numpy as np
import pytest

import keras_mtl as mtl

METRICS = ["auc", "accuracy", keras.metrics.MeanAbsoluteError(name="gap")]
MANY = [mtl.Task.binary(f"task_{7 * i % 10}", metrics=METRICS) for i in range(10)]
OTHER = mtl.Task.regression("other", metrics=["mae"])


@keras.saving.register_keras_serializable(package="tests")
class UserMetric(keras.metrics.MeanAbsoluteError):
    """Stands for a metric that a user wrote."""


def data(tasks):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 4)).astype("float32")
    y = {t.name: (x @ rng.normal(size=4) > 0).astype("float32") for t in tasks}
    w = {t.name: rng.choice([0.0, 1.0, 2.0], 24) for t in tasks[1:]}  # the first has no weights
    w[tasks[2].name][:] = 0.0
    return x, y, {name: weights.astype("float32") for name, weights in w.items()}


def balanced(tasks):
    keras.utils.set_random_seed(0)
    network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,), tower=())
    model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    return model


def test_each_task_has_the_values_of_its_own_metrics():
    tasks = [*MANY, OTHER]
    model, (x, y, w) = balanced(tasks), data(tasks)
    assert [group.tasks for group in model._step.metric_groups] == [tuple(t.name for t in MANY)] * 3
    w[tasks[0].name] = np.ones(24, "float32")
    for _ in range(2):  # each evaluation starts anew
        logs = model.evaluate(x, y, sample_weight=w, batch_size=10, return_dict=True, verbose=0)
    predictions = model.predict(x, verbose=0)
    for task in tasks:
        for metric in task.make_metrics()[:-1]:
            for rows in (slice(0, 10), slice(10, 20), slice(20, 24)):
                name = task.name
                metric.update_state(y[name][rows], predictions[name][rows], w[name][rows])
            expected = float(metric.result())
            assert logs[f"{task.name}_{metric.name}"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_fit_logs_the_metrics_of_each_task_and_validates_by_them():
    model, (x, y, _) = balanced(MANY), data(MANY)
    history = model.fit(x, y, validation_data=(x, y), verbose=0, batch_size=12).history
    for task in MANY:
        for name in ("auc", "accuracy", "gap"):
            logs = [*history[f"{task.name}_{name}"], *history[f"val_{task.name}_{name}"]]
            assert len(logs) == 2 and np.isfinite(logs).all()
    assert not any("of_10_tasks" in name for name in history)


@pytest.mark.parametrize("metrics", [[UserMetric()], ["R2Score"]])
def test_metrics_that_cannot_be_computed_together_are_computed_apart(metrics):
    tasks = [mtl.Task.regression(f"task_{i}", metrics=metrics) for i in range(8)]
    model, (x, y, _) = balanced(tasks), data(tasks)
    assert not model._step.metric_groups
    logs = model.evaluate(x, y, return_dict=True, verbose=0)
    assert all(f"{t.name}_{name}" in logs for t in tasks for name in t.metric_names)


def test_tasks_whose_loss_gives_a_metric_name_another_meaning_are_not_grouped():
    kinds = {"binary_crossentropy": "b", "mse": "m"}
    tasks = [
        mtl.Task(f"{kind}{i}", head=mtl.Head(1, "sigmoid"), loss=loss, metrics=["accuracy"])
        for loss, kind in kinds.items()
        for i in range(8)
    ]
    model, (x, y, _) = balanced(tasks), data(tasks)
    assert [group.tasks[0] for group in model._step.metric_groups] == ["b0", "m0"]
    logs = model.evaluate(x, y, return_dict=True, verbose=0)
    predictions = model.predict(x, verbose=0)
    for task in tasks:
        (metric,) = task.make_metrics()[:-1]
        metric.update_state(y[task.name], predictions[task.name])
        assert logs[f"{task.name}_accuracy"] == pytest.approx(float(metric.result()), abs=1e-6)

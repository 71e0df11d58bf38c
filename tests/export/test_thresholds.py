"""Thresholds: chosen as the best of all cuts, used by metrics, saved and served."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics as sklearn_metrics

import keras_mtl as mtl
from keras_mtl import Task
from keras_mtl.export import choose_thresholds

ROWS = 60
X = np.random.default_rng(0).random((ROWS, 2)).astype("float32").round(1)  # with many ties
RARE = (np.random.default_rng(1).random(ROWS) < X[:, 0] ** 2).astype("float32")
WEIGHTS = np.random.default_rng(2).integers(0, 3, ROWS).astype("float32")


class Same(keras.layers.Layer):
    """Returns one column of its input as the prediction."""

    def __init__(self, column, **kwargs):
        super().__init__(**kwargs)
        self.column = column

    def call(self, inputs):
        return inputs[:, self.column : self.column + 1]


def network_of(tasks):
    inputs = keras.Input((2,), name="x")
    outputs = {task.name: Same(i, name=task.name)(inputs) for i, task in enumerate(tasks)}
    return keras.Model(inputs, outputs)


def cost(labels, decisions, sample_weight):
    wrong = np.where(labels == 0, 1.0, 5.0) * (labels != decisions)
    return -float((wrong * sample_weight).sum())


SCORES = {
    "f1": lambda y, d, sample_weight: sklearn_metrics.f1_score(
        y, d, sample_weight=sample_weight, zero_division=0
    ),
    "youden": sklearn_metrics.balanced_accuracy_score,
    "mcc": sklearn_metrics.matthews_corrcoef,
    "accuracy": sklearn_metrics.accuracy_score,
    "cost": cost,
}


@pytest.mark.parametrize("metric", SCORES)
def test_no_cut_scores_better(metric):
    """Tries all cuts by scikit-learn."""
    tasks = [Task.binary("rare"), Task.regression("age")]
    y = {"rare": np.where(WEIGHTS, RARE, np.nan), "age": X[:, 1]}
    costs = (1.0, 5.0) if metric == "cost" else None
    chosen, age = choose_thresholds(
        network_of(tasks), (X, y, {"rare": WEIGHTS}), tasks, metric=metric, costs=costs
    )
    assert age is tasks[1]
    p, valid = X[:, 0], WEIGHTS > 0

    def score(cut):
        decisions = (p > np.float32(cut))[valid].astype("float32")
        return SCORES[metric](RARE[valid], decisions, sample_weight=WEIGHTS[valid])

    best = max(score(cut) for cut in [*np.arange(0.05, 1.2, 0.1), 0.01])
    assert score(chosen.threshold) == pytest.approx(best, abs=1e-9)


def test_every_kind_of_data_gives_the_same_threshold():
    tasks = [Task.binary("rare"), Task.regression("age")]
    network = network_of(tasks)
    y, w = {"rare": RARE, "age": X[:, 1]}, {"rare": WEIGHTS, "age": np.ones(ROWS)}

    class Rows(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            part = slice(20 * index, 20 * index + 20)
            return keras.tree.map_structure(lambda value: value[part], (X, y, w))

    dataset = tf.data.Dataset.from_tensor_slices((X, y, w)).batch(16)
    results = {
        choose_thresholds(network, data, tasks)[0].threshold
        for data in ((X, y, w), Rows(), dataset)
    }
    assert len(results) == 1


def test_metrics_use_the_threshold_in_both_doors(tmp_path):
    names = ["f1", "mcc", "balanced_accuracy", "precision", "recall", "accuracy", "iou", "auc"]
    task = Task.binary("rare", metrics=names)
    expected = {
        "f1": sklearn_metrics.f1_score,
        "mcc": sklearn_metrics.matthews_corrcoef,
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score,
        "precision": sklearn_metrics.precision_score,
        "recall": sklearn_metrics.recall_score,
        "accuracy": sklearn_metrics.accuracy_score,
        "iou": sklearn_metrics.jaccard_score,
    }
    inputs = keras.Input((2,))
    network = keras.Model(inputs, {"rare": task.output(inputs)})
    p = network(X)["rare"].numpy()[:, 0]
    task = dataclasses.replace(task, threshold=float(np.quantile(p, 0.7)))
    network.compile("sgd", **mtl.compile_args([task]), run_eagerly=True)
    model = mtl.BalancedModel(network, [task], mtl.balancers.Equal())
    model.compile("sgd")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.tasks[0].threshold == task.threshold
    decisions = p > np.float32(task.threshold)
    assert 0 < decisions.mean() < 1
    for way in (network, loaded):
        logs = way.evaluate(X, {"rare": RARE}, verbose=0, return_dict=True)
        for name, function in expected.items():
            assert logs[f"rare_{name}"] == pytest.approx(function(RARE, decisions), abs=1e-6), name


def test_a_decision_is_served_beside_the_probability(tmp_path):
    tasks = [Task.binary("rare", threshold=0.35), Task.binary("other")]
    network = network_of(tasks)
    served = tf.saved_model.load(mtl.export.saved_model(network, tasks, tmp_path / "served" / "1"))
    answers = served.signatures["serving_default"](x=tf.constant(X))
    assert sorted(answers) == ["other", "rare", "rare_decision"]
    assert answers["rare_decision"].dtype == tf.int32
    np.testing.assert_array_equal(answers["rare_decision"], X[:, :1] > 0.35)
    broken = served.signatures["rare"](x=tf.constant([[np.nan, 0.1], [0.9, 0.1]]))
    np.testing.assert_array_equal(broken["rare_decision"], [[-1], [1]])
    alone = served.signatures["rare"](x=tf.constant(X))
    np.testing.assert_array_equal(alone["rare_decision"], answers["rare_decision"])
    assert sorted(served.signatures["other"](x=tf.constant(X))) == ["other"]
    tasks = [Task.binary("a", threshold=0.5), Task.binary("a_decision")]
    with pytest.raises(ValueError, match="served as 'a_decision', which is a task, too"):
        mtl.export.saved_model(network_of(tasks), tasks, tmp_path / "served" / "2")


def test_logits_are_cut_at_the_logit():
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    task = Task(
        "rare", head=mtl.Head(1), loss=loss, labels=mtl.Labels(low=0, high=1), metrics=["f1"]
    )
    chosen = choose_thresholds(network_of([task]), (X, {"rare": RARE}), [task])[0]
    cut = np.log(chosen.threshold / (1 - chosen.threshold))
    metric = chosen.make_metrics()[0]
    metric.update_state(RARE, X[:, :1])
    expected = sklearn_metrics.f1_score(RARE, X[:, 0] > cut)
    assert float(metric.result()) == pytest.approx(expected, abs=1e-6)
    best = max(sklearn_metrics.f1_score(RARE, X[:, 0] > c) for c in np.arange(0.05, 1.0, 0.1))
    assert expected == pytest.approx(best)


def test_labels_of_one_task_share_a_threshold():
    task = Task.multilabel("pair", columns=["a", "b"], metrics=["f1"])
    y = np.stack([RARE, 1 - RARE], 1)
    y[:5, 0] = np.nan
    inputs = keras.Input((2,))
    network = keras.Model(inputs, {"pair": keras.layers.Identity(name="pair")(inputs)})
    threshold = choose_thresholds(network, (X, {"pair": y}), [task])[0].threshold
    valid = ~np.isnan(y)
    scores = {
        cut: sklearn_metrics.f1_score(y[valid], X[valid] > np.float32(cut))
        for cut in [*np.arange(0.05, 1.0, 0.1), threshold]
    }
    assert scores[threshold] == max(scores.values())


@pytest.mark.parametrize("columns", [None, ["b", "a"]])
@pytest.mark.parametrize("logits", [False, True])
def test_each_column_has_a_threshold_of_its_own(columns, logits, tmp_path):
    """Tries all cuts of each column by scikit-learn, and serves decisions at the chosen ones."""
    task = Task.multilabel("pair", 2, columns=columns, metrics=["f1", "precision"])
    if logits:
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        task = dataclasses.replace(task, head=mtl.Head(2), loss=loss)
    y = np.stack([RARE, X[:, 1] > 0.35], 1)
    y[:5, 0] = np.nan
    inputs = keras.Input((2,), name="x")
    network = keras.Model(inputs, {"pair": keras.layers.Identity(name="pair")(inputs)})
    (chosen,) = choose_thresholds(network, (X, {"pair": y}), [task], per_column=True)
    assert len(chosen.threshold) == 2
    cuts = np.array(chosen.threshold)
    cuts = (np.log(cuts / (1 - cuts)) if logits else cuts).astype("float32")
    for i in range(2):
        valid = ~np.isnan(y[:, i])
        score = [
            sklearn_metrics.f1_score(y[valid, i], X[valid, i] > np.float32(cut))
            for cut in [cuts[i], *np.arange(0.05, 1.0, 0.1)]
        ]
        assert score[0] == max(score)
    served = tf.saved_model.load(mtl.export.saved_model(network, [chosen], tmp_path / "m" / "1"))
    rows = np.concatenate([X, [[np.nan, 0.5]]]).astype("float32")
    answers = served.signatures["pair"](x=tf.constant(rows))
    expected = np.concatenate([cuts < X, [[-1, -1]]])
    np.testing.assert_array_equal(answers["pair_decision"], expected)
    assert len(np.unique(cuts < X, axis=0)) == 4


def test_a_threshold_of_close_logits_lies_between_them():
    """Rounds to float32 near 1, where probabilities are closer than its numbers."""
    logits = np.array([[16.5], [16.75], [17.0], [17.25]], "float32")
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    labels = mtl.Labels(low=0, high=1)
    task = Task("rare", head=mtl.Head(1), loss=loss, labels=labels, metrics=["accuracy"])
    inputs = keras.Input((1,))
    network = keras.Model(inputs, {"rare": keras.layers.Identity(name="rare")(inputs)})
    y = np.array([0, 0, 1, 1], "float32")
    (chosen,) = choose_thresholds(network, (logits, {"rare": y}), [task])
    metric = chosen.make_metrics()[0]
    metric.update_state(y, logits)
    assert float(metric.result()) == 1.0


def test_a_column_without_a_positive_has_no_threshold():
    y = np.stack([RARE, np.zeros(ROWS)], 1)
    inputs = keras.Input((2,))
    network = keras.Model(inputs, {"pair": keras.layers.Identity(name="pair")(inputs)})
    for task, column in (
        (Task.multilabel("pair", columns=["b", "a"]), "'a'"),
        (Task.multilabel("pair", 2), "1"),
    ):
        with pytest.raises(ValueError, match=f"task 'pair', column {column}: a threshold needs"):
            choose_thresholds(network, (X, {"pair": y}), [task], per_column=True)


def choose(labels=RARE, tasks=None, **arguments):
    tasks = tasks or [Task.binary("rare")]
    return choose_thresholds(network_of(tasks), (X, {"rare": labels}), tasks, **arguments)


REFUSED = {
    "metric": (lambda: choose(metric="auc"), "metric is one of"),
    "no costs": (lambda: choose(metric="cost"), "belong to metric='cost'"),
    "costs": (lambda: choose(costs=(1, 2)), "belong to metric='cost'"),
    "low costs": (lambda: choose(metric="cost", costs={"rare": (0, 1)}), "two numbers above 0"),
    "of another": (lambda: choose(metric="cost", costs={"x": (1, 1)}), "task 'rare': costs are"),
    "one value": (lambda: choose(np.zeros(ROWS)), "task 'rare': a threshold needs labels 0 and 1"),
    "missing": (lambda: choose(np.full(ROWS, np.nan)), "a weight of 0 on 1 and of 0 on 0"),
    "soft": (lambda: choose(RARE / 2), "labels 0 and 1 (or NaN)"),
    "shape": (lambda: choose(np.zeros((ROWS, 3))), "as many labels"),
    "no task": (lambda: choose(tasks=[Task.regression("rare")]), "has yes-or-no labels"),
    "kind": (lambda: dataclasses.replace(Task.count("n"), threshold=0.5), "task 'n': threshold is"),
    "range": (lambda: Task.binary("n", threshold=1.5), "a probability from 0 to 1; received 1.5"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_threshold_is_refused(case):
    attempt, message = REFUSED[case]
    with pytest.raises(ValueError, match=r"task|metric") as error:
        attempt()
    assert message in str(error.value)


@pytest.mark.parametrize("data", [X, (X, RARE), (X, {"rare": RARE}, RARE)])
def test_data_of_another_form_are_refused(data):
    task = Task.binary("rare")
    with pytest.raises(TypeError, match="dicts by task"):
        choose_thresholds(network_of([task]), data, [task])


@pytest.mark.parametrize("make", [tuple, tf.data.Dataset.from_tensors])
def test_data_without_a_row_are_refused(make):
    tasks = [Task.binary("a")]
    data = make((X[:0], {"a": RARE[:0]}))
    with pytest.raises(ValueError, match="there are no examples; expected at least one"):
        choose_thresholds(network_of(tasks), data, tasks)

"""Metrics by name at a task's threshold: scikit-learn's, of the valid labels' decisions."""

import dataclasses
import itertools
import json

import keras
import numpy as np
import pytest
import sklearn.metrics as sk

import keras_mtl as mtl
from keras_mtl import Head, Labels, Task

ROWS, WIDTH = 80, 3
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 1.5, (ROWS, WIDTH)).astype("float32")
LOGITS[:5] = 0.0  # a prediction on the cut at 0.5 is no
Y = (RNG.random((ROWS, WIDTH)) < 1 / (1 + np.exp(-LOGITS))).astype("float32")
W = RNG.integers(0, 3, (ROWS, WIDTH)).astype("float32")  # a label of weight 0 is missing
CUTS = (0.2, 0.45, 0.85)
BCE = keras.losses.BinaryCrossentropy


def part(which):
    """Returns the road to one of the four counts of Keras."""
    return lambda y, d, w: (w * (y == which[0]) * (d == which[1])).sum()


def weighted(function, **arguments):
    return lambda y, d, w: function(y, d, sample_weight=w, **arguments)


SCORES = {
    "accuracy": weighted(sk.accuracy_score),
    "f1": weighted(sk.f1_score),
    "balanced_accuracy": weighted(sk.balanced_accuracy_score),
    "mcc": weighted(sk.matthews_corrcoef),
    "iou": weighted(sk.jaccard_score),
    "precision": weighted(sk.precision_score),
    "recall": weighted(sk.recall_score),
    "binary_accuracy": weighted(sk.accuracy_score),
    "TruePositives": part((1, 1)),
    "false_positives": part((0, 1)),
    "true_negatives": part((0, 0)),
    "false_negatives": part((1, 0)),
}
"""By name, the road by scikit-learn or NumPy: from labels, decisions and weights."""

NAMES = ("one", "few", "columns")
HEADS = {"logits": Head, "probabilities": lambda units: Head(units, "sigmoid")}


def make_task(form, head, threshold, metrics=tuple(SCORES)):
    width = 1 if form == "one" else WIDTH
    columns = [f"c{i}" for i in range(WIDTH)] if form == "columns" else None
    labels = Labels(() if form == "one" else (WIDTH,), low=0, high=1)
    loss = BCE(from_logits=head == "logits")
    settings = {"metrics": metrics, "columns": columns, "labels": labels, "threshold": threshold}
    return Task("zoo", head=HEADS[head](width), loss=loss, **settings)


def arrays_of(form, head):
    """Returns labels, predictions and weights of a task's form."""
    width = 1 if form == "one" else WIDTH
    logits = LOGITS[:, :width]
    predictions = logits if head == "logits" else 1 / (1 + np.exp(-logits))
    return Y[:, :width], predictions, W[:, :width]


def decide(predictions, head, threshold):
    cuts = np.array([0.5] if threshold is None else threshold, "float64")
    if head == "logits":
        cuts = np.log(cuts / (1 - cuts))
    return (predictions > cuts.astype("float32")).astype("float32")


def by_another_road(score, form, y, decisions, w):
    """Returns the score of all labels together, or the mean of those of the columns."""
    if form != "columns":
        return score(y.ravel(), decisions.ravel(), w.ravel())
    return np.mean([score(y[:, i], decisions[:, i], w[:, i]) for i in range(WIDTH)])


FORMS = [
    (form, head, threshold)
    for form, head in itertools.product(NAMES, HEADS)
    for threshold in (None, 0.3, CUTS)
    # At 0.5, probabilities are those of test_named_metrics.py.
    if (form != "one" or threshold is not CUTS) and (head == "logits" or threshold is not None)
]


EVERYDAY = [
    ("one", "logits", 0.3),
    ("few", "logits", CUTS),
    ("few", "probabilities", 0.3),
    ("columns", "logits", 0.3),
    ("columns", "probabilities", CUTS),
]


@pytest.mark.parametrize(
    ("form", "head", "threshold"),
    [row if row in EVERYDAY else pytest.param(*row, marks=pytest.mark.slow) for row in FORMS],
)
def test_a_metric_that_cuts_is_that_of_the_decisions(form, head, threshold):
    task = make_task(form, head, threshold)
    y, p, w = arrays_of(form, head)
    metrics = {metric.name: metric for metric in task.make_metrics()}
    decisions = decide(p, head, threshold)
    assert 0.1 < decisions.mean() < 0.9
    for name, score in SCORES.items():
        metrics[name].update_state(y[:30], p[:30], w[:30])
        metrics[name].update_state(y[30:], p[30:], w[30:])
        expected = by_another_road(score, form, y, decisions, w)
        assert float(metrics[name].result()) == pytest.approx(expected, abs=1e-6), name


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("threshold", [0.3, CUTS])
def test_macro_f1_of_several_labels_is_the_mean_of_their_scores(head, threshold):
    (metric, _) = make_task("few", head, threshold, ["macro_f1"]).make_metrics()
    y, p, w = arrays_of("few", head)
    metric.update_state(y, p, w)
    decisions = decide(p, head, threshold)
    scores = [sk.f1_score(y[:, i], decisions[:, i], sample_weight=w[:, i]) for i in range(WIDTH)]
    assert float(metric.result()) == pytest.approx(np.mean(scores), abs=1e-6)


def test_an_f_score_of_keras_cuts_a_single_label_there():
    (metric, _) = make_task("one", "logits", 0.3, ["f1_score"]).make_metrics()
    y, p, w = arrays_of("one", "logits")
    metric.update_state(y, p, w)
    expected = sk.f1_score(y, decide(p, "logits", 0.3), sample_weight=w[:, 0])
    assert float(metric.result()) == pytest.approx(expected, abs=1e-6)


def test_metrics_that_do_not_cut_get_the_predictions():
    names = ["auc", "log_loss", "macro_auc"]
    y, p, w = arrays_of("few", "logits")
    values = []
    for threshold in (None, CUTS):
        metrics = make_task("few", "logits", threshold, names).make_metrics()
        for metric in metrics:
            metric.update_state(y, p, w)
        values.append([float(metric.result()) for metric in metrics])
    assert values[0] == values[1]


@pytest.mark.parametrize("form", NAMES)
def test_both_doors_evaluate_a_saved_model_at_its_thresholds(form, tmp_path):
    threshold = 0.3 if form == "one" else CUTS
    task = make_task(form, "logits", threshold, ["precision", "recall", "f1", "auc"])
    y, p, w = arrays_of(form, "logits")
    inputs = keras.Input(p.shape[1:])
    network = keras.Model(inputs, {"zoo": keras.layers.Identity(name="zoo")(inputs)})
    network.compile("sgd", **mtl.compile_args([task]))
    model = mtl.BalancedModel(network, [task], mtl.balancers.Equal())
    model.compile("sgd")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for way in (network, loaded):
        logs = way.evaluate(
            p, {"zoo": y}, sample_weight={"zoo": w}, verbose=0, return_dict=True, batch_size=30
        )
        for name in ("precision", "recall", "f1"):
            expected = by_another_road(SCORES[name], form, y, decide(p, "logits", threshold), w)
            assert logs[f"zoo_{name}"] == pytest.approx(expected, abs=1e-6), name
    assert loaded.tasks[0].threshold == threshold


@pytest.mark.slow
def test_a_plain_network_of_columns_is_loaded_with_its_metrics(tmp_path):
    columns = ["b", "a", "c"]
    settings = {"columns": columns, "log_columns": ["a"], "threshold": CUTS}
    task = Task.multilabel("zoo", **settings, metrics=["f1", "auc"])
    y, p, w = arrays_of("columns", "probabilities")
    inputs = keras.Input(p.shape[1:])
    network = keras.Model(inputs, {"zoo": keras.layers.Identity(name="zoo")(inputs)})
    network.compile("sgd", **mtl.compile_args([task]))
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    logs = []
    for model in (network, loaded, loaded):  # the second time after a reset
        options = {"sample_weight": {"zoo": w}, "verbose": 0, "return_dict": True}
        logs.append(model.evaluate(p, {"zoo": y}, **options))
    assert {"zoo_f1", "zoo_f1_worst", "zoo_f1_best", "zoo_f1_a"} < set(logs[0])
    assert logs[0] == logs[1] == logs[2]
    scores = [SCORES["f1"](y[:, i], decide(p, "", CUTS)[:, i], w[:, i]) for i in range(WIDTH)]
    assert logs[1]["zoo_f1_a"] == pytest.approx(scores[1], abs=1e-6)
    assert logs[1]["zoo_f1_worst"] == pytest.approx(min(scores), abs=1e-6)


def test_views_of_a_rank_correlation_are_loaded_too():
    settings = {"columns": ["b", "a"], "metrics": ["spearman"]}
    task = Task("zoo", head=Head(2), loss="mse", log_columns=["a"], **settings)
    y, p, w = (values[:, :2] for values in (Y + LOGITS[::-1], LOGITS, W))
    metrics = [metric for metric in task.make_metrics() if metric.name != "mean_loss"]
    loaded = [type(metric).from_config(metric.get_config()) for metric in metrics]
    for metric in [*metrics, *loaded]:
        metric.update_state(y, p, sample_weight=w)
    values = [[float(metric.result()) for metric in some] for some in (metrics, loaded)]
    assert values[0] == values[1]
    assert len(set(values[0])) > 2


def test_many_tasks_are_counted_together_at_their_threshold():
    task = make_task("one", "logits", 0.3, ["precision", "f1"])
    tasks = [dataclasses.replace(task, name=f"t{9 - i}") for i in range(9)]
    x = keras.Input((1,))
    network = keras.Model(x, {t.name: keras.layers.Identity(name=t.name)(x) for t in tasks})
    model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
    model.compile("sgd")
    y, p, _ = arrays_of("one", "logits")
    labels = {t.name: (y if i % 2 else 1 - y) for i, t in enumerate(tasks)}
    logs = model.evaluate(p, labels, verbose=0, return_dict=True)
    for name, of_task in labels.items():
        expected = sk.precision_score(of_task, decide(p, "logits", 0.3))
        assert logs[f"{name}_precision"] == pytest.approx(expected, abs=1e-6), name


@pytest.mark.parametrize("values", [[0.2, 0.4], np.array([0.2, 0.4])])
def test_thresholds_are_kept_as_floats_and_saved_as_json(values):
    task = Task.multilabel("zoo", 2, threshold=values)
    loaded = Task.from_config(json.loads(json.dumps(task.get_config())))
    assert task.threshold == loaded.threshold == (0.2, 0.4)
    assert type(Task.binary("zoo", threshold=np.float64(0.5)).threshold) is float


WRONG = {
    "too few": (lambda: Task.multilabel("zoo", 3, threshold=[0.1, 0.2]), "sequence of 2.*has 3"),
    "of columns": (
        lambda: Task.multilabel("zoo", columns=["b", "a"], threshold=[0.1]),
        "sequence of 1.*has 2",
    ),
    "one label": (lambda: Task.binary("zoo", threshold=[0.1, 0.2]), "sequence of 2.*has 1"),
    "out of range": (lambda: Task.multilabel("zoo", 2, threshold=[0.1, 1.2]), "from 0 to 1"),
    "not a number": (lambda: Task.multilabel("zoo", 2, threshold=[0.1, np.nan]), "from 0 to 1"),
    "a string": (lambda: Task.binary("zoo", threshold="0.5"), "received '0.5'"),
    "a flag": (lambda: Task.binary("zoo", threshold=True), "received True"),
    "by name": (lambda: Task.multilabel("zoo", 2, threshold={"a": 0.1}), "has one for each label"),
    "ragged": (lambda: Task.multilabel("zoo", 2, threshold=[[0.1], [0.2, 0.3]]), "from 0 to 1"),
    "empty": (lambda: Task.multilabel("zoo", 2, threshold=[]), "from 0 to 1"),
    "unknown width": (
        lambda: Task("zoo", head=keras.layers.Dense(2), loss=BCE(), threshold=[0.1, 0.2]),
        r"nothing says how many labels.*Labels\(\(2,\)",
    ),
    "of a number": (lambda: dataclasses.replace(Task.count("zoo"), threshold=[0.1]), "yes-or-no"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_threshold_that_does_not_fit_is_refused(case):
    make, message = WRONG[case]
    with pytest.raises(ValueError, match=rf"task 'zoo': (?s:.*){message}"):
        make()

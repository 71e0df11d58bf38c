"""Metrics by name: scikit-learn's or SciPy's on the valid labels, or an equation in NumPy."""

import warnings

import keras
import numpy as np
import pytest
import scipy.stats
from metric_table import CLASSES, KINDS, SORT, batch, dense
from sklearn import metrics as sk

from keras_mtl import Head, Labels, Task, monitor
from keras_mtl.metrics import AUC, NDCG, SpanF1

WEIGHTS = ("none", "zeros and ones", "fractions")


def valid(kind, weights):
    """Returns labels, predictions and weights of two batches, `(rows, width)`; classes as such."""
    y, p, w = dense(kind, [batch(kind, weights, seed) for seed in range(2)])
    if SORT[kind] in ("class", "one-hot"):
        rows = w.all(axis=1)
        return y[rows].argmax(axis=1), p[rows], w[rows, 0]
    return y[w > 0], p[w > 0], w[w > 0]


def seen(kind, name, weights):
    metric, *_ = KINDS[kind]([name]).make_metrics()
    for seed in range(2):
        metric.update_state(*batch(kind, weights, seed))
    return float(metric.result())


def of_columns(function):
    """Returns the mean of a function over the columns of `(rows, width)`."""

    def mean(kind, weights):
        y, p, w = dense(kind, [batch(kind, weights, seed) for seed in range(2)])
        columns = [(y[v, k], p[v, k], w[v, k]) for k, v in enumerate((w > 0).T)]
        return np.mean([function(*column) for column in columns])

    return mean


def of_labels(function):
    return lambda kind, weights: function(*valid(kind, weights))


def calibration_error(y, p, w):
    if p.ndim == 2:
        y, p = p.argmax(axis=1) == y, p.max(axis=1)
    bins = np.minimum((p * 15).astype(int), 14)
    gaps = [(w * (y - p))[bins == k].sum() for k in range(15)]
    return np.abs(gaps).sum() / w.sum()


def spearman(y, p, w):
    """Ranks of values that count as often as their weights say."""

    def ranks(values):
        below = (w[None] * (values[None] < values[:, None])).sum(axis=1)
        return below + (w[None] * (values[None] == values[:, None])).sum(axis=1) / 2

    return np.cov(ranks(y), ranks(p), aweights=w)[0, 1] / np.sqrt(
        np.cov(ranks(y), aweights=w) * np.cov(ranks(p), aweights=w)
    )


def cut(function, **arguments):
    """Returns a metric of scikit-learn of predicted classes."""

    def road(y, p, w):
        chosen = p.argmax(axis=1) if p.ndim == 2 else p > 0.5
        return function(y, chosen, sample_weight=w, **arguments)

    return road


def scores(function, **arguments):
    return lambda y, p, w: function(y, p, sample_weight=w, **arguments)


def one_against_all(y, p, w):
    return np.mean([sk.roc_auc_score(y == k, p[:, k], sample_weight=w) for k in range(CLASSES)])


YES_OR_NO, CLASS, NUMBER = (
    ("binary", "multilabel"),
    ("multiclass", "tagging", "segmentation"),
    (
        "regression",
        "count",
    ),
)
ONE_HOT = ("one-hot",)
ROADS = [
    ("auc", YES_OR_NO, of_labels(scores(sk.roc_auc_score))),
    ("auc", ("columns",), of_columns(scores(sk.roc_auc_score))),
    ("pr_auc", YES_OR_NO, of_labels(scores(sk.average_precision_score))),
    ("macro_auc", ("multilabel",), of_columns(scores(sk.roc_auc_score))),
    ("macro_auc", (*CLASS, *ONE_HOT), of_labels(one_against_all)),
    ("f1", YES_OR_NO, of_labels(cut(sk.f1_score))),
    ("f1", ("columns",), of_columns(cut(sk.f1_score))),
    ("macro_f1", ("binary", *CLASS, *ONE_HOT), of_labels(cut(sk.f1_score, average="macro"))),
    ("macro_f1", ("multilabel",), of_columns(cut(sk.f1_score))),
    ("accuracy", (*YES_OR_NO, *CLASS, *ONE_HOT), of_labels(cut(sk.accuracy_score))),
    (
        "balanced_accuracy",
        (*YES_OR_NO, *CLASS, *ONE_HOT),
        of_labels(cut(sk.balanced_accuracy_score)),
    ),
    ("mcc", (*YES_OR_NO, *CLASS, *ONE_HOT), of_labels(cut(sk.matthews_corrcoef))),
    ("mcc", ("columns",), of_columns(cut(sk.matthews_corrcoef))),
    ("iou", YES_OR_NO, of_labels(cut(sk.jaccard_score))),
    ("iou", (*CLASS, *ONE_HOT), of_labels(cut(sk.jaccard_score, average="macro"))),
    ("calibration_error", (*YES_OR_NO, *CLASS, *ONE_HOT), of_labels(calibration_error)),
    ("calibration_error", ("columns",), of_columns(calibration_error)),
    ("log_loss", YES_OR_NO, of_labels(scores(sk.log_loss))),
    ("log_loss", (*CLASS, *ONE_HOT), of_labels(scores(sk.log_loss, labels=range(CLASSES)))),
    ("rmse", (*NUMBER, "targets"), of_labels(scores(sk.root_mean_squared_error))),
    ("mae", (*NUMBER, "targets"), of_labels(scores(sk.mean_absolute_error))),
    ("r2", (*NUMBER, "targets"), of_columns(scores(sk.r2_score))),
    ("spearman", (*NUMBER, "targets"), of_columns(spearman)),
]
BINNED = {"auc": 2e-3, "pr_auc": 2e-3, "macro_auc": 2e-3, "spearman": 5e-3}
"""What metrics may be off by that count in bins; so few labels have most of it."""
CASES = [(name, kind, road) for name, kinds, road in ROADS for kind in kinds]
SLOW = {"columns", "segmentation", "count"}
"""Kinds whose shapes another kind has as well, or whose metrics take a second."""
CELLS = [
    pytest.param(
        *case,
        id="-".join(case[:2]),
        marks=pytest.mark.slow if case[1] in SLOW or case[0] == "macro_auc" else (),
    )
    for case in CASES
]
REFUSED = [
    *[(name, kind) for name in ("auc", "f1", "mcc", "accuracy", "log_loss") for kind in NUMBER],
    *[("auc", kind) for kind in CLASS],
    *[("spearman", kind) for kind in CLASS],
    *[("rmse", kind) for kind in CLASS],
    *[(name, "binary") for name in ("macro_auc", "gauc", "ndcg", "span_f1")],
    ("macro_auc", "columns"),
    ("gauc", "columns"),
    ("ndcg", "targets"),
    ("gauc", "targets"),
    ("span_f1", "tagging"),
]


@pytest.mark.parametrize(("name", "kind", "road"), CELLS)
def test_a_name_stands_for_the_value_on_valid_labels(name, kind, road):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scikit-learn, for classes that are not there
        expected = {weights: road(kind, weights) for weights in WEIGHTS}
    values = {weights: seen(kind, name, weights) for weights in WEIGHTS}
    assert values == pytest.approx(expected, abs=BINNED.get(name, 2e-5))


@pytest.mark.parametrize(("name", "kind"), REFUSED)
def test_a_name_that_means_nothing_for_a_task_is_refused(name, kind):
    with pytest.raises(ValueError, match=f"task 't': .*{name}"):
        KINDS[kind]([name])


def lists(seed):
    """Returns relevances, scores with ties, and weights of items, some of which are missing."""
    rng = np.random.default_rng(seed)
    shape = (6, 7)
    weights = (rng.random(shape) < 0.7) * rng.choice([0.5, 1.0, 2.0], (6, 1))
    weights[0] = 0.0
    scores = rng.integers(0, 5, shape) / 4.0
    return rng.integers(0, 3, shape), scores.astype("float32"), weights.astype("float32")


@pytest.mark.parametrize("name", ["ndcg", "ndcg_3"])
@pytest.mark.parametrize("shape", [(7,), (7, 1)])
def test_ndcg_is_the_mean_over_lists_of_their_items(name, shape):
    task = Task("t", head=Head(shape[-1]), loss="mse", labels=Labels((7,), low=0), metrics=[name])
    metric, *_ = task.make_metrics()
    total = count = 0.0
    for seed in range(2):
        y, p, w = lists(seed)
        metric.update_state(y, p.reshape(6, *shape), w)
        for label, score, weight in zip(y, p, w, strict=True):
            if weight.any():
                rows = [values[weight > 0][None] for values in (label, score)]
                k = int(name[5:]) if name[5:] else None
                count += weight.max()
                if rows[0].shape[1] > 1:  # scikit-learn knows no list of one item
                    total += weight.max() * sk.ndcg_score(*rows, k=k)
                else:
                    total += weight.max() * (rows[0][0, 0] > 0)
    assert float(metric.result()) == pytest.approx(total / count, abs=1e-6)


def test_gauc_is_the_mean_over_lists_with_both_labels():
    metric, *_ = Task.multilabel("t", 7, metrics=["gauc"]).make_metrics()
    areas, weights = [], []
    for seed in range(2):
        y, p, w = lists(seed)
        y = y > 0
        metric.update_state(y, p, w)
        for label, score, weight in zip(y, p, w, strict=True):
            item = weight > 0
            if len(set(label[item])) == 2:
                areas.append(sk.roc_auc_score(label[item], score[item]))
                weights.append(weight.sum())
    assert len(areas) > 4
    assert float(metric.result()) == pytest.approx(np.average(areas, weights=weights), abs=1e-6)


TAGS = ("O", "B-LOC", "B-PER", "I-LOC", "I-PER")


def spans(tags):
    """Returns the spans of a sequence as conlleval finds them: kind, first and last position."""
    finished, kind, start = set(), None, 0
    for position, number in enumerate([*tags, 0]):
        prefix, _, name = TAGS[number].partition("-")
        if kind is not None and (prefix != "I" or name != kind):
            finished.add((kind, start, position - 1))
            kind = None
        if prefix != "O" and kind is None:
            kind, start = name, position
    return finished


def test_the_f1_of_spans_is_that_of_kinds_with_both_ends():
    task = Task.tagging("t", TAGS, metrics=["span_f1", SpanF1(TAGS, name="same")])
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(task))
    metric, same, _ = back.make_metrics()
    hits = of_labels = of_predictions = 0
    for seed, length in enumerate((9, 13)):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 5, (40, length))
        chosen = np.where(rng.random(y.shape) < 0.8, y, rng.integers(0, 5, y.shape))
        w = (rng.random(y.shape) < 0.8).astype("float32")  # such as pieces of words
        for span_metric in (metric, same):
            span_metric.update_state(y, np.eye(5, dtype="float32")[chosen], w)
        for row in range(40):
            there = w[row] > 0
            label, prediction = spans(y[row][there]), spans(chosen[row][there])
            hits += len(label & prediction)
            of_labels, of_predictions = of_labels + len(label), of_predictions + len(prediction)
    assert hits > 50
    assert float(same.result()) == float(metric.result())
    assert float(metric.result()) == pytest.approx(2 * hits / (of_labels + of_predictions))


def rare(rate, slope, noise, rows=40_000):
    """Returns labels of a rare class and the probabilities of a model of it."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=rows)
    shift = np.log(1 / rate - 1) + slope**2 / 2
    labels = rng.random(rows) < 1 / (1 + np.exp(shift - slope * z))
    return labels, 1 / (1 + np.exp(shift - noise * (z + rng.normal(size=rows) / 2)))


@pytest.mark.parametrize("rate", [0.1, 0.007, 0.001])
@pytest.mark.parametrize(("slope", "noise"), [(1.5, 1.5), (1.0, 0.1), (2.0, 6.0)])
def test_the_auc_of_rare_labels_is_that_of_scikit_learn(rate, slope, noise):
    labels, predictions = rare(rate, slope, noise)
    predictions = predictions.astype("float32")
    metric, *_ = Task.binary("t").make_metrics()
    metric.update_state(labels[:, None], predictions[:, None])
    assert labels.mean() == pytest.approx(rate, rel=0.5)
    assert float(metric.result()) == pytest.approx(sk.roc_auc_score(labels, predictions), abs=2e-3)


class Focal(keras.losses.BinaryCrossentropy):
    """A subclass, whose labels are those of its base."""


def distance(y_true, y_pred):
    return keras.ops.sum(keras.ops.abs(y_true - y_pred), axis=-1)


@pytest.mark.parametrize(
    ("head", "loss", "labels"),
    [
        (Head(1, "sigmoid"), Focal(), None),
        (lambda features: features, Focal(), None),
        (Head(1, "sigmoid"), keras.losses.Dice(), None),
        (Head(1, "sigmoid"), "mse", None),
        (Head(1), keras.losses.BinaryCrossentropy(from_logits=True), None),
        (lambda features: features, keras.losses.BinaryFocalCrossentropy(), None),
        (Head(3, "softmax"), keras.losses.CategoricalFocalCrossentropy(), None),
        (Head(3, "softmax"), keras.losses.KLDivergence(), Labels((3,))),
        (Head(3, "softmax"), keras.losses.MeanSquaredError(), None),
        (Head(3, "softmax"), "sparse_categorical_crossentropy", None),
        (Head(3), keras.losses.SparseCategoricalCrossentropy(from_logits=True), None),
        (Head(3, "softmax"), distance, Labels(integer=True, low=0, high=2)),
    ],
)
def test_accuracy_follows_the_task_whatever_the_loss_is(head, loss, labels):
    metric, *_ = Task("t", head=head, loss=loss, labels=labels, metrics=["accuracy"]).make_metrics()
    rng = np.random.default_rng(0)
    width = getattr(head, "units", 1)
    is_logit = width == 1 and isinstance(head, Head) and head.activation == "linear"
    if width == 1:
        y = rng.integers(0, 2, 30).astype("float32")
        p = rng.uniform(size=(30, 1)).astype("float32") - is_logit / 2
        expected = ((p[:, 0] > 0.5 * (not is_logit)) == y).mean()
    else:
        y, p = rng.integers(0, 3, 30), rng.uniform(size=(30, 3)).astype("float32")
        expected = (p.argmax(axis=1) == y).mean()
        is_sparse = "parse" in str(loss) or (labels is not None and labels.integer)
        y = y if is_sparse else np.eye(3, dtype="float32")[y]
    metric.update_state(y, p)
    assert 0.1 < expected < 0.9
    assert float(metric.result()) == pytest.approx(expected)


@pytest.mark.parametrize("loss", ["mse", "mae", keras.losses.Poisson(), distance])
def test_accuracy_of_numbers_is_refused(loss):
    with pytest.raises(ValueError, match="task 't': 'accuracy' is the share of right classes"):
        Task("t", head=Head(1), loss=loss, metrics=["accuracy"])


def test_the_auc_of_logits_is_that_of_their_probabilities():
    labels, predictions = rare(0.01, 1.5, 1.5)
    logits = np.log(predictions / (1 - predictions))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    names = ["auc", "accuracy", "f1", "log_loss"]
    of_logits = Task("t", head=Head(1), loss=loss, metrics=names).make_metrics()
    of_probabilities = Task.binary("t", metrics=names).make_metrics()
    for metric, other in zip(of_logits[:-1], of_probabilities[:-1], strict=True):
        metric.update_state(labels[:, None], logits[:, None].astype("float32"))
        other.update_state(labels[:, None], predictions[:, None].astype("float32"))
        assert float(metric.result()) == pytest.approx(float(other.result()), abs=1e-4)


@pytest.mark.parametrize("draw", ["normal", "exponential", "standard_cauchy"])
def test_spearman_is_that_of_scipy_whatever_the_distribution_is(draw):
    rng = np.random.default_rng(0)
    y, noise = getattr(rng, draw)(size=(2, 4000))
    p = np.exp(np.clip(y + noise, -20, 20))
    metric, *_ = Task.regression("t", metrics=["spearman"]).make_metrics()
    for rows in np.split(np.arange(4000), 8):
        metric.update_state(1e4 + y[rows], p[rows, None].astype("float32"))
    expected = scipy.stats.spearmanr((1e4 + y).astype("float32"), p.astype("float32"))[0]
    assert float(metric.result()) == pytest.approx(expected, abs=1e-3)


def test_span_metric_by_name_knows_whether_it_is_better_high_or_low():
    low = {"calibration_error", "log_loss", "rmse", "mae"}
    for name, kind, _ in CASES:
        assert KINDS[kind]([name]).mode(name) == ("min" if name in low else "max"), name
    assert monitor(Task.multilabel("t", 9, metrics=["ndcg_5"]), "ndcg_5") == ("val_t_ndcg_5", "max")


def test_columns_without_both_labels_have_no_auc():
    """Keras shows 0 for them, which would be the worst column, and would lower the mean."""
    task = Task.multilabel("t", columns=["a", "b", "c"])
    y = np.array([[1, 0, 0], [0, 0, 1], [1, 0, 1.0]])
    p = np.array([[0.9, 0.5, 0.1], [0.1, 0.3, 0.3], [0.2, 0.1, 0.2]], "float32")
    mean, worst, best, _ = task.make_metrics()
    mean.update_state(y, p)
    assert [float(metric.result()) for metric in (mean, worst, best)] == [1.0, 1.0, 1.0]


def test_metrics_by_name_come_back_from_their_config():
    for name, kind, _ in CASES:
        for metric in KINDS[kind]([name]).make_metrics()[:1]:
            config = keras.saving.serialize_keras_object(metric)
            copy = keras.saving.deserialize_keras_object(config)
            assert keras.saving.serialize_keras_object(copy) == config
    assert AUC.from_config(AUC("PR", 100, name="x").get_config()).curve == "PR"
    assert NDCG.from_config(NDCG(3).get_config()).k == 3
    assert SpanF1.from_config(SpanF1(TAGS).get_config()).tags == [*TAGS]

"""The metrics by name: values of scikit-learn, variances of a bootstrap, and DeLong's numbers."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from keras_mtl.analysis import Metric
from keras_mtl.analysis._verdicts._auc import auc
from keras_mtl.analysis._verdicts._cells import Cell
from keras_mtl.analysis._verdicts._intervals import RowVariance, variance_over_rows
from keras_mtl.analysis._verdicts._measure import Measured
from keras_mtl.analysis._verdicts._scorers import FUNCTIONS, SCORERS
from keras_mtl.analysis._verdicts._second_tests import run_test

DELONG_LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], float)
DELONG_A = np.array([0.9, 0.8, 0.35, 0.6, 0.5, 0.3, 0.2, 0.1, 0.4, 0.35])
DELONG_B = np.array([0.7, 0.9, 0.3, 0.5, 0.6, 0.4, 0.1, 0.2, 0.5, 0.3])


def binary_data(n=400, seed=0, rate=0.3):
    """Returns labels and probabilities of two models that share noise, rounded so that some tie."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < rate).astype(float)
    common = labels + rng.normal(0, 0.7, n)
    scores = common + rng.normal(0, 0.5, (2, n)) - 0.5
    return labels, np.round(1 / (1 + np.exp(-2 * scores)), 2).clip(0.01, 0.99)


def class_data(n=400, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.choice(4, n, p=[0.5, 0.25, 0.15, 0.1])
    logits = 1.5 * np.eye(4)[labels] + rng.normal(0, 1, (2, n, 4))
    probabilities = np.exp(logits)
    return labels.astype(float), probabilities / probabilities.sum(axis=2, keepdims=True)


def number_data(n=400, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.normal(3, 2, n)
    common = rng.normal(0, 0.5, n)
    return labels, labels + common + rng.normal(0, [[0.7], [0.6]], (2, n))


def column_data(n=400, seed=0):
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, 3)) < 0.3).astype(float)
    scores = labels + rng.normal(0, 0.7, (2, n, 3)) - 0.5
    labels[rng.random((n, 3)) < 0.2] = np.nan
    return labels, 1 / (1 + np.exp(-2 * scores))


def of_columns(metric, *, cut):
    """Returns the mean of a metric over the columns, of labeled rows."""

    def mean(labels, predictions):
        scores = []
        for y, p in zip(labels.T, predictions.T, strict=True):
            rows = ~np.isnan(y)
            scores.append(metric(y[rows], p[rows] > 0.5 if cut else p[rows]))
        return np.mean(scores)

    return mean


BINARY = {
    "accuracy": lambda y, p: sklearn.metrics.accuracy_score(y, p > 0.5),
    "auc": sklearn.metrics.roc_auc_score,
    "balanced_accuracy": lambda y, p: sklearn.metrics.balanced_accuracy_score(y, p > 0.5),
    "brier": sklearn.metrics.brier_score_loss,
    "f1": lambda y, p: sklearn.metrics.f1_score(y, p > 0.5),
    "log_loss": sklearn.metrics.log_loss,
    "macro_f1": lambda y, p: sklearn.metrics.f1_score(y, p > 0.5, average="macro"),
    "mcc": lambda y, p: sklearn.metrics.matthews_corrcoef(y, p > 0.5),
}
CLASSES = {
    "accuracy": lambda y, p: sklearn.metrics.accuracy_score(y, p.argmax(1)),
    "balanced_accuracy": lambda y, p: sklearn.metrics.balanced_accuracy_score(y, p.argmax(1)),
    "log_loss": sklearn.metrics.log_loss,
    "macro_auc": lambda y, p: sklearn.metrics.roc_auc_score(y, p, multi_class="ovr"),
    "macro_f1": lambda y, p: sklearn.metrics.f1_score(y, p.argmax(1), average="macro"),
    "mcc": lambda y, p: sklearn.metrics.matthews_corrcoef(y, p.argmax(1)),
}
NUMBERS = {
    "mae": sklearn.metrics.mean_absolute_error,
    "mse": sklearn.metrics.mean_squared_error,
    "r2": sklearn.metrics.r2_score,
    "rmse": sklearn.metrics.root_mean_squared_error,
}
COLUMNS = {
    "macro_auc": of_columns(sklearn.metrics.roc_auc_score, cut=False),
    "macro_f1": of_columns(sklearn.metrics.f1_score, cut=True),
}
CASES = [
    *((binary_data, name, reference) for name, reference in BINARY.items()),
    *((class_data, name, reference) for name, reference in CLASSES.items()),
    *((number_data, name, reference) for name, reference in NUMBERS.items()),
    *((column_data, name, reference) for name, reference in COLUMNS.items()),
]
every_case = pytest.mark.parametrize(
    ("data", "name", "reference"), CASES, ids=[f"{make.__name__}-{name}" for make, name, _ in CASES]
)


def test_every_metric_by_name_is_compared_with_scikit_learn():
    assert {name for _, name, _ in CASES} == {*SCORERS}


def evaluate(name, labels, predictions):
    scorer = SCORERS[name]
    return scorer.evaluate(labels, scorer.prepare(labels, predictions, 0.5))


@every_case
def test_values_are_those_of_scikit_learn(data, name, reference):
    labels, predictions = data()
    values = evaluate(name, labels, predictions).values
    expected = [reference(labels, prediction) for prediction in predictions]
    np.testing.assert_allclose(values, expected, rtol=1e-10)


@every_case
def test_the_variance_over_rows_is_that_of_a_bootstrap(data, name, reference):
    labels, predictions = data()
    rng = np.random.default_rng(1)
    _, influence = evaluate(name, labels, predictions)
    np.testing.assert_allclose(influence.sum(axis=1), 0.0, atol=1e-12)
    stratified = SCORERS[name].is_stratified
    strata = labels if stratified else np.zeros(len(labels))
    variance = variance_over_rows(influence[1] - influence[0], strata).variance
    parts = [np.flatnonzero(strata == part) for part in np.unique(strata)]
    differences = []
    for _ in range(500):
        rows = np.concatenate([rng.choice(part, len(part)) for part in parts])
        values = evaluate(name, labels[rows], predictions[:, rows]).values
        differences.append(values[1] - values[0])
    assert variance == pytest.approx(np.var(differences, ddof=1), rel=0.2)


def test_the_functions_are_those_of_scikit_learn_and_scipy():
    labels, predictions = binary_data()
    for scores in predictions:
        expected = sklearn.metrics.average_precision_score(labels, scores)
        assert FUNCTIONS["pr_auc"].evaluate(labels, scores) == pytest.approx(expected, rel=1e-12)
    assert math.isnan(FUNCTIONS["pr_auc"].evaluate(np.zeros(5), np.arange(5.0)))
    labels, predictions = number_data()
    scores = predictions[0].round(1)
    expected = scipy.stats.spearmanr(labels, scores).statistic
    assert FUNCTIONS["spearman"].evaluate(labels, scores) == pytest.approx(expected)
    assert math.isnan(FUNCTIONS["spearman"].evaluate(labels, np.ones(400)))


def test_delong_has_his_numbers():
    values, influence = auc(DELONG_LABELS, np.stack([DELONG_A, DELONG_B]))
    np.testing.assert_allclose(values, [0.895833, 0.791667], atol=5e-7)

    def variance(weights):
        return variance_over_rows(weights @ influence, DELONG_LABELS).variance

    first, second, both = (variance(np.array(pair)) for pair in ([1, 0], [0, 1], [1, 1]))
    np.testing.assert_allclose([first, second], [0.013368, 0.026042], atol=5e-7)
    assert (both - first - second) / 2 == pytest.approx(0.016493, abs=5e-7)
    difference = influence[1] - influence[0]
    over_rows = variance_over_rows(difference, DELONG_LABELS)
    assert (values[0] - values[1]) / math.sqrt(over_rows.variance) == pytest.approx(
        1.299688, abs=5e-7
    )
    measured = Measured(values[:1], values[1:], over_rows)
    p = run_test("delong", cell("auc", DELONG_LABELS, DELONG_A, DELONG_B), measured, None).p
    assert p == pytest.approx(0.193708, abs=5e-7)


def cell(name, labels, baseline, contender):
    """Returns a cell of one seed, all of whose rows are labeled."""
    predictions = np.atleast_2d(baseline), np.atleast_2d(contender)
    rows = np.arange(len(labels))
    return Cell("task", None, Metric(name), rows, labels, predictions, (0.5, 0.5))


def test_delongs_variance_is_that_of_all_pairs():
    labels, predictions = binary_data(seed=3)
    positive = labels == 1
    values, influence = auc(labels, predictions)
    kernels = []
    for scores in predictions:
        gaps = scores[positive][:, None] - scores[~positive]
        kernels.append((gaps > 0) + 0.5 * (gaps == 0))
    np.testing.assert_allclose(values, [kernel.mean() for kernel in kernels])
    kernel = kernels[1] - kernels[0]
    m, n = kernel.shape
    expected = kernel.mean(axis=1).var(ddof=1) / m + kernel.mean(axis=0).var(ddof=1) / n
    over_rows = variance_over_rows(influence[1] - influence[0], labels)
    assert over_rows.variance == pytest.approx(expected)
    # Welch and Satterthwaite, over the two classes.
    terms = [
        (kernel.mean(axis=1).var(ddof=1) / m, m - 1),
        (kernel.mean(axis=0).var(ddof=1) / n, n - 1),
    ]
    freedom = expected**2 / sum(term**2 / free for term, free in terms)
    assert over_rows.freedom == pytest.approx(freedom)


def test_an_auc_is_unchanged_by_a_monotone_map_and_by_the_order_of_rows():
    labels, predictions = binary_data()
    first = auc(labels, predictions)
    second = auc(labels, np.log(predictions))
    np.testing.assert_array_equal(first.values, second.values)
    order = np.random.default_rng(0).permutation(len(labels))
    third = auc(labels[order], predictions[:, order])
    np.testing.assert_allclose(third.influence, first.influence[:, order], atol=1e-15)


def share_of_pairs(scores):
    gaps = scores[DELONG_LABELS == 1][:, None] - scores[DELONG_LABELS == 0]
    return np.mean((gaps > 0) + 0.5 * (gaps == 0))


def all_swaps(difference, count):
    """Returns the two-sided p-value over all 2^count swaps, as SciPy counts it."""
    statistics = [difference(np.array(swap)) for swap in itertools.product([0, 1], repeat=count)]
    observed = statistics[0]
    higher = np.mean([value >= observed - 1e-12 for value in statistics])
    lower = np.mean([value <= observed + 1e-12 for value in statistics])
    return min(1.0, 2 * min(higher, lower))


def test_a_permutation_of_rows_is_that_of_all_swaps_of_ranks():
    ranks = scipy.stats.rankdata([DELONG_A, DELONG_B], axis=1)

    def difference(swap):
        first = np.where(swap, ranks[1], ranks[0])
        second = np.where(swap, ranks[0], ranks[1])
        return share_of_pairs(second) - share_of_pairs(first)

    # The scale of a model's scores plays no part.
    problem = cell("auc", DELONG_LABELS, DELONG_A, 100 * DELONG_B - 30)
    measured = Measured(np.zeros(1), np.zeros(1), RowVariance(1.0, 1.0))
    outcome = run_test("permutation", problem, measured, None)
    assert outcome.p == pytest.approx(all_swaps(difference, 10))


def test_a_permutation_of_blocks_swaps_whole_blocks():
    rng = np.random.default_rng(0)
    labels = np.repeat(rng.normal(size=8), 3)
    baseline, contender = labels + rng.normal(0, 1, (2, 24))
    blocks = np.repeat(np.arange(8), 3)

    def difference(swap):
        signs = 1 - 2 * swap[blocks]
        return np.mean(signs * (abs(contender - labels) - abs(baseline - labels)))

    problem = cell("mae", labels, baseline, contender)
    measured = Measured(np.zeros(1), np.zeros(1), RowVariance(1.0, 1.0))
    outcome = run_test("permutation", problem, measured, blocks)
    assert outcome.p == pytest.approx(all_swaps(difference, 8))


def test_a_permutation_of_rows_of_many_rows_agrees_with_the_exact_test():
    labels, predictions = binary_data(n=120, seed=5)
    decided = (predictions > 0.5) == labels
    wins, losses = (decided[1] > decided[0]).sum(), (decided[1] < decided[0]).sum()
    problem = cell("accuracy", labels, *predictions)
    measured = Measured(np.zeros(1), np.zeros(1), RowVariance(1.0, 1.0))
    outcome = run_test("permutation", problem, measured, None)
    expected = scipy.stats.binomtest(int(wins), int(wins + losses)).pvalue
    assert outcome.p == pytest.approx(expected, abs=0.03)

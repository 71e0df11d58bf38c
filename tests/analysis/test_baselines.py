"""Plain models beside a network: scores, missing values, texts, and what is refused."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score, roc_auc_score

from keras_mtl import analysis
from keras_mtl.analysis import Metric, baselines

RNG = np.random.default_rng(0)
X = RNG.normal(size=(500, 3))
CITY = np.array(["Rome", "Oslo", "Lima"], object)[RNG.integers(3, size=500)]
LABELS = {
    "bought": (X[:, 0] * X[:, 1] > 0).astype(float),  # nothing for a linear model
    "age": 2 * X[:, 2] + RNG.normal(0, 0.1, 500),
    "kind": np.digitize(X[:, 0], [-0.5, 0.5]).astype(float),
}


def cut(inputs, labels=LABELS, first=400):
    """Returns the two parts, of arrays and of dicts of arrays."""

    def part(rows):
        return tuple(
            {name: column[rows] for name, column in values.items()}
            if isinstance(values, dict)
            else values[rows]
            for values in (inputs, labels)
        )

    return part(slice(first)), part(slice(first, None))


METRICS = {"bought": "auc", "age": "r2", "kind": ["accuracy", "log_loss"]}


def test_scores_are_those_of_scikit_learn_on_the_predictions():
    table = baselines(*cut(X), METRICS)
    _, (x, labels) = cut(X)
    boosted, linear = table.predictions["boosted"], table.predictions["linear"]
    auc = roc_auc_score(labels["bought"], boosted["bought"])
    assert table.scores["bought", None, "auc"]["boosted"] == pytest.approx(auc)
    assert auc > 0.9 and table.scores["bought", None, "auc"]["linear"] < 0.65
    by_hand = LinearRegression().fit(X[:400], LABELS["age"][:400]).predict(x)
    np.testing.assert_allclose(linear["age"], by_hand, atol=0.01)
    accuracy = np.mean(boosted["kind"].argmax(axis=1) == labels["kind"])
    assert table.scores["kind", None, "accuracy"]["boosted"] == pytest.approx(accuracy)
    assert accuracy > 0.9
    np.testing.assert_allclose(boosted["kind"].sum(axis=1), 1.0)


def test_constants_are_the_best_ones():
    table = baselines(*cut(X), {**METRICS, "age": ["mae", "mse"]}, kinds=["constant"])
    answers = table.predictions["constant"]
    assert set(answers["age"]) == {np.median(LABELS["age"][:400])}
    shares = np.bincount(LABELS["kind"][:400].astype(int)) / 400
    np.testing.assert_allclose(answers["kind"], np.tile(shares, (100, 1)))
    assert table.scores["bought", None, "auc"] == {"constant": 0.5}
    mean = baselines(*cut(X), {**METRICS, "age": "mse"}, kinds=["constant"]).predictions
    assert set(mean["constant"]["age"]) == {np.mean(LABELS["age"][:400])}


def test_texts_are_categories_and_gaps_are_filled():
    labels = {"price": np.where(CITY == "Rome", 3.0, 0.0) + X[:, 1]}
    x = np.where(RNG.random((500, 2)) < 0.2, np.nan, X[:, :2])
    city = CITY.copy()
    city[:30] = None
    city[480:] = "Bonn"  # in test rows alone
    columns = {"city": city, "x": x}
    table = baselines(*cut(columns, labels), {"price": "r2"})
    row = table.scores["price", None, "r2"]
    assert row["constant"] < 0.05 and row["linear"] > 0.6 and row["boosted"] > 0.6
    # The same table as one array of objects, and as bytes.
    array = np.concatenate([city[:, None], x.astype(object)], axis=1)
    same = baselines(*cut(array, labels), {"price": "r2"})
    assert same.scores["price", None, "r2"] == pytest.approx(row, abs=0.02)


def test_columns_come_in_any_order_and_may_be_empty_in_one_part():
    labels = {"price": np.where(CITY == "Rome", 3.0, 0.0) + X[:, 1]}
    nothing = np.where(np.arange(500) < 400, np.nan, X[:, 0])  # no value in training
    train, test = cut({"city": CITY, "a": X[:, 1], "b": X[:, 2], "nothing": nothing}, labels)
    expected = baselines(train, test, {"price": "r2"})
    other = dict(reversed(test[0].items()))
    assert baselines(train, (other, test[1]), {"price": "r2"}).scores == expected.scores
    unknown = {**other, "city": np.full(100, None)}
    row = baselines(train, (unknown, test[1]), {"price": "r2"}).scores["price", None, "r2"]
    assert row["linear"] < expected.scores["price", None, "r2"]["linear"]


def test_boosting_is_that_of_scikit_learn():
    labels = {"age": LABELS["age"]}
    answers = baselines(*cut(X, labels), {"age": "r2"}, kinds=["boosted"], seed=3).predictions
    options = {"max_iter": 500, "n_iter_no_change": 20, "early_stopping": True, "random_state": 3}
    expected = HistGradientBoostingRegressor(**options).fit(X[:400], LABELS["age"][:400])
    np.testing.assert_allclose(answers["boosted"]["age"], expected.predict(X[400:]))
    assert r2_score(LABELS["age"][400:], expected.predict(X[400:])) > 0.9


def test_rows_without_a_label_are_left_out_of_fits_and_scores():
    holes = {name: values.copy() for name, values in LABELS.items()}
    for values in holes.values():
        values[[*range(300, 400), *range(450, 500)]] = np.nan
    table = baselines(*cut(X, holes), METRICS, kinds=["constant", "linear"])
    short = {name: values[:450] for name, values in LABELS.items()}
    rows = [*range(300), *range(400, 450)]
    few = {name: values[rows] for name, values in short.items()}
    expected = baselines(*cut(X[rows], few, first=300), METRICS, kinds=["constant", "linear"])
    assert table.scores == expected.scores


def test_columns_are_answered_one_by_one():
    both = np.stack([LABELS["bought"], X[:, 2] > 0, np.full(500, np.nan)], axis=1)
    both[400:, 2] = 1.0  # without a label to learn from
    table = baselines(*cut(X, {"both": both}), {"both": ["auc", "macro_f1"]}, kinds=["linear"])
    assert table.predictions["linear"]["both"].shape == (100, 3)
    assert table.scores["both", "1", "auc"]["linear"] > 0.95
    assert ("both", None, "macro_f1") in table.scores
    assert "both[1]" in str(table)


def test_a_class_of_the_test_rows_alone_has_no_chance():
    labels = {"kind": np.where(np.arange(500) < 400, LABELS["kind"] % 2, LABELS["kind"])}
    table = baselines(*cut(X, labels), {"kind": "accuracy"})
    for answers in table.predictions.values():
        assert answers["kind"].shape == (100, 3) and not answers["kind"][:, 2].any()


def test_few_labels_and_a_single_class_are_no_error():
    labels = {"rare": np.zeros(500), "never": np.zeros(500)}
    labels["rare"][[3, 7, 450]] = 1.0
    table = baselines(*cut(X, labels), {"rare": "brier", "never": "brier"})
    assert np.isfinite([*table.scores["rare", None, "brier"].values()]).all()
    assert set(table.scores["never", None, "brier"].values()) == {0.0}


def test_predictions_are_compared_with_those_of_a_network():
    train, test = cut(X)
    labels = {"bought": test[1]["bought"]}
    table = baselines((X[:400], {"bought": train[1]["bought"]}), (X[400:], labels), "auc")
    perfect = {"bought": [0.9 * labels["bought"] + 0.05]}
    result = analysis.compare(labels, table.predictions["linear"], perfect, "auc")
    assert result.rows[0].verdict == "helped"


def test_functions_choose_by_the_labels():
    median = Metric("median", lambda y, p: float(np.median(abs(y - p))), mode="min")
    table = baselines(*cut(X), median, kinds=["constant"])
    assert table.predictions["constant"]["bought"].max() < 1
    assert len({*table.predictions["constant"]["age"]}) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, b: ((a[0][:10], a[1]), b), "train has 10 rows of inputs and 400 of labels"),
        (lambda a, b: (a, (b[0][:, :2], b[1])), "columns .*x.2.* of numbers and test"),
        (lambda a, b: (a, (np.full_like(b[0], np.inf), b[1])), "column 'x', hold infinite values"),
        (lambda a, b: (a, ({"x": np.zeros((0, 3))}, b[1])), "the inputs of test have no row"),
        (lambda a, b: (a, (b[0], {"age": b[1]["age"]})), "train has the tasks"),
        (lambda a, b: ((a[0][:, None, None], a[1]), b), r"expected \[n\] or \[n, d\]"),
        (lambda a, b: (({}, a[1]), b), "the inputs of train have no column"),
        (lambda a, b: (({"a": X[:, 0], "b": X[:9, 0]}, a[1]), b), "the same rows in all columns"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    parts = change(*cut(X))
    with pytest.raises(ValueError, match=message):
        baselines(*parts, METRICS)


def test_a_column_of_text_and_numbers_is_refused():
    mixed = {"a": np.array(["x", 3] * 250, object)}
    with pytest.raises(TypeError, match="column 'a', hold text beside 3 of type int"):
        baselines(*cut(mixed), METRICS)


@pytest.mark.parametrize("kinds", ["linear", [], ["forest"]])
def test_unknown_kinds_are_refused(kinds):
    with pytest.raises(ValueError, match="expected a list of some of"):
        baselines(*cut(X), METRICS, kinds=kinds)

"""Relations of labels: golden values, other libraries, and what missing labels may not change."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse.csgraph
import scipy.stats
import sklearn.metrics

from keras_mtl.analysis import label_relations
from keras_mtl.analysis._relations._moments import Moments
from keras_mtl.analysis._relations._ranks import Ranks

NAN = np.nan
LABELS = {
    "A": [1, 2, 3, 4, 5, 6, NAN, 8],
    "C": [NAN, 5, 4, 4, 3, NAN, 1, 0],
    "B": [2, 1, 4, 3, NAN, 6, 7, 8],
}
QUICK = {"min_rows": 3, "resamples": 0}


def cell(relation, first, second, name="values"):
    return getattr(relation, name)[relation.tasks.index(first), relation.tasks.index(second)]


@pytest.mark.parametrize(
    ("pair", "rows", "pearson", "spearman", "covariance"),
    [
        ("AB", 6, 0.941176, 0.885714, 6.4),
        ("AC", 5, -0.982314, -0.974679, -4.35),
        ("BC", 5, -0.976657, -0.974679, -6.1),
    ],
)
def test_golden_values_of_joint_rows(pair, rows, pearson, spearman, covariance):
    relations = label_relations(LABELS, **QUICK)
    assert cell(relations["pearson"], *pair) == pytest.approx(pearson, abs=5e-7)
    assert cell(relations["spearman"], *pair) == pytest.approx(spearman, abs=5e-7)
    assert cell(relations["covariance"], *pair) == pytest.approx(covariance, abs=5e-7)
    assert cell(relations["pearson"], *pair, "counts") == rows


def test_golden_value_of_fishers_interval():
    pearson = label_relations(LABELS, **QUICK)["pearson"]
    # The golden value is that of 1.96 standard errors; SciPy and this package take 1.959964.
    assert cell(pearson, "A", "B", "lower") == pytest.approx(0.548789, abs=2e-5)
    assert cell(pearson, "A", "B", "upper") == pytest.approx(0.993716, abs=2e-5)
    joint = pd.DataFrame(LABELS)[["A", "B"]].dropna().to_numpy().T
    expected = scipy.stats.pearsonr(*joint).confidence_interval()
    assert cell(pearson, "A", "B", "lower") == pytest.approx(expected.low)
    assert cell(pearson, "A", "B", "upper") == pytest.approx(expected.high)


def test_pairwise_complete_rows_may_give_negative_eigenvalues():
    rows = [(1, 1, NAN), (2, 2, NAN), (3, 3, NAN), (1, NAN, 1), (2, NAN, 2), (3, NAN, 3)]
    rows += [(NAN, 1, 3), (NAN, 2, 2), (NAN, 3, 1)]
    frame = pd.DataFrame(rows, columns=["b", "a", "c"])
    values = label_relations(frame, **QUICK)["pearson"].values
    np.testing.assert_allclose(np.linalg.eigvalsh(values), [-1, 2, 2], atol=1e-12)


def binary_labels(table):
    (neither, second), (first, both) = table
    counts = [neither, second, first, both]
    return {
        "first": np.repeat([0, 0, 1, 1], counts),
        "second": np.repeat([0, 1, 0, 1], counts),
    }


@pytest.mark.parametrize(
    ("rates", "least", "greatest"),
    [
        ((0.1, 0.5), -1 / 3, 1 / 3),
        ((0.0621, 0.4335), -0.225, 0.294),
        # Both labels come in more than half of the rows, so they have to meet.
        ((0.8, 0.7), -0.06 / np.sqrt(0.8 * 0.2 * 0.7 * 0.3), 0.14 / np.sqrt(0.8 * 0.2 * 0.7 * 0.3)),
    ],
)
def test_phi_is_bounded_by_the_rates(rates, least, greatest):
    first, second = (np.arange(10_000) < 10_000 * rate for rate in rates)
    for order, bound in ((second, greatest), (second[::-1], least)):
        phi = label_relations({"b": first, "a": order}, **QUICK)["phi"]
        assert phi.least[0, 1] == pytest.approx(least, abs=5e-4)
        assert phi.greatest[0, 1] == pytest.approx(greatest, abs=5e-4)
        # The labels overlap as much, or as little, as they can.
        assert phi.values[0, 1] == pytest.approx(bound, abs=5e-4)
        assert phi.shares[0, 1] == pytest.approx(1)


def test_golden_share_of_the_census():
    # 6.21 % and 43.35 %, with phi -0.178.
    total, income, married = 100_000, 6_210, 43_350
    both = round(total * (0.0621 * 0.4335 - 0.178 * np.sqrt(0.0621 * 0.9379 * 0.4335 * 0.5665)))
    table = [[total - income - married + both, married - both], [income - both, both]]
    phi = label_relations(binary_labels(table), **QUICK)["phi"]
    assert phi.values[0, 1] == pytest.approx(-0.178, abs=5e-4)
    assert phi.shares[0, 1] == pytest.approx(0.79, abs=5e-3)


def expand(table):
    table = np.asarray(table)
    rows, columns = np.indices(table.shape)
    return np.repeat(rows.ravel(), table.ravel()), np.repeat(columns.ravel(), table.ravel())


@pytest.mark.parametrize(
    ("table", "corrected"),
    [
        ([[10, 5, 1], [2, 8, 6], [3, 4, 11]], 0.372690),
        ([[30, 10], [10, 30]], 0.490290),
        ([[6, 4], [4, 6]], 0.0),
    ],
)
def test_golden_values_of_cramers_v(table, corrected):
    first, second = expand(table)
    kinds = {"b": "classes", "a": "classes"}
    # Names of classes, and classes that never come, change nothing.
    for labels in ((first, second), (np.array(list("zyx"))[first], 7 * second - 3)):
        relations = label_relations(dict(zip("ba", labels, strict=True)), kinds=kinds, **QUICK)
        assert relations["cramers_v"].values[0, 1] == pytest.approx(corrected, abs=5e-7)
        statistic = scipy.stats.chi2_contingency(table, correction=False)
        assert relations["cramers_v"].p_values[0, 1] == pytest.approx(statistic.pvalue)


def test_the_corrected_v_of_independent_classes_is_near_0():
    draws = np.random.default_rng(0)
    corrected, plain = [], []
    for _ in range(100):
        labels = {"b": draws.integers(0, 5, 60), "a": draws.integers(0, 4, 60)}
        kinds = dict.fromkeys(labels, "classes")
        relations = label_relations(labels, kinds=kinds, measures=["cramers_v"], resamples=0)
        corrected.append(relations["cramers_v"].values[0, 1])
        table = np.histogram2d(labels["b"], labels["a"], (5, 4))[0].astype(int)
        plain.append(scipy.stats.contingency.association(table))
    assert np.mean(plain) == pytest.approx(0.252, abs=0.02)
    assert np.mean(corrected) == pytest.approx(0.061, abs=0.02)


def information_of(labels, **arguments):
    relations = label_relations(labels, measures=["mutual_information"], resamples=0, **arguments)
    return relations["mutual_information"].values[0, 1]


def test_golden_value_of_a_binary_symmetric_channel():
    labels = binary_labels([[4500, 500], [500, 4500]])
    assert information_of(labels) == pytest.approx(0.368064 - 1 / 20_000, abs=5e-7)


def test_the_information_of_classes_is_the_plug_in_less_its_bias():
    draws = np.random.default_rng(1)
    first, second = draws.integers(0, 10, (2, 200))
    kinds = {"b": "classes", "a": "classes"}
    plug_in = sklearn.metrics.mutual_info_score(first, second)
    result = information_of({"b": first, "a": second}, kinds=kinds)
    assert result == pytest.approx(plug_in - 81 / 400)


@pytest.mark.parametrize(
    ("correlation", "nats"), [(0.3, 0.047155), (0.5, 0.143841), (0.9, 0.830366)]
)
def test_golden_values_of_gaussian_information(correlation, nats):
    assert np.sqrt(1 - np.exp(-2 * nats)) == pytest.approx(correlation, abs=1e-5)
    first, noise = np.random.default_rng(2).normal(size=(2, 5000))
    second = correlation * first + np.sqrt(1 - correlation**2) * noise
    assert information_of({"b": first, "a": second}) == pytest.approx(nats, abs=0.04)


@pytest.mark.parametrize(("mean", "nats"), [(0.5, 0.111421), (1, 0.336831), (2, 0.632720)])
def test_golden_values_of_a_coin_and_a_number(mean, nats):
    draws = np.random.default_rng(3)
    coin = draws.integers(0, 2, 4000)
    number = mean * (2 * coin - 1) + draws.normal(size=4000)
    for labels in ({"b": coin, "a": number}, {"b": number, "a": coin}):
        assert information_of(labels) == pytest.approx(nats, abs=0.04)


def test_a_square_has_no_correlation_but_information():
    number = np.random.default_rng(4).normal(size=1000)
    relations = label_relations({"b": number, "a": number**2}, resamples=0)
    assert abs(relations["pearson"].values[0, 1]) < 0.15
    assert relations["mutual_information"].values[0, 1] > 3


def draw_labels(num_tasks, num_rows, seed, missing=0.2):
    draws = np.random.default_rng(seed)
    common = draws.normal(size=(num_rows, 1))
    values = common * draws.normal(size=num_tasks) + draws.normal(size=(num_rows, num_tasks))
    values[draws.uniform(size=values.shape) < missing] = NAN
    return pd.DataFrame(values, columns=[f"t{index}" for index in reversed(range(num_tasks))])


def test_correlations_and_p_values_are_those_of_scipy_on_the_joint_rows():
    frame = draw_labels(4, 60, seed=5).round(1)  # rounded, so that there are ties
    relations = label_relations(frame, resamples=0)
    p_values = {"pearson": [], "spearman": []}
    for i in range(4):
        for j in range(i + 1, 4):
            joint = frame.iloc[:, [i, j]].dropna().to_numpy().T
            for name, function in (
                ("pearson", scipy.stats.pearsonr),
                ("spearman", scipy.stats.spearmanr),
            ):
                expected = function(*joint)
                assert relations[name].values[i, j] == pytest.approx(expected.statistic)
                p_values[name].append(expected.pvalue)
            assert relations["covariance"].values[i, j] == pytest.approx(np.cov(joint)[0, 1])
            assert relations["pearson"].counts[i, j] == joint.shape[1]
    for name, values in p_values.items():
        corrected = scipy.stats.false_discovery_control(values)
        np.testing.assert_allclose(relations[name].p_values[np.triu_indices(4, 1)], corrected)


@pytest.mark.parametrize("scale", [1e-200, 1e-9, 1e9, 1e150])
def test_units_and_offsets_change_no_correlation(scale):
    frame = draw_labels(3, 50, seed=6)
    expected = label_relations(frame, **QUICK)
    scaled = label_relations(frame * scale, **QUICK)
    shifted = label_relations(frame + 1e6, **QUICK)
    for name in ("pearson", "spearman"):
        np.testing.assert_allclose(scaled[name].values, expected[name].values, rtol=1e-9)
        np.testing.assert_allclose(shifted[name].values, expected[name].values, rtol=1e-6)


def mixed_labels(num_rows=120, seed=7):
    draws = np.random.default_rng(seed)
    number = draws.normal(size=num_rows)
    return {
        "price": np.where(draws.uniform(size=num_rows) < 0.2, NAN, number),
        "buy": (number + draws.normal(size=num_rows) > 0).astype(float),
        "topic": np.array(["red", "green", "blue"])[(number > -0.5) * 1 + (number > 0.5)],
        "click": np.where(draws.uniform(size=num_rows) < 0.3, NAN, number > draws.normal()),
    }


def test_permuting_the_tasks_permutes_every_relation():
    labels = mixed_labels()
    order = [2, 0, 3, 1]
    tasks = [list(labels)[index] for index in order]
    before = label_relations(labels, resamples=50)
    after = label_relations({task: labels[task] for task in tasks}, resamples=50)
    for name, relation in before.relations.items():
        for field in ("values", "lower", "upper", "p_values", "counts", "least"):
            np.testing.assert_allclose(
                getattr(after[name], field), getattr(relation, field)[np.ix_(order, order)],
                rtol=1e-9, err_msg=f"{name} {field}",
            )  # fmt: skip


def test_shuffled_rows_change_no_relation():
    frame = pd.DataFrame(mixed_labels())
    before = label_relations(frame, resamples=0)
    after = label_relations(frame.sample(frac=1, random_state=0), resamples=0)
    for name, relation in before.relations.items():
        exact = name != "mutual_information"  # whose noise goes by rows
        np.testing.assert_allclose(
            after[name].values, relation.values, rtol=1e-9 if exact else 0.01, atol=1e-9
        )
    assert after.patterns == before.patterns


def test_relations_are_symmetric_with_1_on_the_diagonal():
    relations = label_relations(mixed_labels(), resamples=20)
    for name, relation in relations.relations.items():
        np.testing.assert_array_equal(relation.values, relation.values.T)
        diagonal = np.diagonal(relation.values)
        if name not in ("covariance", "mutual_information"):
            assert set(diagonal[~np.isnan(diagonal)]) == {1}
    assert np.isnan(relations["pearson"].values[2, 2])
    assert relations["pearson"].reasons[0, 2] == "classes have no order"
    assert relations["cramers_v"].reasons[0, 2] == "numbers are no classes"
    assert relations["phi"].reasons[0, 1] == "only binary labels have phi"


def test_intervals_agree_with_those_of_scipy():
    frame = draw_labels(2, 150, seed=8, missing=0)
    relations = label_relations(frame, measures=["pearson", "spearman"])
    columns = tuple(frame.to_numpy().T)
    for name, function in (("pearson", scipy.stats.pearsonr), ("spearman", scipy.stats.spearmanr)):
        reference = scipy.stats.bootstrap(
            columns,
            lambda x, y, function=function: function(x, y).statistic,
            paired=True,
            vectorized=False,
            n_resamples=1000,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        assert cell(relations[name], "t1", "t0", "lower") == pytest.approx(reference.low, abs=0.03)
        assert cell(relations[name], "t1", "t0", "upper") == pytest.approx(reference.high, abs=0.03)


def test_ranks_that_would_take_minutes_have_intervals_by_fisher():
    frame = draw_labels(6, 9000, seed=14)
    fast = label_relations(frame, measures=["spearman"], resamples=2)["spearman"]
    plain = label_relations(frame, measures=["spearman"], resamples=0)["spearman"]
    np.testing.assert_array_equal(fast.lower, plain.lower)
    assert not np.isnan(fast.lower[0, 1])
    few = frame.iloc[:500]
    resampled = label_relations(few, measures=["spearman"], resamples=200)["spearman"]
    plain = label_relations(few, measures=["spearman"], resamples=0)["spearman"]
    for side in ("lower", "upper"):
        ends = getattr(resampled, side)[0, 1], getattr(plain, side)[0, 1]
        assert ends[0] != ends[1]
        assert ends[0] == pytest.approx(ends[1], abs=0.05)


def test_rows_that_come_several_times_count_as_often():
    labels = draw_labels(4, 30, seed=15).round(1).to_numpy()
    counts = np.random.default_rng(16).integers(0, 4, 30)
    repeated = np.repeat(labels, counts, axis=0)
    weighted = Moments.of(labels).compare(counts.astype(float))
    expected = Moments.of(repeated).compare()
    for result, reference in zip(weighted, expected, strict=True):
        np.testing.assert_allclose(result, reference, rtol=1e-9)
    np.testing.assert_allclose(
        Ranks.of(labels).compare(counts.astype(float)), Ranks.of(repeated).compare(), rtol=1e-9
    )


def test_the_intervals_of_classes_are_those_of_resampled_rows():
    labels = {key: mixed_labels(300)[key] for key in ("topic", "click")}
    relation = label_relations(labels, measures=["cramers_v"])["cramers_v"]
    # Each row as a block of its own takes the other road: counts of blocks, row by row.
    rows = label_relations(labels, measures=["cramers_v"], blocks=np.arange(300))["cramers_v"]
    assert relation.lower[0, 1] == pytest.approx(rows.lower[0, 1], abs=0.02)
    assert relation.upper[0, 1] == pytest.approx(rows.upper[0, 1], abs=0.02)


def test_blocks_of_equal_rows_widen_the_intervals():
    frame = pd.DataFrame(mixed_labels(60))
    copies = pd.concat([frame] * 5, ignore_index=True)
    alone = label_relations(frame, resamples=400)
    in_blocks = label_relations(copies, resamples=400, blocks=np.tile(np.arange(60), 5))
    ignored = label_relations(copies, resamples=400)
    for name in ("pearson", "spearman", "cramers_v"):
        pair = (0, 1) if name != "cramers_v" else (1, 2)
        widths = [
            (relations[name].upper - relations[name].lower)[pair]
            for relations in (alone, in_blocks, ignored)
        ]
        assert widths[1] == pytest.approx(widths[0], rel=0.2)
        assert widths[2] < 0.7 * widths[1]
    assert alone["pearson"].p_values[0, 1] < 0.05
    assert ignored["pearson"].p_values[0, 1] < in_blocks["pearson"].p_values[0, 1]
    assert np.isnan(in_blocks["cramers_v"].p_values).all()


def test_rows_dropped_at_random_keep_values_inside_of_wider_intervals():
    frame = draw_labels(3, 2000, seed=9, missing=0)
    dropped = frame.mask(np.random.default_rng(0).uniform(size=frame.shape) < 0.5)
    whole = label_relations(frame, measures=["pearson"], resamples=200)["pearson"]
    partial = label_relations(dropped, measures=["pearson"], resamples=200)["pearson"]
    pairs = np.triu_indices(3, 1)
    assert ((partial.upper - partial.lower)[pairs] > (whole.upper - whole.lower)[pairs]).all()
    slack = (partial.upper - partial.lower)[pairs]
    assert (np.abs(partial.values - whole.values)[pairs] < slack).all()


@pytest.mark.parametrize("missing", ["mean", "zero"])
def test_missing_labels_are_not_filled(missing):
    frame = draw_labels(2, 8000, seed=10, missing=0)
    sparse = frame.mask(np.random.default_rng(1).uniform(size=frame.shape) < 0.6)
    filled = sparse.fillna(sparse.mean() if missing == "mean" else 0)
    expected = label_relations(frame, **QUICK)["pearson"].values[0, 1]
    result = label_relations(sparse, **QUICK)["pearson"].values[0, 1]
    assert abs(result - expected) < 0.1
    assert abs(label_relations(filled, **QUICK)["pearson"].values[0, 1]) < 0.6 * abs(expected)


def test_tasks_with_columns_take_the_mean_of_absolute_values_and_name_the_strongest():
    frame = draw_labels(4, 80, seed=11, missing=0.1)
    several = frame[["t3", "t2"]].rename(columns={"t3": "left", "t2": "right"})
    labels = {"pair": several, "one": frame["t1"], "array": frame[["t0", "t1"]].to_numpy()}
    relations = label_relations(labels, measures=["pearson", "covariance"], resamples=30)
    pearson = relations["pearson"]
    columns = frame.corr()
    expected = columns.loc[["t3", "t2"], "t1"].abs()
    assert cell(pearson, "pair", "one") == pytest.approx(expected.mean())
    strongest = {"t3": "left", "t2": "right"}[expected.idxmax()]
    value, first, second = pearson.strongest["pair", "one"]
    assert (first, second) == (strongest, "0")
    assert abs(value) == pytest.approx(expected.max())
    block = columns.loc[["t3", "t2"], ["t0", "t1"]].abs().to_numpy()
    assert cell(pearson, "pair", "array") == pytest.approx(block.mean())
    assert cell(pearson, "one", "array", "lower") < cell(pearson, "one", "array")
    assert np.diagonal(pearson.values).tolist() == [1, 1, 1]
    assert relations.patterns[0].labeled == ("pair", "one", "array")


def test_patterns_count_the_rows_that_miss_the_same_labels():
    relations = label_relations(LABELS, **QUICK)
    patterns = {pattern.labeled: pattern.rows for pattern in relations.patterns}
    assert patterns == {("A", "C", "B"): 4, ("A", "B"): 2, ("A", "C"): 1, ("C", "B"): 1}
    assert relations.patterns[0].share == 0.5
    assert sum(pattern.rows for pattern in relations.patterns) == 8


def test_too_few_joint_rows_and_constant_labels_are_missing_not_0():
    labels = {"b": [1.0] * 12 + [2], "a": range(13), "c": [NAN] * 12 + [3], "d": [4] * 13}
    relations = label_relations(labels, resamples=10)
    pearson = relations["pearson"]
    assert cell(pearson, "a", "c", "reasons") == "1 joint rows, fewer than 10"
    assert cell(pearson, "a", "d", "reasons").startswith("a label is constant")
    for other in "abcd":
        for relation in relations.relations.values():
            assert np.isnan(cell(relation, "d", other))
    assert not np.isnan(cell(pearson, "a", "b"))
    one = label_relations({"b": [1], "a": [2]})
    assert np.isnan(one["pearson"].values).all()
    nothing = label_relations({"b": [NAN] * 20, "a": [None] * 20})
    assert np.isnan(nothing["pearson"].values).all()


def test_labels_as_users_bring_them_mean_the_same():
    numbers = [1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1]
    other = [1.5, 0.2, 1.0, 0.9, 0.1, 0.4, 2.0, None, 0.8, 1.1, 0.3, 0.2]
    expected = label_relations({"b": numbers, "a": other}, **QUICK)["pearson"].values[0, 1]
    forms = [
        {"b": np.array(numbers, bool), "a": np.array(other, float)},
        {"b": pd.Series(numbers, dtype="Int64"), "a": pd.Series(other)},
        {"b": np.array(numbers)[:, None], "a": np.ma.masked_invalid(np.array(other, float))},
        pd.DataFrame({"b": numbers, "a": other}),
    ]
    for labels in forms:
        relations = label_relations(labels, **QUICK)
        assert relations.kinds == {"b": "binary", "a": "numeric"}
        assert relations["pearson"].values[0, 1] == pytest.approx(expected)
    texts = {"b": pd.Series(list("yxyyxxyxyyxy"), dtype="category"), "a": other}
    assert label_relations(texts, **QUICK).kinds["b"] == "classes"
    with_gaps = {"b": ["y", None, "y", "x"], "a": [1, 2, 3, 4]}
    assert label_relations(with_gaps, **QUICK)["cramers_v"].counts[0, 1] == 3


@pytest.mark.parametrize("num_tasks", [1, 2, 60, 600])
def test_any_number_of_tasks_works(num_tasks):
    frame = draw_labels(num_tasks, 40, seed=12, missing=0)
    relations = label_relations(frame)
    assert relations["pearson"].values.shape == (num_tasks, num_tasks)
    assert ("mutual_information" in relations.relations) == (num_tasks <= 50)
    assert len(str(relations).splitlines()) < 80
    groups = relations["pearson"].groups(0.9)
    assert sorted(task for group in groups for task in group) == sorted(frame)


def simulate_coverage(num_studies, resamples):
    covered = {"pearson": 0, "spearman": 0}
    draws = np.random.default_rng(13)
    true = {"pearson": 0.5, "spearman": 6 / np.pi * np.arcsin(0.25)}
    for study in range(num_studies):
        first, noise = draws.normal(size=(2, 100))
        second = 0.5 * first + np.sqrt(0.75) * noise
        second[:20] = NAN
        relations = label_relations(
            {"b": first, "a": second}, measures=list(covered), resamples=resamples, seed=study
        )
        for name, value in true.items():
            covered[name] += relations[name].lower[0, 1] < value < relations[name].upper[0, 1]
    return {name: count / num_studies for name, count in covered.items()}


def test_intervals_cover_the_truth():
    for share in simulate_coverage(150, resamples=0).values():
        assert 0.88 <= share <= 1


@pytest.mark.slow
def test_intervals_cover_the_truth_95_times_of_100():
    for share in simulate_coverage(2000, resamples=0).values():
        assert 0.93 <= share <= 0.97
    for share in simulate_coverage(300, resamples=500).values():
        assert 0.905 <= share <= 0.985


def simulate_alarms(num_studies, **arguments):
    alarms = 0
    for study in range(num_studies):
        draws = np.random.default_rng(study)
        frame = pd.DataFrame(draws.normal(size=(60, 4)), columns=list("dbca"))
        relation = label_relations(frame, measures=["pearson"], seed=study, **arguments)["pearson"]
        alarms += np.nanmin(relation.p_values) < 0.05
    return alarms / num_studies


def test_unrelated_labels_are_rarely_called_related():
    assert simulate_alarms(100, resamples=0) <= 0.11


@pytest.mark.slow
def test_unrelated_labels_are_called_related_5_times_of_100():
    assert simulate_alarms(2000, resamples=0) <= 0.06
    assert simulate_alarms(300, resamples=200, blocks=np.arange(60)) <= 0.09


@pytest.mark.parametrize(
    ("labels", "arguments", "error", "message"),
    [
        ([1, 2], {}, TypeError, "labels is of type list; expected a dict of labels by task"),
        ({}, {}, ValueError, "labels is empty"),
        ({"b": [], "a": []}, {}, ValueError, "labels has no rows"),
        ({"b": [1, 2], "a": [1]}, {}, ValueError, "task 'a' has 1 rows and task 'b' 2"),
        ({"b": [1, np.inf]}, {}, ValueError, "task 'b' has an infinite label in row 1"),
        ({"b": np.zeros((2, 2, 2))}, {}, ValueError, r"task 'b' has labels of shape \(2, 2, 2\)"),
        ({"b": [1j]}, {}, TypeError, "task 'b' has dtype complex128"),
        ({"b": pd.to_datetime(["2020-01-01"])}, {}, TypeError, "task 'b' has dtype datetime64"),
        ({"b": ["x"]}, {"kinds": {"b": "numeric"}}, TypeError, "task 'b' has text as labels"),
        ({"b": [1, 2, 3]}, {"kinds": {"b": "binary"}}, ValueError, "at most two different"),
        ({"b": [1]}, {"kinds": {"c": "binary"}}, ValueError, "kinds names the task 'c'"),
        ({"b": [1]}, {"kinds": {"b": "ordinal"}}, ValueError, r"kinds\['b'\] is 'ordinal'"),
        ({"b": [1, 2]}, {"blocks": [1]}, ValueError, r"blocks has shape \(1,\); expected \(2,\)"),
        ({"b": [1]}, {"measures": ["r"]}, ValueError, r"measures is \['r'\]; expected a list"),
        ({"b": [1]}, {"measures": "phi"}, ValueError, "measures is 'phi'; expected a list"),
        ({"b": [1]}, {"resamples": -1}, ValueError, "resamples is -1"),
        (
            {str(task): [1] for task in range(600)},
            {"resamples": 1000},
            ValueError,
            "1000 resamples of 600 tasks do not fit into memory; expected at most 555",
        ),
    ],
)
def test_what_are_no_labels_is_refused(labels, arguments, error, message):
    with pytest.raises(error, match=message):
        label_relations(labels, **arguments)


def test_a_measure_that_was_not_computed_is_refused():
    relations = label_relations(LABELS, measures=["pearson"], **QUICK)
    with pytest.raises(KeyError, match="'phi' was not computed"):
        relations["phi"]


def chain():
    """Returns relations 0.9, 0.8 and 0.7 along a chain, and 0.1 otherwise."""
    values = np.full((4, 4), 0.1)
    np.fill_diagonal(values, 1)
    for index, value in enumerate((0.9, -0.8, 0.7)):
        values[index, index + 1] = values[index + 1, index] = value
    return values


def relation_of(values):
    import dataclasses

    tasks = tuple("dbca"[: len(values)])
    base = label_relations({task: [1, 2] for task in tasks}, measures=["pearson"], resamples=0)
    return dataclasses.replace(base["pearson"], values=values)


def test_groups_are_connected_components():
    relation = relation_of(chain())
    assert relation.groups(0.95) == (("d",), ("b",), ("c",), ("a",))
    assert relation.groups(0.9) == (("d", "b"), ("c",), ("a",))
    assert relation.groups(0.75) == (("d", "b", "c"), ("a",))
    assert relation.groups(0.7) == (("d", "b", "c", "a"),)
    assert relation.groups(0.7, linkage="average") == (("d", "b"), ("c", "a"))


def test_relations_of_one_strength_merge_in_one_step():
    values = np.where(np.eye(4), 1, 0.3)
    values[0, 1] = values[1, 0] = 0.1 + 0.2  # differs from 0.3 by rounding
    groupings = relation_of(values).groupings()
    assert [len(groups) for _, groups in groupings] == [4, 1]
    assert groupings[1][0] == pytest.approx(0.3)


@pytest.mark.parametrize("seed", range(5))
def test_groups_of_any_threshold_are_those_of_a_graph(seed):
    draws = np.random.default_rng(seed)
    values = draws.uniform(-1, 1, (4, 4)).round(1)
    values = np.triu(values, 1) + np.triu(values, 1).T + np.eye(4)
    values[0, 1] = values[1, 0] = NAN
    relation = relation_of(values)
    for threshold in np.arange(1, 11) / 10:
        edges = np.nan_to_num(np.abs(values)) >= threshold - 1e-12
        _, parts = scipy.sparse.csgraph.connected_components(edges)
        expected = {
            frozenset(np.array(relation.tasks)[parts == part].tolist()) for part in set(parts)
        }
        assert set(map(frozenset, relation.groups(threshold))) == expected
    groupings = relation.groupings()
    assert len(groupings) <= 4
    thresholds = [threshold for threshold, _ in groupings]
    assert thresholds == sorted(thresholds, reverse=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": 0}, "threshold is 0; expected a number above 0"),
        ({"threshold": NAN}, "threshold is nan"),
        ({"threshold": 0.5, "linkage": "ward"}, "linkage is 'ward'; expected one of"),
    ],
)
def test_thresholds_that_make_no_groups_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        relation_of(chain()).groups(**arguments)


def test_covariances_make_no_groups():
    covariance = label_relations(LABELS, **QUICK)["covariance"]
    with pytest.raises(ValueError, match="take 'pearson'"):
        covariance.groupings()

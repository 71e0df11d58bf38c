"""Intervals, corrections and the rule of verdicts: golden values and SciPy's numbers."""

import numpy as np
import pytest
import scipy.stats

from keras_mtl.analysis import compare_scores, correct_jointly
from keras_mtl.analysis._verdicts._corrections import correct, holm
from keras_mtl.analysis._verdicts._intervals import RowVariance, combine, variance_over_rows
from keras_mtl.analysis._verdicts._rule import decide_verdict

DIFFERENCES = np.array([0.004, 0.006, 0.002, 0.005, 0.003])
P_VALUES = np.array([0.001, 0.012, 0.03, 0.04, 0.2])


def test_seeds_and_rows_together_have_the_golden_interval():
    interval = combine(DIFFERENCES, RowVariance(0.0015**2, np.inf))
    assert DIFFERENCES.var(ddof=1) / 5 == pytest.approx(5e-7)
    assert interval.mean == pytest.approx(0.004)
    assert interval.error == pytest.approx(0.001658, abs=5e-7)
    ends = interval.mean - interval.half_width, interval.mean + interval.half_width
    np.testing.assert_allclose(ends, [0.000717, 0.007283], atol=5e-7)


def test_seeds_alone_have_the_golden_interval_which_is_scipys():
    interval = combine(DIFFERENCES, None)
    ends = interval.mean - interval.half_width, interval.mean + interval.half_width
    np.testing.assert_allclose(ends, [0.002037, 0.005963], atol=5e-7)
    assert interval.p_beyond(0.0) == pytest.approx(0.00481, abs=5e-6)
    test = scipy.stats.ttest_1samp(DIFFERENCES, 0.0)
    assert interval.p_beyond(0.0) == pytest.approx(test.pvalue)
    np.testing.assert_allclose(ends, test.confidence_interval())


def test_rows_alone_are_the_interval_of_one_seed():
    interval = combine(DIFFERENCES[:1], RowVariance(4e-6, 50.0))
    assert (interval.error, interval.freedom) == (pytest.approx(0.002), pytest.approx(50.0))


@pytest.mark.parametrize(("num_seeds", "factor"), [(2, 8), (3, 2), (4, 1), (5, 1)])
def test_few_seeds_count_more_in_the_degrees_of_freedom(num_seeds, factor):
    differences = DIFFERENCES[:num_seeds]
    seeds, rows = differences.var(ddof=1) / num_seeds, 3e-6
    interval = combine(differences, RowVariance(rows, 80.0))
    divisor = factor * seeds**2 / (num_seeds - 1) + rows**2 / 80
    assert interval.freedom == pytest.approx((seeds + rows) ** 2 / divisor)
    # Never fewer than those of the seeds alone.
    assert combine(differences, RowVariance(1e-12, 80.0)).freedom >= num_seeds - 1
    assert combine(differences, None).freedom == pytest.approx(num_seeds - 1)


def test_nothing_that_varies_is_no_test_unless_nothing_differs():
    same = combine(np.zeros(3), RowVariance(0.0, 9.0))
    assert (same.half_width, same.p_beyond(0.0)) == (0.0, 1.0)
    constant = combine(np.array([8.2 - 7.6, 8.3 - 7.7, 8.1 - 7.5]), None)  # .6 up to the last bits
    assert np.isnan(constant.error) and np.isnan(constant.p_beyond(0.0))


def test_blocks_of_equal_rows_count_once():
    rng = np.random.default_rng(0)
    influence = rng.normal(size=40)
    influence -= influence.mean()
    blocks = np.repeat(np.arange(40), 5)
    repeated = variance_over_rows(np.repeat(influence, 5) / 5, None, blocks)
    once = variance_over_rows(influence)
    assert repeated.variance == pytest.approx(once.variance)
    assert repeated.freedom == pytest.approx(once.freedom) == pytest.approx(39.0)
    assert once.variance == pytest.approx(40 / 39 * (influence**2).sum())


def test_a_class_of_one_row_does_not_break_the_variance():
    over_rows = variance_over_rows(np.array([0.1, -0.1, 0.0]), np.array([0, 0, 1]))
    assert over_rows.variance == pytest.approx(0.04)
    assert over_rows.freedom == pytest.approx(1.0)


def test_holm_and_benjamini_hochberg_have_the_golden_values():
    np.testing.assert_allclose(holm(P_VALUES), [0.005, 0.048, 0.09, 0.09, 0.2])
    expected = [0.005, 0.03, 0.05, 0.05, 0.2]
    np.testing.assert_allclose(scipy.stats.false_discovery_control(P_VALUES), expected)
    order = [3, 0, 4, 1, 2]
    np.testing.assert_allclose(holm(P_VALUES[order]), holm(P_VALUES)[order])
    assert holm(np.array([])).size == 0


@pytest.mark.parametrize(("count", "name"), [(20, "Holm"), (21, "Benjamini-Hochberg")])
def test_above_twenty_tests_the_false_discovery_rate_is_controlled(count, name):
    p_values = np.append(np.linspace(0.001, 0.9, count), np.nan)
    corrected, correction = correct(p_values)
    assert correction == name and np.isnan(corrected[-1])
    expected = (
        holm(p_values[:-1])
        if name == "Holm"
        else scipy.stats.false_discovery_control(p_values[:-1])
    )
    np.testing.assert_allclose(corrected[:-1], expected)


@pytest.mark.parametrize(
    ("lower", "upper", "p", "margin", "verdict"),
    [
        (0.01, 0.03, 0.01, 0.0, "helped"),
        (-0.03, -0.01, 0.01, 0.0, "hurt"),
        (-0.01, 0.03, 0.3, 0.0, "undecided"),
        (0.01, 0.03, 0.06, 0.0, "undecided"),  # not after the correction
        (0.01, 0.03, 0.01, 0.02, "undecided"),
        (0.021, 0.03, 0.01, 0.02, "helped"),
        (-0.03, -0.021, 0.01, 0.02, "hurt"),
        (-0.01, 0.02, 1.0, 0.02, "no difference"),
        (0.005, 0.01, 1.0, 0.02, "no difference"),  # surely above 0, and surely small
        (-0.03, 0.03, 1.0, 0.02, "undecided"),
        (0.0, 0.0, 1.0, 0.0, "undecided"),
        (0.0, 0.0, 1.0, 1e-9, "no difference"),
        (np.nan, np.nan, np.nan, 0.1, "undecided"),
    ],
)
def test_the_rule(lower, upper, p, margin, verdict):
    assert decide_verdict(lower, upper, p, margin) == verdict


def test_a_p_value_beyond_the_margin_meets_the_end_of_the_interval():
    interval = combine(DIFFERENCES, RowVariance(1e-6, 200.0))
    lower = interval.mean - interval.half_width
    assert interval.p_beyond(lower) == pytest.approx(0.05)
    assert interval.p_beyond(1.0) == 1.0


def test_scores_of_seeds_have_the_golden_interval_with_and_without_rows():
    base = np.full(5, 0.9)
    kwargs = {"directions": "max"}
    alone = compare_scores({"a": base}, {"a": base + DIFFERENCES}, **kwargs).rows[0]
    np.testing.assert_allclose([alone.lower, alone.upper], [0.002037, 0.005963], atol=5e-7)
    assert alone.note == "rows not resampled: for this test set alone"
    assert alone.method == "t over seeds alone" and alone.verdict == "helped"
    both = compare_scores(
        {"a": base}, {"a": base + DIFFERENCES}, row_errors={"a": 0.0015}, **kwargs
    )
    row = both.rows[0]
    np.testing.assert_allclose([row.lower, row.upper], [0.000717, 0.007283], atol=5e-7)
    assert row.note == "" and row.method == "t over seeds and rows"
    # One task: the mean gain is its gain.
    np.testing.assert_allclose([both.gain, both.gain_lower], [row.gain, row.gain_lower])
    assert "not resampled" not in row.sentence and "not resampled" in alone.sentence


def test_scores_agree_with_a_paired_t_test_and_swapping_negates_them():
    rng = np.random.default_rng(0)
    first, second = rng.normal(5, 1, (2, 7))
    row = compare_scores({"age": {"mae": first}}, {"age": {"mae": second}}).rows[0]
    test = scipy.stats.ttest_rel(second, first)
    assert row.p == pytest.approx(test.pvalue)
    np.testing.assert_allclose([row.lower, row.upper], test.confidence_interval())
    swapped = compare_scores({"age": {"mae": second}}, {"age": {"mae": first}}).rows[0]
    assert (swapped.difference, swapped.lower, swapped.upper) == (
        -row.difference,
        -row.upper,
        -row.lower,
    )


def test_the_mean_gain_of_scores_knows_that_tasks_share_seeds():
    rng = np.random.default_rng(1)
    base = rng.uniform(1, 2, (3, 6))
    new = base + rng.normal(0, 0.1, 6)  # one change per seed, shared by the tasks
    names = ["zebra", "ant", "mule"]
    before, after = (dict(zip(names, values, strict=True)) for values in (base, new))
    result = compare_scores(before, after, directions="max")
    by_seed = np.mean([(new[k] - base[k]) / base[k].mean() for k in range(3)], axis=0)
    test = scipy.stats.ttest_1samp(by_seed, 0.0)
    assert result.gain == pytest.approx(by_seed.mean())
    np.testing.assert_allclose([result.gain_lower, result.gain_upper], test.confidence_interval())


@pytest.mark.parametrize(
    ("base", "new", "options", "error"),
    [
        ({"a": [1, 2]}, {"a": [1, 2]}, {}, "2 seeds; expected at least 3, since an interval over"),
        ({"a": [1, 2, 3]}, {"a": [1, 2]}, {}, r"scores have \[2, 3\] seeds"),
        ({"a": [1, 2, 3]}, {"b": [1, 2, 3]}, {}, "contender and baseline differ in"),
        ({"a": 1}, {"a": 1}, {}, r"has shape \(\); expected one number per seed"),
        ({"a": [1, 2, 3]}, {"a": [1, 2, 3]}, {"margin": -0.1}, "margin is -0.1; expected gains of"),
        ({"a": [1, 2, 3]}, {"a": [1, 2, 3]}, {"row_errors": {"a": -1}}, "row_errors is"),
        ({"a": [1, 2, 3]}, {"a": [1, 2, 3]}, {"margin": {"b": 0}}, r"margin has the names \['b'\]"),
    ],
)
def test_bad_scores_are_refused(base, new, options, error):
    with pytest.raises(ValueError, match=error):
        compare_scores(base, new, directions="max", **options)


def test_contenders_in_one_table_are_corrected_together():
    base = np.full(5, 0.9)
    results = {
        name: compare_scores({"a": base}, {"a": base + scale * DIFFERENCES}, directions="max")
        for name, scale in [("MMoE", 1.0), ("PLE", 1.1), ("CGC", 1.2)]
    }
    # The three differ in scale alone, so all have p = .00481.
    assert all(result.rows[0].verdict == "helped" for result in results.values())
    together = correct_jointly(results)
    assert [*together] == [*results]
    for name, result in together.items():
        assert result.rows[0].corrected_p == pytest.approx(3 * 0.00481, abs=2e-5)
        assert result.rows[0].p == results[name].rows[0].p
    many = correct_jointly({str(i): results["MMoE"] for i in range(12)})
    assert many["0"].rows[0].verdict == "undecided"  # 12 x .00481 = .058
    with pytest.raises(ValueError, match="comparisons is empty"):
        correct_jointly({})

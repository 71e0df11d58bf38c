"""Verdicts from predictions: the laws that they obey, and the tests of SciPy."""

import csv
import io
import json
import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from keras_mtl.analysis import Metric, compare

NAMES = ["zebra", "ant", "mule"]


def problem(num_rows=200, num_seeds=4, seed=0, noises=(0.8, 0.7), missing=0.0):
    """Returns labels and the predictions of two models; zebra is yes or no, the others numbers."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(num_rows, 3))
    labels = {"zebra": (truth[:, 0] > 0.5).astype(float), "ant": truth[:, 1], "mule": truth[:, 2]}
    rows = rng.normal(0, 0.5, truth.shape)  # noise of a row, which all models share
    models = []
    for noise in noises:
        noisy = truth + rows + rng.normal(0, noise, (num_seeds, *truth.shape))
        models.append({name: noisy[:, :, k] for k, name in enumerate(NAMES)})
    for values in labels.values():
        values[rng.random(num_rows) < missing] = np.nan
    return labels, *models


METRICS = {"zebra": "auc", "ant": "mae", "mule": ["rmse", "r2"]}


def numbers(row):
    return [row.difference, row.lower, row.upper, row.p]


def test_swapping_the_models_negates_differences_and_verdicts():
    labels, weak, strong = problem(noises=(1.0, 0.5), num_rows=600)
    first, second = compare(labels, weak, strong, METRICS), compare(labels, strong, weak, METRICS)
    opposite = {"helped": "hurt", "undecided": "undecided"}
    for row, swapped in zip(first.rows, second.rows, strict=True):
        assert numbers(swapped) == [-row.difference, -row.upper, -row.lower, row.p]
        assert swapped.verdict == opposite[row.verdict]
        assert row.gain > 0 > swapped.gain
    assert first.count("helped") == second.count("hurt") == 4
    assert (first.verdict, second.verdict) == ("helped", "hurt")


def test_a_contender_against_itself_is_undecided_at_zero_and_no_difference_for_any_margin():
    labels, model, _ = problem()
    for margin, verdict in [(0.0, "undecided"), (1e-12, "no difference"), (0.1, "no difference")]:
        result = compare(labels, model, model, METRICS, margin=margin)
        for row in result.rows:
            assert numbers(row) == [0.0, 0.0, 0.0, 1.0]
            assert row.verdict == verdict
        assert (result.gain, result.verdict) == (0.0, verdict)
        assert "-0" not in str(result)


def test_permuting_tasks_rows_and_seeds_changes_no_number():
    labels, first, second = problem(missing=0.2)
    result = compare(labels, first, second, METRICS)
    rows, seeds = np.random.default_rng(0).permutation(200), [2, 0, 3, 1]
    names = ["mule", "zebra", "ant"]
    permuted = compare(
        {name: labels[name][rows] for name in names},
        {name: first[name][seeds][:, rows] for name in names},
        {name: second[name][seeds][:, rows] for name in reversed(names)},
        METRICS,
    )
    assert [row.task for row in permuted.rows] == ["mule", "mule", "zebra", "ant"]
    for row in result.rows:
        same = permuted.row(row.task, row.metric)
        np.testing.assert_allclose(numbers(same), numbers(row), rtol=1e-9)
        assert same.corrected_p == pytest.approx(row.corrected_p)
    assert permuted.gain == pytest.approx(result.gain)
    assert permuted.gain_lower == pytest.approx(result.gain_lower)


def test_missing_labels_are_rows_left_out():
    labels, first, second = problem(missing=0.3)
    rows = ~np.isnan(labels["ant"])
    whole = compare({"ant": labels["ant"]}, {"ant": first["ant"]}, {"ant": second["ant"]}, "mae")
    part = compare(
        {"ant": labels["ant"][rows]},
        {"ant": first["ant"][:, rows]},
        {"ant": second["ant"][:, rows]},
        "mae",
    )
    np.testing.assert_allclose(numbers(whole.rows[0]), numbers(part.rows[0]))
    assert whole.rows[0].num_rows == rows.sum()
    # What a model predicts for them is of no matter.
    first["ant"][:, ~rows] = np.nan
    again = compare({"ant": labels["ant"]}, {"ant": first["ant"]}, {"ant": second["ant"]}, "mae")
    assert again == whole


def test_columns_of_a_task_are_tasks():
    labels, first, second = problem()
    apart = compare(
        {name: labels[name] for name in ("ant", "mule")},
        {name: first[name] for name in ("ant", "mule")},
        {name: second[name] for name in ("ant", "mule")},
        "mae",
    )
    stacked = [
        {"animals": np.stack([values["ant"], values["mule"]], axis=-1)}
        for values in (labels, first, second)
    ]
    together = compare(*stacked, "mae")
    for name, row in zip(("ant", "mule"), together.rows, strict=True):
        assert (row.task, row.column) == ("animals", "0" if name == "ant" else "1")
        assert numbers(row) == numbers(apart.row(name))
    assert together.gain == pytest.approx(apart.gain)
    assert together.gain_upper == pytest.approx(apart.gain_upper)


def test_one_seed_of_accuracy_and_error_is_a_paired_t_test_over_rows():
    labels, first, second = problem(num_seeds=1)
    result = compare(
        labels, first, second, {"zebra": Metric("accuracy"), "ant": "mae", "mule": "mse"}
    )
    errors = [abs(model["ant"][0] - labels["ant"]) for model in (first, second)]
    test = scipy.stats.ttest_rel(errors[1], errors[0])
    row = result.row("ant")
    assert row.p == pytest.approx(test.pvalue)
    np.testing.assert_allclose([row.lower, row.upper], test.confidence_interval())
    assert row.method == "t over rows of one training"
    assert "one training" in row.sentence


def test_the_variance_counts_seeds_and_rows():
    labels, first, second = problem(num_seeds=5)
    row = compare(labels, first, second, METRICS).row("ant")
    errors = abs(second["ant"] - labels["ant"]) - abs(first["ant"] - labels["ant"])  # [S, n]
    over_seeds = errors.mean(axis=1).var(ddof=1) / 5
    over_rows = errors.mean(axis=0).var(ddof=1) / 200
    freedom = (over_seeds + over_rows) ** 2 / (over_seeds**2 / 4 + over_rows**2 / 199)
    width = scipy.stats.t.ppf(0.975, freedom) * math.sqrt(over_seeds + over_rows)
    assert row.difference == pytest.approx(errors.mean())
    assert row.upper - row.difference == pytest.approx(width)
    baseline = abs(first["ant"] - labels["ant"]).mean()
    assert row.gain == pytest.approx(-errors.mean() / baseline)
    assert row.gain_lower == pytest.approx(-row.upper / baseline)


def test_the_mean_gain_knows_that_tasks_share_rows():
    labels, first, second = problem(num_seeds=1, num_rows=400)
    # Two tasks that are one: the interval of the mean is as wide as that of one.
    twins = [{"ant": values["ant"], "zebra": values["ant"]} for values in (labels, first, second)]
    result = compare(*twins, "mae")
    assert result.gain_upper == pytest.approx(result.rows[0].gain_upper)
    # In general it is that of the mean over tasks of a row's differences.
    pairs = [{name: values[name] for name in ("ant", "mule")} for values in (labels, first, second)]
    result = compare(*pairs, {"ant": "mae", "mule": "mse"})
    power = {"ant": 1, "mule": 2}
    gains = []
    for name in ("ant", "mule"):
        losses = [abs(model[name][0] - labels[name]) ** power[name] for model in (first, second)]
        gains.append((losses[0] - losses[1]) / losses[0].mean())
    test = scipy.stats.ttest_1samp(np.mean(gains, axis=0), 0.0)
    np.testing.assert_allclose([result.gain_lower, result.gain_upper], test.confidence_interval())
    assert result.p == pytest.approx(test.pvalue)


def test_blocks_of_repeated_rows_give_the_interval_of_the_rows():
    labels, first, second = problem(num_seeds=2)
    result = compare(labels, first, second, {"zebra": "mae", "ant": "mae", "mule": "rmse"})
    repeated = compare(
        {name: np.repeat(values, 3) for name, values in labels.items()},
        {name: np.repeat(values, 3, axis=1) for name, values in first.items()},
        {name: np.repeat(values, 3, axis=1) for name, values in second.items()},
        {"zebra": "mae", "ant": "mae", "mule": "rmse"},
        blocks=[f"day {i}" for i in np.repeat(np.arange(200), 3)],
    )
    for row, of_blocks in zip(result.rows, repeated.rows, strict=True):
        np.testing.assert_allclose(numbers(of_blocks), numbers(row))
    assert repeated.gain_lower == pytest.approx(result.gain_lower)


def test_blocks_are_drawn_whole_for_a_function():
    labels, first, second = problem(num_seeds=1, num_rows=60)
    tasks = [{"ant": np.repeat(values["ant"], 4, axis=-1)} for values in (labels, first, second)]
    blocks = np.repeat(np.arange(60), 4)
    function = Metric("my error", mean_error, mode="min")
    row, same = (compare(*tasks, metric, blocks=blocks).rows[0] for metric in ("mae", function))
    assert same.upper - same.lower == pytest.approx(row.upper - row.lower, rel=0.08)


def mean_error(labels, predictions):
    return np.abs(labels - predictions).mean()


def test_a_function_has_the_interval_of_the_same_metric_by_name():
    labels, first, second = problem(num_seeds=2, num_rows=120)
    tasks = [{"ant": values["ant"]} for values in (labels, first, second)]
    function = Metric("my error", mean_error, mode="min")
    by_name, by_function = compare(*tasks, "mae"), compare(*tasks, function)
    row, same = by_name.rows[0], by_function.rows[0]
    assert same.difference == pytest.approx(row.difference)
    assert same.upper - same.lower == pytest.approx(row.upper - row.lower, rel=0.08)
    both = compare(*tasks, ["mae", function])
    # The same metric twice in the same draws of rows: the mean gain is as uncertain as one of them.
    assert both.gain_upper - both.gain_lower == pytest.approx(
        by_name.gain_upper - by_name.gain_lower, rel=0.08
    )


def test_a_function_receives_labeled_rows_and_repeats_draws_without_a_score():
    labels = {"ant": np.array([1.0] * 3 + [0.0] * 20 + [np.nan] * 5)}
    rng = np.random.default_rng(0)
    models = [{"ant": rng.random((1, 28))} for _ in range(2)]

    def recall(y, p):
        assert not np.isnan(y).any() and y.shape == p.shape
        if not y.any():
            raise ValueError("no positives")
        return 1.0 + np.mean(p[y == 1] > 0.5)

    row = compare(labels, *models, Metric("recall", recall, mode="max")).rows[0]
    repeats = int(row.note.split()[0])
    # About (20 / 23)^3 = 4 % of draws of 23 rows hold none of the 3 positives.
    assert 10 < repeats < 100 and "draws of rows repeated" in row.note


def test_mcnemar_has_the_golden_value():
    labels = np.ones(100)
    baseline, contender = np.ones((2, 1, 100))
    baseline[0, :15] = 0  # 15 rows that the contender alone gets right
    contender[0, 15:20] = 0  # and 5 that the baseline alone gets right
    result = compare({"a": labels}, {"a": baseline}, {"a": contender}, "accuracy", test="mcnemar")
    assert result.rows[0].p == pytest.approx(0.041389, abs=5e-7)
    assert result.rows[0].method == "McNemar, exact"
    assert result.rows[0].verdict == "helped"


def test_a_sign_flip_needs_six_seeds():
    labels, first, _ = problem(num_seeds=6)
    tasks = {"ant": labels["ant"]}, {"ant": first["ant"]}
    better = {"ant": labels["ant"] + 0.9 * (first["ant"] - labels["ant"])}
    row = compare(*tasks, better, "mae", test="sign flip").rows[0]
    assert row.p == pytest.approx(0.03125)
    five = [{"ant": model["ant"][:5]} for model in (tasks[1], better)]
    with pytest.raises(
        ValueError, match=r"5 paired seeds; expected at least 6, since .* = 0\.0625"
    ):
        compare(tasks[0], *five, "mae", test="sign flip")


@pytest.mark.parametrize(
    ("metric", "test", "error"),
    [
        ("mae", "delong", "test 'delong' is for 'auc' of one seed, and there are 4 seeds"),
        ("mae", "wilcoxon", "test is 'wilcoxon'; expected one of"),
        ("mae", {"zebra": "interval"}, "test has the names"),
    ],
)
def test_a_test_that_does_not_fit_is_refused(metric, test, error):
    labels, first, second = problem()
    with pytest.raises(ValueError, match=error):
        compare(labels, first, second, metric, test=test)


def test_mcnemar_takes_no_blocks():
    ones = np.ones((1, 20))
    with pytest.raises(ValueError, match="takes rows as independent, and blocks say"):
        compare(
            {"a": ones[0]}, {"a": ones}, {"a": ones}, "accuracy", test="mcnemar", blocks=range(20)
        )


def test_delong_for_one_seed_is_nearly_the_t_test_and_a_verdict_needs_both():
    labels, first, second = problem(num_seeds=1, num_rows=500)
    tasks = [{"zebra": values["zebra"]} for values in (labels, first, second)]
    by_z, by_t = (compare(*tasks, "auc", test=test).rows[0] for test in ("delong", "interval"))
    assert by_z.method == "DeLong"
    assert by_z.p == pytest.approx(by_t.p, abs=0.005)
    assert (by_z.lower, by_z.upper) == (by_t.lower, by_t.upper)
    permuted = compare(*tasks, "accuracy", test="permutation").rows[0]
    assert permuted.method == "permutation of rows"


@pytest.mark.parametrize("count", [9, 10, 29, 30])
def test_few_positives_are_said_and_fewer_than_ten_are_not_tested(count):
    rng = np.random.default_rng(0)
    labels = np.zeros(300)
    labels[:count] = 1
    models = [{"a": labels + rng.normal(0, 1, (3, 300))} for _ in range(2)]
    result = compare({"a": labels}, *models, "auc")
    row = result.rows[0]
    if count < 10:
        assert row.note == "fewer than 10 positives: 9" and not row.is_tested
        assert row.verdict == "undecided" and math.isnan(row.baseline)
        assert "there is no test: fewer than 10 positives: 9" in row.sentence
        assert "0 of 0" in result.sentence and "1 not tested" in result.sentence
    else:
        assert row.is_tested
        assert row.note == (f"few positives: {count}" if count < 30 else "")
    if count < 10:
        assert compare({"a": labels}, *models, "pr_auc").rows[0].note == row.note
        assert compare({"a": labels}, *models, "f1").rows[0].note == row.note
    turned = compare({"a": 1 - labels}, *models, "auc").rows[0]
    assert turned.note == row.note.replace("positives", "negatives")


def test_an_auc_of_one_is_said_to_be_too_certain():
    labels = np.repeat([0.0, 1.0], 40)
    rng = np.random.default_rng(0)
    perfect = {"a": labels + rng.uniform(0, 0.5, (2, 80))}
    weak = {"a": labels + rng.normal(0, 1, (2, 80))}
    row = compare({"a": labels}, weak, perfect, "auc").rows[0]
    assert "an AUC of 1 has no variance, so the interval is too narrow" in row.note
    both = compare({"a": labels}, perfect, {"a": perfect["a"] * 2}, "auc").rows[0]
    assert both.verdict == "undecided" and both.p == 1.0


def test_a_difference_that_never_varies_has_no_test():
    labels = {"a": np.arange(20.0)}
    result = compare(labels, {"a": [np.arange(20.0) + 2]}, {"a": [np.arange(20.0) + 1]}, "mae")
    row = result.rows[0]
    assert row.gain == 0.5 and math.isnan(row.p) and row.verdict == "undecided"
    assert row.note == "nothing varies over rows or seeds"


def test_a_baseline_of_zero_has_no_gain_but_a_difference():
    labels = np.repeat([0.0, 1.0], 50)
    base, new = np.zeros((3, 100)), np.tile(labels, (3, 1))
    new[np.arange(3), [60, 70, 80]] = 0
    args = {"a": labels}, {"a": base}, {"a": new}
    result = compare(*args, "f1")
    row = result.rows[0]
    assert math.isnan(row.gain) and row.baseline == 0.0
    assert row.note == "no gain over a baseline of 0" and row.verdict == "helped"
    assert "The difference is between" in row.sentence
    assert math.isnan(result.gain) and "There is no mean gain" in result.sentence
    assert compare(*args, "f1", margin=0.01).rows[0].verdict == "undecided"


def test_an_error_above_a_baseline_of_zero_hurts():
    labels = {"a": np.arange(50.0)}
    noise = np.random.default_rng(0).normal(0, 1, (3, 50))
    perfect, noisy = {"a": np.tile(labels["a"], (3, 1))}, {"a": labels["a"] + noise}
    row = compare(labels, perfect, noisy, "mae").rows[0]
    assert math.isnan(row.gain) and row.difference > 0 and row.verdict == "hurt"


def test_the_mean_gain_is_a_mean_over_tasks_of_the_mean_over_their_metrics():
    labels, first, second = problem()
    result = compare(labels, first, second, METRICS)
    of_tasks = [[row.gain for row in result.rows if row.task == name] for name in NAMES]
    assert [len(gains) for gains in of_tasks] == [1, 1, 2]
    assert result.gain == pytest.approx(np.mean([np.mean(gains) for gains in of_tasks]))


def test_thresholds_are_those_of_each_model_and_seed_and_column():
    rng = np.random.default_rng(0)
    labels = (rng.random((100, 2)) < 0.4).astype(float)
    first, second = rng.random((2, 3, 100, 2))
    cuts = rng.uniform(0.3, 0.6, (3, 2))
    metric = Metric("f1", threshold={"baseline": cuts, "contender": 0.4})
    result = compare({"a": labels}, {"a": first}, {"a": second}, metric)
    for column, row in enumerate(result.rows):
        expected = np.mean(
            [
                sklearn.metrics.f1_score(labels[:, column], first[s, :, column] > cuts[s, column])
                for s in range(3)
            ]
        )
        assert row.baseline == pytest.approx(expected)
        decided = second[:, :, column] > 0.4
        scores = [sklearn.metrics.f1_score(labels[:, column], seed) for seed in decided]
        assert row.contender == pytest.approx(np.mean(scores))
    macro = compare(
        {"a": labels}, {"a": first}, {"a": second}, Metric("macro_f1", threshold=metric.threshold)
    )
    assert macro.rows[0].baseline == pytest.approx(np.mean([row.baseline for row in result.rows]))


def test_gains_over_chance():
    labels, first, second = problem()
    result = compare(labels, first, second, {**METRICS, "mule": Metric("mae", chance=2.0)})
    row = result.row("zebra")
    assert row.chance_gain == pytest.approx((row.contender - 0.5) / (row.baseline - 0.5) - 1)
    row = result.row("mule")
    assert row.chance_gain == pytest.approx((2 - row.contender) / (2 - row.baseline) - 1)
    assert math.isnan(result.row("ant").chance_gain)
    row = compare(
        {"zebra": labels["zebra"]},
        {"zebra": first["zebra"]},
        {"zebra": second["zebra"]},
        "balanced_accuracy",
    ).rows[0]
    assert row.chance_gain == pytest.approx((row.contender - 0.5) / (row.baseline - 0.5) - 1)


def test_margins_by_task_change_the_verdict():
    labels, weak, strong = problem(noises=(1.0, 0.5), num_rows=600)
    margin = {"zebra": 0.0, "ant": 0.9, "mule": 0.0}
    result = compare(labels, weak, strong, {**METRICS, "mule": "mae"}, margin=margin)
    assert [row.verdict for row in result.rows] == ["helped", "no difference", "helped"]
    assert result.row("ant").p == 1.0
    assert result.margin == 0.0


@pytest.mark.parametrize("count", [1, 2, 50])
def test_any_number_of_tasks(count):
    rng = np.random.default_rng(count)
    names = [f"task {i}" for i in rng.permutation(count)]
    labels = {name: rng.normal(size=60) for name in names}
    models = [
        [
            {name: labels[name][:, None] + rng.normal(size=(60, 1)) for name in names}
            for _ in range(3)
        ]
        for _ in range(2)
    ]
    result = compare(labels, *models, "rmse")
    assert [row.task for row in result.rows] == names
    assert result.correction == ("Holm" if count < 21 else "Benjamini-Hochberg")
    assert sum(map(result.count, ["helped", "hurt", "undecided"])) == count
    if count < 30:
        assert all(name in str(result) for name in names)


def test_six_hundred_columns():
    rng = np.random.default_rng(0)
    labels = (rng.random((150, 600)) < 0.3).astype(float)
    labels[rng.random(labels.shape) < 0.3] = np.nan
    labels[:, 7] = np.nan
    first, second = labels + rng.normal(0, 1, (2, 3, 150, 600)).astype(np.float32)
    first, second = np.nan_to_num(first), np.nan_to_num(second)
    result = compare({"assays": labels}, {"assays": first}, {"assays": second}, "auc")
    assert (
        len(result.rows) == 600
        and result.row("assays", column="7").note == "too few labeled rows: 0"
    )
    text = str(result)
    assert len(text.splitlines()) < 30
    assert "too few labeled rows: 1 rows" in text and "1 not tested" in text and "worst:" in text


def test_a_row_is_plain_values():
    labels, first, second = problem()
    result = compare(labels, first, second, METRICS)
    records = result.to_records()
    assert [record["chance_gain"] is None for record in records] == [False, True, True, False]
    assert json.loads(json.dumps(records)) == records
    file = io.StringIO()
    writer = csv.DictWriter(file, records[0])
    writer.writeheader()
    writer.writerows(records)
    assert len(file.getvalue().splitlines()) == 5
    with pytest.raises(KeyError, match="2 rows fit task 'mule'"):
        result.row("mule")
    assert result.row("mule", "r2").metric == "r2"

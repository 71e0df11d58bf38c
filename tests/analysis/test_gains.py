"""Gains over a baseline and mean ranks: golden values, laws, and what is refused."""

import numpy as np
import pytest
import scipy.stats

from keras_mtl.analysis import gains, mean_ranks

NYU_NAMES = [
    ("segmentation", ["miou", "pixel"]),
    ("depth", ["absolute", "relative"]),
    ("normals", ["mean", "median", "within 11", "within 22", "within 30"]),
]
NYU_UP = {"miou", "pixel", "within 11", "within 22", "within 30"}
NYU_BASE = [0.3830, 0.6376, 0.6754, 0.2780, 25.01, 19.21, 0.3014, 0.5720, 0.6915]
NYU_NEW = [0.3929, 0.6533, 0.5493, 0.2263, 28.15, 23.96, 0.2209, 0.4750, 0.6108]
NYU_MODES = {name: "max" if name in NYU_UP else "min" for _, names in NYU_NAMES for name in names}


def by_task(values):
    values = iter(values)
    return {task: {name: next(values) for name in names} for task, names in NYU_NAMES}


def test_the_example_of_libmtl_gives_its_numbers():
    result = gains(
        {"A": {"first": 93, "second": 99}, "B": {"third": 0.5}},
        {"A": {"first": 96, "second": 98}, "B": {"third": 0.2}},
        directions={"first": "max", "second": "min", "third": "max"},
    )
    # delta p +.739636 and delta m -48.618197, by hand from the three relative changes.
    changes = [(93 - 96) / 96, -(99 - 98) / 98, (0.5 - 0.2) / 0.2]
    np.testing.assert_allclose(result.metric_gains, changes)
    assert result.delta_p == pytest.approx(0.739636, abs=5e-7)
    assert result.delta_m == pytest.approx(-48.618197, abs=5e-7)


def test_one_row_of_nyuv2_is_better_by_delta_p_and_worse_by_delta_m():
    result = gains(by_task(NYU_NEW), by_task(NYU_BASE), directions=NYU_MODES)
    assert result.delta_m == pytest.approx(5.589327, abs=5e-7)
    assert 100 * result.delta_p == pytest.approx(0.877879, abs=5e-7)
    assert result.worst_task == "normals"
    assert 100 * result.worst_gain == pytest.approx(-18.523740, abs=5e-7)
    text = str(result)
    assert "delta p    0.878 %, the mean over tasks; higher is better" in text
    assert "delta m    5.59 %, the mean over metrics with the sign turned; lower is better" in text


@pytest.mark.parametrize(
    ("before", "after", "relative", "over_chance"),
    [(0.94, 0.9406, 0.00064, 0.00136), (0.52, 0.54, 0.038, 1.0)],
)
def test_an_auc_gains_more_over_chance_than_over_zero(before, after, relative, over_chance):
    result = gains({"click": {"auc": after}}, {"click": {"auc": before}})
    assert result.metric_gains[0] == pytest.approx(relative, rel=0.02)
    assert result.chance_gains[0] == pytest.approx(over_chance, rel=0.005)
    assert result.chance_gains[0] == pytest.approx((after - 0.5) / (before - 0.5) - 1)


def test_the_score_by_chance_is_the_users_and_missing_where_unknown():
    metrics = {"a": {"accuracy": 0.8, "mae": 1.0, "auc": 0.9}}
    baseline = {"a": {"accuracy": 0.7, "mae": 2.0, "auc": 0.5}}
    result = gains(metrics, baseline, chance={"accuracy": 0.6})
    np.testing.assert_allclose(result.chance_gains, [1.0, np.nan, np.nan])


def test_a_negative_baseline_keeps_the_sign_of_the_gain():
    result = gains({"a": {"r2": -0.1}}, {"a": {"r2": -0.2}})
    assert result.metric_gains[0] == pytest.approx(0.5)


def test_permuting_tasks_permutes_gains():
    names = ["zebra", "ant", "mule"]
    rng = np.random.default_rng(0)
    new, base = rng.uniform(1, 2, (2, 3))
    before, after = (dict(zip(names, values, strict=True)) for values in (base, new))
    first = gains(after, before, directions="min")
    order = [2, 0, 1]
    second = gains(
        {names[i]: new[i] for i in order}, {names[i]: base[i] for i in order}, directions="min"
    )
    np.testing.assert_array_equal(second.metric_gains, first.metric_gains[order])
    assert second.task_gains == first.task_gains
    assert second.delta_p == pytest.approx(first.delta_p, rel=1e-14)
    assert second.worst_task == first.worst_task


@pytest.mark.parametrize(
    ("metrics", "baseline", "options", "error"),
    [
        ({"a": {"auc": 0.9}}, {"a": {"auc": 0.0}}, {}, "'a', metric 'auc' is 0, and a gain is a"),
        (
            {"a": {"auc": np.nan}},
            {"a": {"auc": 0.5}},
            {},
            "task 'a', metric 'auc' is nan; expected",
        ),
        ({"a": {"score": 1}}, {"a": {"score": 2}}, {}, "task 'a': whether 'score' is better high"),
        (
            {"a": {"auc": 1}},
            {"b": {"auc": 1}},
            {},
            r"metrics alone has \('a', 'auc'\); baseline al",
        ),
        ({"a": 1}, {"a": 1}, {"directions": "up"}, "the direction of 'a' is 'up'; expected 'max'"),
        ({"a": {"auc": [1, 2]}}, {"a": {"auc": 1}}, {}, "has shape .2,.; expected one number"),
        ({"a": {}}, {"a": {"auc": 1}}, {}, "metrics: task 'a' has no metric"),
        ({}, {}, {}, "baseline is empty; expected at least one task"),
        (
            {"a": {"auc": 1}},
            {"a": {"auc": 1}},
            {"chance": {"acc": 0.5}},
            r"chance has \['acc'\]; expected names of metrics, which are \['auc'\]",
        ),
    ],
)
def test_bad_metrics_are_refused(metrics, baseline, options, error):
    with pytest.raises(ValueError, match=error):
        gains(metrics, baseline, **options)


@pytest.mark.parametrize(
    ("metrics", "error"), [([0.9], "metrics is a list; expected a dict"), ({"a": "x"}, "numbers")]
)
def test_metrics_of_other_types_are_refused(metrics, error):
    with pytest.raises(TypeError, match=error):
        gains(metrics, {"a": 1.0}, directions="max")


def test_mean_ranks_are_those_of_scipy_and_ties_share():
    methods = {
        "single": {"a": {"auc": 0.9, "f1": 0.5}, "b": {"mae": 2.0}},
        "MMoE": {"a": {"auc": 0.9, "f1": 0.6}, "b": {"mae": 3.0}},
        "PLE": {"a": {"auc": 0.8, "f1": 0.4}, "b": {"mae": 1.0}},
    }
    table = [[-0.9, -0.5, 2.0], [-0.9, -0.6, 3.0], [-0.8, -0.4, 1.0]]
    expected = np.mean([scipy.stats.rankdata(column) for column in np.transpose(table)], axis=0)
    assert mean_ranks(methods) == dict(zip(methods, expected, strict=True))
    assert expected.tolist() == pytest.approx([5.5 / 3, 5.5 / 3, 7 / 3])


def test_methods_with_other_metrics_are_refused():
    with pytest.raises(ValueError, match=r"method 'b' alone has \('x', 'f1'\); method 'a' alone"):
        mean_ranks({"a": {"x": {"auc": 1}}, "b": {"x": {"f1": 1}}})
    with pytest.raises(ValueError, match="expected a dict of metrics by method"):
        mean_ranks({})

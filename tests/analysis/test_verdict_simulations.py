"""Coverage of intervals and false alarms of verdicts, by simulation with known truth.

The settings are numbers of seeds times the share of seeds and rows in the variance of the mean
difference. `pytest -m slow -s` prints the figures of all settings.
"""

import numpy as np
import pytest

from keras_mtl.analysis import compare

NUM_ROWS = 200
SHARES = {"rows": 0.1, "both": 1.0, "seeds": 10.0}
"""The variance over seeds divided by that over rows, of the mean difference."""

SETTINGS = [(num_seeds, source) for num_seeds in (3, 5, 10) for source in SHARES]


def simulate_errors(rng, num_seeds, source, difference):
    """Returns labels and predictions whose absolute errors differ by seed, row, and both.

    The error of row i in seed s is 10 for the baseline, and 10 + difference + a_s + b_i + e_si for
    the contender, with standard deviations of 1 for b and e.
    """
    of_seeds = np.sqrt(num_seeds * SHARES[source] / NUM_ROWS) * rng.normal(size=(num_seeds, 1))
    noise = of_seeds + rng.normal(size=NUM_ROWS) + rng.normal(size=(num_seeds, NUM_ROWS))
    labels = rng.normal(size=NUM_ROWS)
    baseline = np.tile(labels + 10, (num_seeds, 1))
    return {"a": labels}, {"a": baseline}, {"a": labels + 10 + difference + noise}


def coverage(num_seeds, source, repeats):
    """Returns how often the interval holds the true difference, and how often a null is claimed."""
    rng = np.random.default_rng([num_seeds, *source.encode()])
    covered, claimed = 0, 0
    for _ in range(repeats):
        difference = rng.choice([0.0, 0.3])
        row = compare(*simulate_errors(rng, num_seeds, source, difference), "mae").rows[0]
        covered += row.lower <= difference <= row.upper
        claimed += row.verdict != "undecided" if difference == 0.0 else 0
    return covered / repeats, 2 * claimed / repeats


def test_the_interval_covers_the_truth_in_a_few_simulations():
    covered, claimed = coverage(5, "both", 150)
    assert covered >= 0.9
    assert claimed <= 0.1


def coverage_of_mean(num_seeds, repeats):
    """Returns how often the interval of the mean gain of four tasks holds the truth.

    The tasks share half of the variance of seeds and rows.
    """
    rng = np.random.default_rng(num_seeds)
    covered = 0
    for _ in range(repeats):
        shared = simulate_errors(rng, num_seeds, "both", 0.3)
        tasks = [simulate_errors(rng, num_seeds, "both", 0.3) for _ in range(4)]
        labels, baseline, contender = {}, {}, {}
        for position, task in enumerate(tasks):
            # Errors of the contender beyond those of the baseline, half of them shared.
            excess = [data[2]["a"] - data[1]["a"] - 0.3 for data in (shared, task)]
            labels[f"task {position}"] = task[0]["a"]
            baseline[f"task {position}"] = task[1]["a"]
            contender[f"task {position}"] = task[1]["a"] + 0.3 + sum(excess) / np.sqrt(2)
        result = compare(labels, baseline, contender, "mae")
        covered += result.gain_lower <= -0.03 <= result.gain_upper
    return covered / repeats


@pytest.mark.slow
def test_the_interval_of_the_mean_gain_covers_the_truth():
    for num_seeds in (3, 5, 10):
        covered = coverage_of_mean(num_seeds, 2000)
        print(f"S {num_seeds:2}  mean gain of 4 tasks  coverage {covered:.3f}")
        assert 0.92 <= covered <= 0.99


@pytest.mark.slow
def test_the_interval_covers_the_truth_in_all_settings():
    repeats = 4000
    results = {setting: coverage(*setting, repeats) for setting in SETTINGS}
    for (num_seeds, source), (covered, claimed) in results.items():
        print(f"S {num_seeds:2}  {source:5}  coverage {covered:.3f}  false alarms {claimed:.3f}")
    # Two standard errors of the simulation are .007 around .95, and .010 for alarms.
    assert all(0.923 <= covered <= 0.987 for covered, _ in results.values())
    assert all(claimed <= 0.08 for _, claimed in results.values())
    assert np.mean([claimed for _, claimed in results.values()]) <= 0.05


def simulate_scores(rng, num_tasks, num_seeds, num_rows, rate, spread):
    """Returns yes-or-no labels and two models that are equally good, over seeds and rows.

    The score of row i is its label, times the skill of the seed, plus noise of the row that all
    models share and noise of the seed's network.
    """
    labels = np.zeros((num_rows, num_tasks))
    labels[: round(rate * num_rows)] = 1.0
    rows = rng.normal(0, 0.7, (num_rows, num_tasks))
    models = []
    for _ in range(2):
        skill = 1.0 + spread * rng.normal(size=(num_seeds, 1, num_tasks))
        noise = rng.normal(0, 0.7, (num_seeds, num_rows, num_tasks))
        # What a model has learned of a row is the same in all seeds.
        learned = rng.normal(0, 0.5, (num_rows, num_tasks))
        models.append(labels * skill + rows + learned + noise)
    return {"a": labels}, {"a": models[0]}, {"a": models[1]}


def false_alarms(repeats, metric, *, num_tasks=1, num_seeds=5, num_rows=300, rate=0.3, spread=0.2):
    """Returns the share of tables with a claim although the two models are equally good."""
    rng = np.random.default_rng([num_tasks, num_seeds, num_rows, *metric.encode()])
    claims = 0
    for _ in range(repeats):
        data = simulate_scores(rng, num_tasks, num_seeds, num_rows, rate, spread)
        result = compare(*data, metric)
        claims += any(row.verdict != "undecided" for row in result.rows)
    return claims / repeats


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["auc", "f1", "balanced_accuracy", "accuracy", "rmse"])
@pytest.mark.parametrize(
    "setting",
    [
        {},
        {"num_seeds": 1, "spread": 0.0},
        {"num_seeds": 3},
        {"num_seeds": 10, "spread": 0.5},
        {"rate": 0.05, "num_rows": 400},  # 20 positives
        {"num_tasks": 12},
    ],
    ids=["S 5", "one seed", "S 3", "S 10, wide", "20 positives", "12 tasks"],
)
def test_equal_models_are_seldom_told_apart(metric, setting):
    repeats = 2000
    alarms = false_alarms(repeats, metric, **setting)
    print(f"{metric} {setting} false alarms {alarms:.3f}")
    assert alarms <= 0.06  # .05 and two standard errors of the simulation


@pytest.mark.slow
def test_swapped_ranks_have_power_and_swapped_scores_of_two_scales_have_none():
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(300):
        labels, first, second = simulate_scores(rng, 1, 1, 100, 0.4, 0.0)
        second = {"a": 5 * second["a"] + 3}
        p = compare(labels, first, second, "auc", test="permutation").rows[0].p
        alarms += p <= 0.05
    print(f"false alarms of swapped ranks {alarms / 300:.3f}")
    assert 0.01 <= alarms / 300 <= 0.08

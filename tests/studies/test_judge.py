"""Verdicts from predictions and scores that are written down, without training."""

import dataclasses
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import Task, analysis
from keras_mtl.callbacks._watching._watched_metrics import read_metrics
from keras_mtl.data import mask_missing
from keras_mtl.studies._contenders._contender import BASELINE
from keras_mtl.studies._data._test_rows import read_test_rows
from keras_mtl.studies._trainings._record import Training, read_record, write_record
from keras_mtl.studies._verdicts._choose import choose_trial, score_of
from keras_mtl.studies._verdicts._judge import Bench, judge

NUM_ROWS, NUM_SEEDS = 200, 4


class Own(keras.metrics.MeanAbsoluteError):
    """A metric of a user's."""


def make_tasks():
    return (
        Task.binary("click", metrics=["auc"]),
        Task.multiclass("topic", 3, metrics=["accuracy"]),
        Task.regression("assays", columns=["a", "b"], metrics=["mae"]),
        Task.regression("price", metrics=[Own(name="own")]),
    )


def make_labels(rng):
    assays = rng.normal(size=(NUM_ROWS, 2))
    assays[:50, 1] = np.nan
    return {
        "click": rng.integers(0, 2, NUM_ROWS).astype(float),
        "topic": rng.integers(0, 3, NUM_ROWS),
        "assays": assays,
        "price": rng.normal(size=NUM_ROWS),
    }


def training(name, seed, state, score):
    return Training(
        name, 0, ("click", "topic", "assays", "price"), "seed", seed, seed, 0.1, None, {}, state,
        scores={"price": score},
    )  # fmt: skip


@pytest.fixture
def bench(tmp_path):
    rng = np.random.default_rng(0)
    tasks, labels = make_tasks(), make_labels(rng)
    batches = tf.data.Dataset.from_tensor_slices((np.zeros((NUM_ROWS, 1)), labels)).batch(64)
    metrics = {metric.task: metric for metric in read_metrics(tasks, None, 0.0, None)}
    names = {"click": "auc", "topic": "accuracy", "assays": "mae", "price": "own"}
    rows = read_test_rows(mask_missing(batches, tasks), tasks, names)
    return Bench(tmp_path, tasks, metrics, rows, 0.0, None), labels


def write_runs(bench, labels, noises, states=None):
    """Writes predictions of contenders, labels with noise, and returns their runs."""
    runs, network = {}, types.SimpleNamespace(names=("click", "topic", "assays", "price"))
    for name, noise in noises.items():
        runs[name] = []
        for seed in range(NUM_SEEDS):
            rng = np.random.default_rng([seed, int(100 * noise)])
            path = f"{name}-{seed}"
            np.savez(
                bench.folder / f"{path}.npz",
                click=labels["click"][:, None] + rng.normal(0, noise, (NUM_ROWS, 1)),
                topic=np.eye(3)[labels["topic"]] + rng.normal(0, noise, (NUM_ROWS, 3)),
                assays=np.nan_to_num(labels["assays"]) + rng.normal(0, noise, (NUM_ROWS, 2)),
            )
            job = types.SimpleNamespace(path=path, number=seed, network=network)
            state = (states or {}).get((name, seed), "done")
            runs[name].append((job, training(name, seed, state, noise + 0.01 * rng.normal())))
    return runs


def test_metrics_by_rows_and_by_seeds_stand_in_one_table(bench):
    bench, labels = bench
    runs = write_runs(bench, labels, {BASELINE: 1.0, "better": 0.7})
    result = judge(runs, bench)["better"]
    rows = [(row.task, row.column, row.metric, row.num_rows) for row in result.rows]
    assert rows == [
        ("click", None, "auc", 200),
        ("topic", None, "accuracy", 200),
        ("assays", "a", "mae", 200),
        ("assays", "b", "mae", 150),
        ("price", None, "own", 0),
    ]
    assert {row.verdict for row in result.rows} == {"helped"}
    assert "its metric is an object" in result.row("price").note
    scores = [[t.scores["price"] for _, t in runs[name]] for name in (BASELINE, "better")]
    alone = analysis.compare_scores(
        {"price": {"own": scores[0]}}, {"price": {"own": scores[1]}}, directions="min"
    ).rows[0]
    row = result.row("price")
    assert (row.difference, row.lower, row.p) == (alone.difference, alone.lower, alone.p)
    # Tasks count alike in the mean gain, and so do the columns of a task.
    gains = {name: np.mean([r.gain for r in result.rows if r.task == name]) for name in
             ("click", "topic", "assays", "price")}  # fmt: skip
    assert result.gain == pytest.approx(np.mean([*gains.values()]))
    assert result.gain_lower < result.gain < result.gain_upper


def test_a_seed_that_failed_on_one_side_is_left_out_on_both(bench):
    bench, labels = bench
    failed = {(BASELINE, 0): "failed", ("better", 2): "failed"}
    runs = write_runs(bench, labels, {BASELINE: 1.0, "better": 0.7, "same": 1.0}, failed)
    results = judge(runs, bench)
    assert results["better"].row("click").num_seeds == 2
    assert results["same"].row("click").num_seeds == 3
    # Two seeds have no interval for a metric whose rows are unknown.
    assert not results["better"].row("price").is_tested
    assert "fewer than 3 seeds" in results["better"].row("price").note


def test_a_contender_equal_to_the_baseline_is_undecided_at_exactly_zero(bench):
    bench, labels = bench
    runs = write_runs(bench, labels, {BASELINE: 1.0, "same": 1.0})
    for row in judge(runs, bench)["same"].rows[:4]:
        assert (row.difference, row.verdict) == (0.0, "undecided")


def test_swapping_the_two_negates_every_difference(bench):
    bench, labels = bench
    runs = write_runs(bench, labels, {BASELINE: 1.0, "other": 0.7})
    swapped = {BASELINE: runs["other"], "other": runs[BASELINE]}
    one, two = judge(runs, bench)["other"], judge(swapped, bench)["other"]
    for row, negated in zip(one.rows, two.rows, strict=True):
        assert row.difference == pytest.approx(-negated.difference)
        assert row.lower == pytest.approx(-negated.upper)


def test_permuted_tasks_permute_the_rows(bench):
    bench, labels = bench
    runs = write_runs(bench, labels, {BASELINE: 1.0, "better": 0.9})
    turned = dataclasses.replace(bench, tasks=bench.tasks[::-1])
    one, two = judge(runs, bench)["better"], judge(runs, turned)["better"]
    assert [*dict.fromkeys(row.task for row in two.rows)] == [task.name for task in turned.tasks]
    by_name = {(row.task, row.column): row for row in two.rows}
    for row in one.rows:
        assert by_name[row.task, row.column].gain == pytest.approx(row.gain)
        assert by_name[row.task, row.column].verdict == row.verdict
    assert one.gain == pytest.approx(two.gain)


def test_margins_by_task(bench):
    bench, labels = bench
    runs = write_runs(bench, labels, {BASELINE: 1.0, "better": 0.7})
    wide = dataclasses.replace(
        bench, margin={"click": 0.9, "topic": 0.0, "assays": 0.0, "price": 0.9}
    )
    result = judge(runs, wide)["better"]
    assert result.row("click").verdict == "no difference"
    assert result.row("topic").verdict == "helped"


@pytest.mark.parametrize(
    ("task", "metric", "reason"),
    [
        (Task.tagging("tags", 4), "accuracy", "several labels that belong together"),
        (Task.binary("click", metrics=["calibration_error"]), "calibration_error", "row by row"),
        (Task.binary("click"), "mean_loss", "cannot be computed row by row"),
    ],
)
def test_metrics_without_rows_say_why(task, metric, reason):
    labels = np.ones((8, 5) if task.name == "tags" else 8, "int32")
    batches = tf.data.Dataset.from_tensor_slices((np.zeros((8, 1)), {task.name: labels})).batch(4)
    rows = read_test_rows(mask_missing(batches, [task]), [task], {task.name: metric})
    assert not rows.labels
    assert reason in rows.reasons[task.name]


def test_test_rows_with_different_weights_are_judged_by_keras():
    task = Task.binary("click", metrics=["auc"])
    y, w = np.ones(4, "float32"), np.array([1.0, 0.5, 1.0, 0.0], "float32")
    batches = tf.data.Dataset.from_tensor_slices((np.zeros((4, 1)), {"click": y}, {"click": w}))
    rows = read_test_rows(mask_missing(batches.batch(2), [task]), [task], {"click": "auc"})
    assert rows.reasons == {"click": "test rows have different weights"}
    equal = batches.map(lambda x, y, w: (x, y, {"click": tf.sign(w["click"])})).batch(2)
    rows = read_test_rows(mask_missing(equal, [task]), [task], {"click": "auc"})
    np.testing.assert_array_equal(rows.labels["click"], [1.0, 1.0, 1.0, np.nan])


def test_logits_become_probabilities_and_thresholds_are_those_of_the_task():
    task = Task(
        "click",
        head=lambda x: keras.layers.Dense(1)(x),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=["accuracy"],
        labels=Task.binary("x").labels,
        threshold=0.3,
    )
    batches = tf.data.Dataset.from_tensor_slices((np.zeros((4, 1)), {"click": np.ones(4)})).batch(2)
    rows = read_test_rows(mask_missing(batches, [task]), [task], {"click": "accuracy"})
    assert rows.metrics["click"].threshold == 0.3
    np.testing.assert_allclose(rows.predictions(task, [[0.0], [2.0]]), [[0.5], [0.880797]], 1e-6)


def metrics_of(modes):
    tasks = [Task.binary("a", metrics=["auc"]), Task.regression("b", metrics=["mae"])]
    watched = read_metrics(tasks, None, 0.0, None)
    assert [metric.mode for metric in watched] == modes
    return {metric.task: metric for metric in watched}


def trial(number, curves, state="done"):
    return Training("x", 0, ("a", "b"), "trial", number, 0, 0.1, None, {}, state, curves=curves)


def test_all_tasks_of_a_choice_are_of_one_epoch_and_ties_go_to_the_first():
    metrics = metrics_of(["max", "min"])
    baselines = {"a": 0.5, "b": 2.0}
    trials = [
        trial(0, {"a": [0.5, 0.9], "b": [1.0, 2.0]}),  # gains 0 + .5, .8 + 0
        trial(1, {"a": [0.7, 0.9], "b": [1.8, 2.0]}),  # .4 + .1, .8 + 0
        trial(2, {"a": [0.99, 0.1], "b": [1.99, 0.1]}, "failed"),
        trial(3, {"a": [0.99, np.nan], "b": [np.nan, 0.1]}),
    ]
    choice = choose_trial(trials, metrics, baselines)
    assert (choice.training.number, choice.epoch) == (0, 1)
    assert choice.score == pytest.approx(0.4)
    assert choose_trial(trials[2:], metrics, baselines) is None


def test_a_baseline_of_zero_counts_differences():
    metrics = metrics_of(["max", "min"])
    assert score_of({"a": 0.2, "b": 1.0}, metrics, {"a": 0.0, "b": 2.0}) == pytest.approx(0.35)


def test_records_come_back_as_they_were(tmp_path):
    record = dataclasses.replace(
        trial(1, {"a": [0.5, float("nan")], "b": [float("inf"), 1.0]}),
        weights={"a": 1.5, "b": 0.5},
        hyper_parameters={"units": np.int64(8), "kind": "wide", "bias": True},
    )
    write_record(tmp_path / "x" / "trial-1.json", record)
    read = read_record(tmp_path / "x" / "trial-1.json")
    assert read.hyper_parameters == {"units": 8, "kind": "wide", "bias": True}
    assert (read.weights, read.tasks, read.epochs) == (record.weights, record.tasks, 2)
    np.testing.assert_array_equal(read.curves["a"], [0.5, np.nan])
    assert np.isnan(read.curves["b"][0])  # JSON has no infinity; neither is finite
    assert read_record(tmp_path / "other.json") is None

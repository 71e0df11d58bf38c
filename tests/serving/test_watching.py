"""Drift and calibration: their values without any are those of simulations; server metrics."""

import re

import numpy as np
import prometheus_client
import pytest
from running_server import serve, wait_for
from tiny_model import COLUMNS, ROWS, reference, write_version

from keras_mtl.serving import (
    Limits,
    Settings,
    calibration_error,
    population_stability,
    write_reference,
)
from keras_mtl.serving._requests._request import Request
from keras_mtl.serving._watching._bins import make_bins
from keras_mtl.serving._watching._bounds import bound_ece, bound_psi
from keras_mtl.serving._watching._calibration import CalibrationCounts
from keras_mtl.serving._watching._reference import Reference, _round_up, read_reference
from keras_mtl.serving._watching._returned_labels import ReturnedLabels
from keras_mtl.serving._watching._watch import Watch, Window

PREDICT = "/v1/models/tiny:predict"


@pytest.mark.parametrize(("rows", "reference_rows"), [(500, 5000), (1000, 1000), (5000, 20_000)])
def test_psi_without_drift_is_as_often_below_its_bound_as_it_says(rows, reference_rows):
    random = np.random.default_rng(1)
    results = [
        population_stability(
            random.multinomial(reference_rows, [0.1] * 10), random.multinomial(rows, [0.1] * 10)
        )
        for _ in range(2000)
    ]
    values = np.array([result.psi for result in results])
    assert values.mean() == pytest.approx(results[0].null_mean, rel=0.05)
    assert np.mean(values > results[0].null_99) == pytest.approx(0.01, abs=0.008)
    assert not any(result.is_drift for result in results)


def test_psi_is_its_equation_and_finds_the_drift_of_a_beta_distribution():
    random = np.random.default_rng(2)
    old, new = random.beta(1, 8, 200_000), random.beta(1.3, 8, 200_000)
    bins = make_bins(old, is_class=False)
    counts = bins.count(new)
    p, q = np.array(bins.counts) / 200_000, counts / 200_000
    drift = population_stability(bins.counts, counts)
    assert drift.psi == pytest.approx(sum((q - p) * np.log(q / p)))
    assert drift.psi == pytest.approx(0.12, abs=0.02)
    assert drift.is_drift
    assert not population_stability(bins.counts, bins.count(new[:900])).is_drift


def test_psi_of_an_empty_bin_is_finite_and_bad_counts_are_refused():
    assert np.isfinite(population_stability([500, 500], [1000, 0]).psi)
    for counts, sentence in (([1, 2, 3], "same bins"), ([0, 0], "rows on both sides")):
        with pytest.raises(ValueError, match=sentence):
            population_stability([5, 5], counts)


@pytest.mark.parametrize("rows", [1000, 5000])
def test_ece_of_calibrated_probabilities_is_as_often_below_its_bound_as_it_says(rows):
    random = np.random.default_rng(3)
    results = []
    for _ in range(1500):
        p = random.beta(1, 3, rows)
        results.append(calibration_error(random.uniform(size=rows) < p, p))
    values = np.array([result.ece for result in results])
    nulls = np.array([result.null_mean for result in results])
    assert values.mean() == pytest.approx(nulls.mean(), rel=0.05)
    # The tail of a sum of half normal variables is a little longer than that of a normal one.
    assert np.mean([result.is_off for result in results]) < 0.035


def test_ece_is_its_equation_and_finds_a_rate_of_one_and_a_half():
    random = np.random.default_rng(4)
    p = random.beta(1, 8, 5000)
    y = random.uniform(size=5000) < np.minimum(1.5 * p, 1)
    result = calibration_error(y, p)
    places = np.minimum((10 * p).astype(int), 9)
    expected = sum(
        abs(y[places == b].mean() - p[places == b].mean()) * np.mean(places == b)
        for b in np.unique(places)
    )
    assert result.ece == pytest.approx(expected)
    assert result.is_off
    assert calibration_error([1.0], [1.0]).rows == 1
    for labels, predictions, sentence in (
        ([1], [0.5, 0.5], "1 labels and 2"),
        ([2], [0.5], "0 or 1"),
        ([1], [1.5], "probabilities"),
        ([1], [np.nan], "probabilities"),
        ([], [], "no labels"),
    ):
        with pytest.raises(ValueError, match=sentence):
            calibration_error(labels, predictions)


def test_bins_are_deciles_or_classes():
    random = np.random.default_rng(5)
    bins = make_bins(random.normal(size=(1000, 1)), is_class=False)
    assert len(bins.counts) == 10
    assert np.ptp(bins.counts) <= 1
    constant = make_bins(np.full((50, 1), 0.5), is_class=False)
    assert sum(constant.counts) == 50
    scores = np.eye(3)[[0, 2, 2, 1]]
    assert make_bins(scores, is_class=True).counts == (1, 1, 2)


def test_a_window_holds_the_last_predictions():
    window = Window(make_bins(np.arange(100.0), is_class=False), rows=1000)
    assert window.drift() is None
    for value, count in ((5.0, 400), (5.0, 400), (95.0, 300), (95.0, 300)):
        window.add(np.full(count, value))
    assert window.drift().rows == 600
    window.add(np.full(500, 95.0))
    assert window.drift().rows == 500


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "tiny"
    write_version(folder / "1")
    random = np.random.default_rng(6)
    rows = many_rows(random, 2000)
    answers = reference(rows)
    predictions = {task: answers[task] for task in ("never_married", "income", "left")}
    columns = {name: rows[name] for name in ("worker", "age")}
    write_reference(folder / "1", columns, predictions)
    return folder


def many_rows(random, count, age=30.0):
    return {
        "worker": random.choice(np.array(["private", "public"], object), (count, 1)),
        "age": random.normal(age, 10, (count, 1)),
        "hours": random.uniform(0, 60, count),
        "weeks": random.integers(0, 53, (count, 1)),
    }


def metric(text, name, **labels):
    for line in text.splitlines():
        match = re.fullmatch(rf"{name}{{(.*)}} (\S+)", line)
        if match and all(f'{key}="{value}"' in match[1] for key, value in labels.items()):
            return float(match[2])
    return None


def test_the_reference_is_read_as_written_and_rare_strings_are_left_out(folder):
    rows = np.array([["private"]] * 50 + [["Secret-7391"]] * 9, object)
    write_reference(folder / "1", {"worker": rows}, {"left": np.arange(59.0)})
    written = (folder / "1" / "reference.json").read_text()
    assert "Secret" not in written
    assert read_reference(folder / "1").strings == {"worker": frozenset({"private"})}
    assert read_reference(folder / "1").unknown == {"worker": pytest.approx(9 / 59)}
    with pytest.raises(ValueError, match="column 'nobody' is none"):
        write_reference(folder / "1", {"nobody": rows}, {})
    with pytest.raises(ValueError, match="task 'left' must be finite"):
        write_reference(folder / "1", {}, {"left": [np.nan]})


def test_the_server_tells_drift_unknown_strings_and_missing_numbers(folder):
    random = np.random.default_rng(7)
    with serve(folder) as server:
        for _ in range(3):
            rows = many_rows(random, 500)
            body = {"inputs": {name: np.asarray(v).tolist() for name, v in rows.items()}}
            assert server.ask(PREDICT, body)[0] == 200
        text = server.ask("/metrics")[1]
        assert metric(text, "mtl_prediction_rows", task="income") == 1500
        assert metric(text, "mtl_prediction_psi", task="income") < 0.05
        assert metric(text, "mtl_column_unknown_total", column="worker") == 0
        assert metric(text, "mtl_column_missing_total", column="age") == 0
        total = sum(
            metric(text, "mtl_prediction_bin_total", task="left", bin=b) or 0 for b in range(10)
        )
        assert total == 1500
        for _ in range(3):
            rows = many_rows(random, 500, age=55.0)
            rows["worker"][:50] = "never seen"
            body = {"inputs": {name: np.asarray(v).tolist() for name, v in rows.items()}}
            body["inputs"]["age"][:20] = [[None]] * 20
            assert server.ask(PREDICT, body)[0] == 200
        text = server.ask("/metrics")[1]
        assert metric(text, "mtl_prediction_psi", task="income") > 0.1
        assert metric(text, "mtl_prediction_psi", task="left") < 0.05
        assert metric(text, "mtl_prediction_psi_null99", task="left") < 0.05
        assert metric(text, "mtl_prediction_psi_bound", task="left") == 0.1
        assert metric(text, "mtl_column_unknown_share", column="worker") == 0
        low, high = read_reference(folder / "1").ranges["age"]
        outside = metric(text, "mtl_column_outside_total", column="age")
        assert 0 < outside < 1500 and low < 0 and high > 55
        assert metric(text, "mtl_column_unknown_total", column="worker") == 150
        assert metric(text, "mtl_column_missing_total", column="age") == 60
        assert metric(text, "mtl_column_missing_share", column="age") == 0
        assert metric(text, "mtl_column_values_total", column="worker") == 3000


def test_one_task_alone_counts_for_itself_only(folder):
    with serve(folder) as server:
        body = {"signature_name": "left", "inputs": ROWS["hours"]}
        assert server.ask(PREDICT, body)[0] == 200
        text = server.ask("/metrics")[1]
        assert metric(text, "mtl_prediction_rows", task="left") == 3
        assert np.isnan(metric(text, "mtl_prediction_rows", task="income"))


def test_rows_of_a_batch_that_did_not_ask_for_a_task_do_not_count_for_it():
    # The outputs of a batch are computed for all of its rows, whoever asked for them.
    registry = prometheus_client.CollectorRegistry()
    watch = Watch("tiny", registry)
    bins = make_bins(np.arange(100.0), is_class=False)
    expected = Reference({"left": bins, "income": bins}, {}, {}, {}, {})
    requests = [
        Request({}, {}, 2, ("left",), "left"),
        Request({}, {}, 3, ("income",), "income"),
        Request({}, {}, 1, ("left", "income"), "all"),
    ]
    predictions = np.array([1.0, 2.0, 91.0, 92.0, 93.0, 3.0])
    watch.observe(1, expected, requests, {"left": predictions, "income": predictions})
    text = prometheus_client.generate_latest(registry).decode()
    assert metric(text, "mtl_prediction_bin_total", task="left", bin=0) == 3
    assert metric(text, "mtl_prediction_bin_total", task="left", bin=9) is None
    assert metric(text, "mtl_prediction_bin_total", task="income", bin=0) == 1
    assert metric(text, "mtl_prediction_bin_total", task="income", bin=9) == 3
    # The bound is that of both tasks together, as in a report.
    drift = population_stability(bins.counts, [1, *[0] * 8, 3])
    bound = metric(text, "mtl_prediction_psi_bound", task="income")
    assert bound == pytest.approx(bound_psi(drift, 10, 2))
    assert bound > drift.null_99


def test_refused_values_are_counted_by_column(folder):
    with serve(folder) as server:
        body = {"signature_name": "left", "inputs": [1e30]}
        assert server.ask(PREDICT, body)[0] == 400
        text = server.ask("/metrics")[1]
        assert metric(text, "mtl_refused_values_total", column="hours", kind="number") == 1


def test_labels_that_come_back_tell_the_calibration(folder):
    random = np.random.default_rng(8)
    path = "/watch/models/tiny/labels"
    p = random.uniform(size=1000)
    labels = (random.uniform(size=1000) < p**2).astype(int)
    body = {"task": "income", "labels": labels.tolist(), "predictions": p.tolist()}
    with serve(folder) as server:
        assert server.ask(path, body) == (200, {"labels": 1000})
        text = server.ask("/metrics")[1]
        expected = calibration_error(labels, p)
        assert metric(text, "mtl_calibration_ece", task="income") == pytest.approx(expected.ece)
        counts = CalibrationCounts()
        counts.add(labels, p)
        bound = metric(text, "mtl_calibration_ece_bound", task="income", version=1)
        assert bound == pytest.approx(bound_ece(counts, 1))
        assert metric(text, "mtl_calibration_ece", task="income") > bound
        assert metric(text, "mtl_calibration_ece_null99", task="income") == expected.null_99
        for wrong, status, sentence in (
            ({**body, "task": "nobody"}, 404, "no task"),
            ({**body, "task": "left"}, 400, "yes-or-no"),
            ({**body, "labels": [2] * 1000}, 400, "0 or 1"),
            ({**body, "labels": [1]}, 400, "1 labels and 1000 predictions"),
            ({**body, "labels": ["x"] * 1000}, 400, "numbers"),
            ({**body, "predictions": [[0.5]] * 1000}, 400, "numbers"),
            ({**body, "labels": [1] * 2000, "predictions": [0.5] * 2000}, 413, "2000"),
            ({"task": "income"}, 400, "'labels'"),
            ({**body, "version": "1"}, 400, "'version' must be the number"),
            ({**body, "version": -1}, 400, "'version' must be the number"),
        ):
            received, content = server.ask(path, wrong)
            assert received == status
            assert sentence in content["error"]


def test_labels_count_for_the_version_that_predicted():
    registry = prometheus_client.CollectorRegistry()
    returned = ReturnedLabels("tiny", registry)

    def rows_of(version, task="a"):
        text = prometheus_client.generate_latest(registry).decode()
        return metric(text, "mtl_calibration_rows", task=task, version=version)

    for version, label in ((1, 1), (2, 0), (1, 1), (2, 0), (2, 0)):
        returned.add(version, "a", [label], [0.95])
    returned.add(2, "b", [1], [0.5])
    returned.add(3, "a", [], [])
    assert [rows_of(1), rows_of(2), rows_of(2, "b"), rows_of(3)] == [2, 3, 1, None]
    text = prometheus_client.generate_latest(registry).decode()
    assert metric(text, "mtl_calibration_ece", task="a", version=1) == pytest.approx(0.05)
    assert metric(text, "mtl_calibration_ece", task="a", version=2) == pytest.approx(0.95)
    # The bound of version 2 is that of two tasks together.
    counts = CalibrationCounts()
    counts.add([0, 0, 0], [0.95] * 3)
    bound = metric(text, "mtl_calibration_ece_bound", task="a", version=2)
    assert bound == pytest.approx(bound_ece(counts, 2)) != bound_ece(counts, 1)
    for version in (4, 5, 1, 6):  # the labels of version 2 came least recently
        returned.add(version, "a", [1], [0.5])
    assert [rows_of(version) for version in (1, 2, 4, 5, 6)] == [3, None, 1, 1, 1]


def test_numbers_out_of_range_are_counted_and_those_far_outside_refused(tmp_path):
    folder = tmp_path / "tiny"
    write_version(folder / "1")
    columns = {"hours": np.arange(17.0, 91.0), "weeks": [[0], [52]], "age": [[30.0], [30.0]]}
    write_reference(folder / "1", columns, {})
    assert read_reference(folder / "1").ranges == {
        "hours": (17, 90),
        "weeks": (0, 52),
        "age": (30, 30),
    }
    with serve(folder, limits=Limits(range_widths=10)) as server:

        def ask(**change):
            row = {"hours": 40.0, "weeks": [3], "age": [30.0], "worker": ["public"], **change}
            status, content = server.ask(PREDICT, {"instances": [row]})
            return status, content.get("error", "")

        assert ask(hours=820.0)[0] == ask(hours=-713.0)[0] == 200  # 90 + 730 and 17 - 730
        assert ask(weeks=[572])[0] == 200
        assert ask(age=[1e9])[0] == 200  # no width is known
        for change, column in (
            ({"hours": 821.0}, "hours"),
            ({"hours": -714.0}, "hours"),
            ({"weeks": [573]}, "weeks"),
        ):
            status, sentence = ask(**change)
            assert (status, f"column '{column}', row 0" in sentence) == (400, True)
            assert "more than 10 times the width of the usual range" in sentence
            assert not {"821", "714", "573", "90"} & {*sentence.split()}
        text = server.ask("/metrics")[1]
    assert metric(text, "mtl_column_outside_total", column="hours") == 2
    assert metric(text, "mtl_column_outside_total", column="weeks") == 1
    assert metric(text, "mtl_column_values_total", column="hours") == 4
    assert metric(text, "mtl_refused_values_total", column="hours", kind="range") == 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [(99_999.0, 100_000), (17.0, 17), (1234.5, 1300), (-1234.5, -1200), (0.0, 0), (3e-310, 3e-310)],
)
def test_bounds_of_ranges_have_two_digits_and_are_never_nearer(value, expected):
    assert _round_up(value) == pytest.approx(expected, rel=1e-12)
    assert _round_up(value) >= value


def test_a_new_version_begins_to_count_anew(folder):
    with serve(folder) as server:
        server.ask(PREDICT, {"inputs": ROWS})
        write_version(folder / ".2", bias=0.2)
        answers = reference(ROWS, 0.2)
        write_reference(folder / ".2", {}, {"income": answers["income"]})
        (folder / ".2").rename(folder / "2")
        wait_for(lambda: server.application.keeper.current.number == 2)
        server.ask(PREDICT, {"inputs": {name: ROWS[name] for name in COLUMNS}})
        text = server.ask("/metrics")[1]
        assert metric(text, "mtl_prediction_rows", task="income") == 3
        assert metric(text, "mtl_prediction_rows", task="left") is None


def test_a_version_without_a_reference_is_served_without_drift(tmp_path):
    write_version(tmp_path / "tiny" / "1")
    with serve(tmp_path / "tiny", Settings(name="tiny")) as server:
        assert server.ask(PREDICT, {"inputs": ROWS})[0] == 200
        assert metric(server.ask("/metrics")[1], "mtl_prediction_psi", task="income") is None

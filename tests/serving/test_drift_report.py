"""Drift reports: golden numbers by NumPy, planted drift, any number of tasks, and the page."""

import csv
import dataclasses
import html
import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from logged_versions import draw_rows, write_interface

from keras_mtl import serving
from keras_mtl.serving import drift, write_reference
from keras_mtl.serving._watching._bounds import bound_ece, bound_psi
from keras_mtl.serving._watching._calibration import CalibrationCounts

EVIL = "<script>alert(1)</script>"
KINDS = {"buys": "yes or no", EVIL: "yes or no", "color": "class", "price": "number"}


def answer(random, count, scale=1.0):
    """Returns predictions of the four tasks and labels that follow them."""
    p, q = random.beta(1, 5, (count, 1)), random.beta(2, 2, (count, 1))
    colors = random.dirichlet([3.0, 2.0, 1.0], count)
    predictions = {"buys": p, EVIL: q, "color": colors, "price": scale * random.gamma(2, 50, count)}
    labels = {
        "buys": (random.uniform(size=(count, 1)) < p).astype(float),
        EVIL: (random.uniform(size=(count, 1)) < q).astype(float),
        "color": (random.uniform(size=(count, 1)) > np.cumsum(colors, 1)).sum(1),
    }
    return predictions, labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_interface(tmp_path_factory.mktemp("shop") / "3", KINDS)
    random = np.random.default_rng(0)
    rows = draw_rows(random, 5000)
    rows["age"][:100] = np.nan
    write_reference(folder, rows, answer(random, 5000)[0])
    return folder


@pytest.fixture(scope="module")
def log():
    random = np.random.default_rng(1)
    return draw_rows(random, 3000), *answer(random, 3000)


@pytest.fixture(scope="module")
def unusual(folder):
    """Returns the report of a log with one planted fault of each kind."""
    random = np.random.default_rng(2)
    rows = draw_rows(random, 3000)
    rows["city"][:400] = "Secret-7391"
    rows["age"][:300] = np.nan
    rows["size"][7] = np.inf
    rows["pair"][:40, 0] = 1000.0
    predictions, labels = answer(random, 3000, scale=1.5)
    predictions["buys"][:20] = np.nan
    labels[EVIL] = (random.uniform(size=(3000, 1)) < predictions[EVIL] ** 2).astype(float)
    labels["buys"][:2500] = np.nan
    return drift(folder, rows, predictions, labels)


def verdicts(report):
    return {task.task: (task.verdict, task.calibration_verdict) for task in report.tasks}


def test_a_log_like_the_reference_has_neither_drift_nor_advice(folder, log):
    report = drift(folder, *log)
    assert not report.is_unusual and not report.advice and not report.notes
    assert verdicts(report) == {
        "buys": ("no drift", "calibrated"),
        EVIL: ("no drift", "calibrated"),
        "color": ("no drift", "calibrated"),
        "price": ("no drift", "no labels"),
    }
    assert {column.verdict for column in report.columns} == {"usual"}
    assert report.summary == "Version 3: nothing has drifted as far as can be seen."


def test_numbers_are_those_of_numpy(folder, log):
    rows, predictions, labels = log
    report = drift(folder, rows, predictions, labels)
    expected = answer(np.random.default_rng(0), 1)  # only to know the names
    assert [task.task for task in report.tasks] == list(expected[0])
    edges = json.loads((folder / "reference.json").read_text())["bins"]["price"]
    before = np.array(edges["counts"]) / 5000
    now = np.histogram(predictions["price"], [-np.inf, *edges["edges"], np.inf])[0]
    price = report.tasks[3]
    assert price.counts == tuple(now)
    assert price.drift.psi == pytest.approx(
        np.sum((now / 3000 - before) * np.log(now / 3000 / before))
    )
    assert price.drift.null_mean == pytest.approx(9 * (1 / 3000 + 1 / 5000))
    assert report.tasks[2].counts == tuple(np.bincount(predictions["color"].argmax(1)))
    p = predictions["color"].max(1)
    right = predictions["color"].argmax(1) == labels["color"]
    places = (10 * p).astype(int)
    ece = sum(abs(np.sum((right - p)[places == b])) for b in range(10)) / 3000
    color = report.tasks[2]
    assert color.calibration.ece == pytest.approx(ece)
    assert color.mean_label == pytest.approx(right.mean())
    assert color.mean_prediction == pytest.approx(p.mean())


def test_planted_faults_are_found_and_nothing_else(unusual):
    assert verdicts(unusual) == {
        "buys": ("no drift", "too few labels"),
        EVIL: ("no drift", "off"),
        "color": ("no drift", "calibrated"),
        "price": ("drift", "no labels"),
    }
    assert unusual.tasks[0].left_out == 20
    assert unusual.tasks[0].drift.rows == 2980
    assert {column.column: column.findings for column in unusual.columns} == {
        "city": ("unknown strings",),
        "age": ("missing values",),
        "size": ("non-finite numbers",),
        "pair": (),
    }
    city, age, size, pair = unusual.columns
    assert (city.unknown, city.reference_unknown) == (400 / 3000, 0)
    assert (age.missing, age.reference_missing) == (0.1, 0.02)
    assert pair.outside == pytest.approx(40 / 6000, abs=0.0005)
    assert size.nonfinite == 1 / 3000
    advice = " ".join(unusual.advice)
    for sentence in (
        "non-finite numbers in size",
        "unknown strings in city",
        "Predictions of price have drifted. Mend the unusual columns that they read first: city, "
        "age.",
        f"too high for {EVIL}.",
        "calibration of buys: gather 1,000",
    ):
        assert sentence in advice
    assert "Secret" not in str(unusual) + repr(dataclasses.asdict(unusual))


def test_permuted_tasks_and_columns_have_the_same_results(folder, log):
    parts = [dict(reversed(part.items())) for part in log]
    assert drift(folder, *parts).tasks == drift(folder, *log).tasks
    assert {*drift(folder, *parts).columns} == {*drift(folder, *log).columns}


def test_frames_lists_and_missing_values_of_any_kind_are_read(folder, log):
    rows, predictions, labels = log
    expected = drift(folder, rows, predictions, labels)
    frame = pd.DataFrame({name: rows[name].ravel() for name in ("city", "age", "size")})
    frame["pair"] = list(rows["pair"])
    answers = pd.DataFrame({name: predictions[name].ravel() for name in ("buys", EVIL, "price")})
    answers["color"] = list(map(list, predictions["color"]))
    returned = {name: labels[name].ravel().tolist() for name in labels}
    assert drift(folder, frame, answers, returned) == expected
    returned["buys"][:10] = [None] * 10
    returned["color"][:5] = [-1] * 5
    frame["age"] = frame["age"].astype("Float64")
    frame.loc[:5, "age"] = pd.NA
    frame.loc[:2, "city"] = None
    answers["buys_decision"] = 1
    report = drift(folder, frame, answers, returned)
    assert report.tasks[0].calibration.rows == 2990
    assert report.tasks[2].calibration.rows == 2995
    assert report.columns[1].missing == 6 / 3000
    assert (report.columns[0].missing, report.columns[0].unknown) == (3 / 3000, 0)


def test_numbers_are_filled_in_some_places_of_a_column_only(folder):
    pair = np.zeros((1000, 2))
    pair[:100, 1] = np.nan
    pair[:7, 0] = np.nan
    (column,) = drift(folder, {"pair": pair}, {}).columns
    assert (column.missing, column.nonfinite) == (100 / 2000, 7 / 2000)


def test_logits_are_probabilities_to_calibration(tmp_path):
    random = np.random.default_rng(3)
    z, y = random.normal(size=(2000, 1)), random.normal(size=(2000, 3))
    folder = write_interface(tmp_path / "1", {"a": "yes or no", "b": "one-hot"}, logits=True)
    write_reference(folder, {}, {"a": z, "b": y})
    p, q = 1 / (1 + np.exp(-z)), np.exp(y) / np.exp(y).sum(1, keepdims=True)
    labels = {
        "a": random.uniform(size=(2000, 1)) < p,
        "b": np.eye(3)[(random.uniform(size=(2000, 1)) > np.cumsum(q, 1)[:, :2]).sum(1)],
    }
    report = drift(folder, None, {"a": z, "b": y}, labels)
    assert report.tasks[0].mean_prediction == pytest.approx(p.mean())
    assert report.tasks[1].mean_prediction == pytest.approx(q.max(1).mean())
    assert [task.calibration_verdict for task in report.tasks] == ["calibrated", "calibrated"]


def test_bounds_of_fifty_tasks_hold_for_all_of_them_together():
    random = np.random.default_rng(4)
    alarms, tries = 0, 100
    for _ in range(tries):
        for _ in range(50):
            counts = CalibrationCounts()
            p = random.beta(1, 3, 1000)
            counts.add(random.uniform(size=1000) < p, p)
            alarms += counts.result().ece > bound_ece(counts, 50)
    # 1 % of 100 logs is 1; more than 5 have a probability below .001.
    assert alarms <= 5
    assert bound_ece(counts, 50) > bound_ece(counts, 1)
    one = serving.population_stability([20] * 10, [100] * 10)
    assert bound_psi(one, 10, 1) == pytest.approx(one.null_99)
    assert bound_psi(one, 10, 50) > bound_psi(one, 10, 1) > 0.1


def test_what_was_not_compared_is_said(folder, log):
    rows, predictions, _ = log
    report = drift(
        folder,
        {"size": rows["size"]},
        {"price": predictions["price"]},
        {"price": predictions["price"]},
    )
    assert report.notes == (
        f"No predictions were received of {EVIL}, buys, color.",
        "Watched columns that were not received: age, city, pair.",
        "No calibration, since labels are no classes and not yes or no: price.",
    )
    nothing = drift(folder, None, {"price": np.full(9, np.nan)})
    assert nothing.tasks[0].verdict == "not compared" and nothing.tasks[0].left_out == 9
    few = drift(folder, None, {"price": predictions["price"][:900] * 3})
    assert few.tasks[0].verdict == "too few rows" and not few.is_unusual
    assert "Too few rows for a verdict on price" in few.advice[0]
    assert "too few rows" in few.summary


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"columns": {"when": [1], "id": [2]}}, r"columns holds \['id', 'when'\]"),
        ({"columns": 3}, "columns is int"),
        ({"columns": {"city": [7]}}, "'city' holds int, and the version takes strings"),
        ({"columns": {"age": ["Secret-7391"]}}, "'age' must be numbers"),
        ({"columns": {"age": []}}, "'age' has no values"),
        ({"predictions": {"fee": [1.0]}}, r"predictions holds \['fee'\]"),
        (
            {"predictions": {"color": [0, 1]}},
            r"'color' have the shape \(2,\); expected \(rows, 3\)",
        ),
        ({"predictions": {"buys": [[0.1, 0.2]]}}, r"'buys' have the shape \(1, 2\)"),
        ({"predictions": {"buys": [[0.1], [0.2, 0.3]]}}, "rows of one shape"),
        ({"predictions": {"buys": ["Secret-7391"]}}, "'buys' must be numbers"),
        ({"predictions": {}, "columns": {}}, "neither columns nor predictions"),
        ({"predictions": {"buys": [1.5]}, "labels": {"buys": [1]}}, "task 'buys': predictions"),
        ({"predictions": {"buys": [0.5]}, "labels": {"buys": [2]}}, "task 'buys': labels must"),
        ({"predictions": {"buys": [0.5]}, "labels": {"buys": [1, 0]}}, "one label per prediction"),
        ({"predictions": {"buys": [0.5]}, "labels": {"color": [1]}}, "predictions are missing"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(folder, change, sentence):
    arguments = {"columns": {}, "predictions": {"buys": [0.5]}, **change}
    with pytest.raises((ValueError, TypeError), match=sentence) as caught:
        drift(folder, **arguments)
    assert "Secret" not in str(caught.value)


def test_a_version_without_reference_and_a_folder_without_version_are_refused(tmp_path):
    folder = write_interface(tmp_path / "1", {"a": "yes or no"})
    with pytest.raises(ValueError, match=r"no reference\.json to compare with: write it"):
        drift(folder, {}, {"a": [0.5]})
    with pytest.raises(ValueError, match=r"has no manifest\.json"):
        drift(tmp_path, {}, {"a": [0.5]})


@pytest.fixture(scope="module")
def page(unusual, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "drift.html"
    unusual.report(path, title=f"Drift of {EVIL}")
    return path


def test_the_page_has_every_number_beside_its_value_by_chance(page, unusual):
    text = page.read_text()
    sections = re.findall('<h2 id="(.*?)"', text)
    assert sections == ["verdict", "advice", "predictions", "calibration", "columns"]
    assert EVIL not in text and html.escape(EVIL) in text
    assert "<script" not in text and "Secret" not in text
    assert text.count("<img ") == 2
    price = unusual.tasks[3].drift
    cells = "\N{BLACK DIAMOND} drift</td>"
    cells += f"<td>{price.psi:.3f}</td><td>{price.null_mean:.3f}</td><td>{price.null_99:.3f}</td>"
    assert cells + "<td>0.100</td><td>3,000</td>" in text
    assert 'class="bad t">\N{BLACK DIAMOND} drift<' in text
    for advice in unusual.advice:
        assert html.escape(advice, quote=False).replace("'", "&#39;") in text
    names = sorted(path.name for path in page.parent.iterdir())
    tables = ["bins", "calibration", "columns", "predictions", "reliability"]
    assert names == ["drift.html", "drift.json", *(f"drift_{name}.csv" for name in tables)]
    for path in page.parent.iterdir():
        assert "Secret" not in path.read_text()
    with (page.parent / "drift_predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["task"] == "price"  # the farthest beyond its bound
    assert float(rows[0]["psi"]) == price.psi
    content = json.loads((page.parent / "drift.json").read_text())
    assert content["sections"][1]["sentences"] == list(unusual.advice)


def test_another_ending_is_refused(unusual, tmp_path):
    with pytest.raises(ValueError, match=r"ends in '\.html'"):
        unusual.report(tmp_path / "drift.pdf")


@pytest.mark.parametrize("count", [1, 50])
def test_any_number_of_tasks_has_a_page(tmp_path, count):
    random = np.random.default_rng(5)
    names = [f"task {i}" for i in range(count)]
    folder = write_interface(tmp_path / "1", dict.fromkeys(names, "yes or no"), width=2)
    p = random.beta(2, 5, (2, 800, 2, count))
    write_reference(folder, {}, {name: p[0, :, :, i] for i, name in enumerate(names)})
    now = {name: p[1, :, :, i] for i, name in enumerate(names)}
    now[names[-1]] = now[names[-1]] ** 0.5
    report = drift(folder, None, now, {name: np.zeros((800, 2)) for name in names[:1]})
    assert [task.task for task in report.tasks if task.verdict == "drift"] == names[-1:]
    report.report(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    if count == 1:
        report.report(tmp_path / "page.html")
        assert (tmp_path / "page.html").read_text() == text
    assert ("Shown are the 12 tasks" in text) == (count > 12)
    assert "tasks with several values per row" in text
    assert len(re.findall(r'<th scope="row"[^>]*>task \d+</th>', text)) >= count


def test_tables_are_printed(unusual):
    lines = str(unusual).splitlines()
    assert lines[0].startswith("Version 3: predictions of price have drifted; probabilities of ")
    (price,) = [line for line in lines if line.startswith("price")]
    assert f"{unusual.tasks[3].drift.psi:.3f}" in price and "\N{BLACK DIAMOND} drift" in price
    assert any(line.startswith("city") and "unknown strings" in line for line in lines)


LIGHT = """
import sys
import numpy as np
from keras_mtl.serving import drift
print(drift(sys.argv[1], None, {"price": np.ones(10)}))
assert not {"keras", "tensorflow", "matplotlib", "jinja2", "scipy"} & {*sys.modules}
"""


def test_a_log_is_compared_and_printed_without_keras_and_pictures(folder):
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

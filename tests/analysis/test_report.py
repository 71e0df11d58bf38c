"""The page of results: safe, accessible, the same twice, and true to the results."""

import base64
import csv
import json
import xml.etree.ElementTree

import numpy as np
import pandas as pd
import pytest
from pages import Page

from keras_mtl import analysis

EVIL = "<b>x</b>"


def scores(tasks, shift, seeds=5, seed=0):
    draws = np.random.default_rng(seed)
    return {task: 8.0 - shift + draws.normal(0, 0.05, seeds) for task in tasks}


def comparisons(tasks, contenders=("MMoE", "PLE")):
    return analysis.correct_jointly(
        {
            name: analysis.compare_scores(
                scores(tasks, 0.0), scores(tasks, 0.2 * position, seed=position), directions="min"
            )
            for position, name in enumerate(contenders, 1)
        }
    )


def everything():
    tasks = ["income", EVIL, "=1+2", "price $a$ & $b$"]
    draws = np.random.default_rng(0)
    labels = {task: draws.integers(0, 2, 60) for task in tasks}
    matrix = {row: {column: draws.random() for column in tasks} for row in tasks}
    gradients = draws.normal(size=(4, 9))
    return {
        "title": f"All of {EVIL}",
        "comparisons": comparisons(tasks),
        "compared": [{"contender": EVIL, "trials": 8, "seconds": 12345.6}],
        "failures": pd.DataFrame({"contender": ["PLE"], "seed": [3], "reason": ["=cmd()"]}),
        "curves": {"MMoE": {task: [[0.5, 0.6], [0.4]] for task in tasks}, "_PLE": {EVIL: [1, 2]}},
        "weights": {"MMoE": {task: [1.0, 1.2, 0.8] for task in tasks}},
        "conflict": analysis.gramian_statistics(gradients @ gradients.T, tasks=tasks),
        "relations": {
            "labels": analysis.label_relations(labels, resamples=20),
            "affinity": matrix,
            "groups": analysis.group_tasks(matrix, networks=2, alone=0),
        },
        "search": [
            {"weights": {"income": 1.5, EVIL: 0.5}, "gains": {"income": 0.01, EVIL: -0.02}},
            {"weights": {"income": 1.0, EVIL: 1.0}, "gains": {"income": 0.0, EVIL: 0.01}},
            {"weights": {"income": 0.1, EVIL: 1.9}, "gains": {}, "reason": "NaN"},
        ],
        "gates": {f"{task}_gate": {"expert_0": 0.3, "expert_1": 0.7} for task in tasks},
        "importance": {task: {"age": 0.1, "sex": -0.01} for task in tasks},
        "data": {"labels": [{"task": EVIL, "rows": 10, "missing": float("nan")}], "rows": 60},
        "settings": {"seeds": [0, 1], "command": "=1", "versions": {"keras": "3.15.1"}},
    }


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Writes a page with every section."""
    path = tmp_path_factory.mktemp("full") / "report.html"
    analysis.report(path, **everything())
    return path


@pytest.fixture(scope="module")
def page(full):
    """Reads the page with every section."""
    return Page(full.read_text("utf-8"))


def test_the_page_asks_for_nothing_from_elsewhere(page, full):
    for tag, attributes, _ in page.elements:
        assert tag not in ("script", "link", "iframe", "object", "form", "base")
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "action", "data"):
            target = attributes.get(name, "#")
            assert target.startswith(("#", "data:image/svg+xml;base64,", "report"))
        assert "url(" not in (attributes.get("style") or "")
    (policy,) = [
        attributes["content"]
        for attributes in page.attributes("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert "@import" not in full.read_text("utf-8")
    linked = {link["href"] for link in page.attributes("a") if not link["href"].startswith("#")}
    assert all((full.parent / name).is_file() for name in linked)


def test_the_page_can_be_read_without_its_images_and_by_machines(page):
    assert page.attributes("html") == [{"lang": "en"}]
    assert len(page.texts("h1")) == 1
    images = page.attributes("img")
    assert len(images) > 10 and all(len(image["alt"]) > 10 for image in images)
    assert len(page.texts("caption")) == len(page.texts("table")) and all(page.texts("caption"))
    assert {header["scope"] for header in page.attributes("th")} == {"col", "row"}
    names = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(set(names)) == len(names)
    links = [link["href"][1:] for link in page.attributes("a") if link["href"].startswith("#")]
    assert links == names


def test_every_image_is_an_svg_whose_texts_are_texts(page):
    seen = set()
    for image in page.attributes("img"):
        svg = base64.b64decode(image["src"].partition("base64,")[2])
        root = xml.etree.ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        (rules,) = [style.text for style in root.iter("{http://www.w3.org/2000/svg}style")]
        classes = {element.get("class") for element in root.iter()} - {None}
        assert classes and all(f".{name}{{" in rules for name in classes)
        assert not any(element.get("style") for element in root.iter())
        seen |= {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {EVIL, "=1+2", "price $a$ & $b$"} <= seen


def test_names_of_users_are_shown_as_they_are(page, full):
    assert page.texts("h1") == [f"All of {EVIL}"]
    assert not page.attributes("b")
    assert "A dash (\N{EN DASH}) stands" in page.texts("footer")[0]
    assert any(EVIL in row for rows in page.tables().values() for row in rows)
    assert EVIL not in full.read_text("utf-8")


def test_sections_stand_in_their_order(page):
    assert page.texts("h2") == [
        "Verdict",
        "What was compared",
        "Trainings that failed",
        "Curves by task",
        "Task weights",
        "Conflict of gradients",
        "Relations and groups of tasks",
        "Trade-offs between tasks",
        "Search for task weights",
        "Gates and experts",
        "Importance of inputs",
        "Data",
        "Settings",
    ]


def test_the_same_results_give_the_same_bytes(full, tmp_path):
    analysis.report(tmp_path / "report.html", **everything())
    files = sorted(path.name for path in full.parent.iterdir())
    assert files == sorted(path.name for path in tmp_path.iterdir())
    for name in files:
        assert (full.parent / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_the_verdicts_are_those_of_the_comparison_to_the_last_digit(page, full):
    results = everything()["comparisons"]
    content = json.loads(full.with_suffix(".json").read_text("utf-8"))
    (table,) = [table for table in content["sections"][0]["tables"] if table["name"] == "verdicts"]
    records = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    expected = [
        {"contender": name, **record}
        for name, result in results.items()
        for record in result.to_records()
    ]
    # The name of the contender stands where the score of a row would have the same key.
    assert len(records) == len(expected)
    for record, row in zip(records, expected, strict=True):
        assert record == row
    # On the page, as `print` shows them.
    shown = page.tables()["All verdicts (p is corrected)"][1:]
    for cells, (name, row) in zip(
        shown, [(name, row) for name, result in results.items() for row in result.rows], strict=True
    ):
        printed = str(results[name])
        assert cells[0] == row.task and cells[1] == name
        assert cells[11].endswith(row.verdict)
        numbers = [row.baseline, row.contender, 100 * row.gain, row.corrected_p]
        assert [cells[3], cells[4], cells[7], cells[10]] == [f"{value:.3g}" for value in numbers]
        ends = [100 * row.gain_lower, 100 * row.gain_upper]
        assert cells[8] == f"[{ends[0]:.3g}, {ends[1]:.3g}]"
        for cell in (cells[3], cells[4], cells[7], cells[8], cells[10]):
            assert cell in printed


def test_cells_of_csv_files_are_no_formulas(full):
    files = list(full.parent.glob("report_*.csv"))
    assert len(files) > 12
    for path in files:
        with path.open(encoding="utf-8", newline="") as file:
            for cell in (cell for row in csv.reader(file) for cell in row):
                is_number = cell.lstrip("-")[:1].isdigit()
                assert is_number or not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    text = (full.parent / "report_failures.csv").read_text("utf-8")
    assert text == "contender,seed,reason\nPLE,3,'=cmd()\n"


def test_json_holds_all_numbers_and_no_nan(full):
    text = full.with_suffix(".json").read_text("utf-8")
    content = json.loads(text, parse_constant=pytest.fail)
    assert content["schema_version"] == 1 and content["title"] == f"All of {EVIL}"
    tables = {table["name"]: table for part in content["sections"] for table in part["tables"]}
    assert tables["compared"]["rows"] == [[EVIL, 8, 12345.6]]
    assert tables["data_labels"]["rows"] == [[EVIL, 10, None]]
    assert tables["settings_versions"]["rows"] == [["keras", "3.15.1"]]
    assert set(content["files"]) == {path.name for path in full.parent.glob("*.csv")}


def test_a_page_without_a_baseline_says_so_and_leaves_sections_out(tmp_path):
    analysis.report(tmp_path / "report.html", curves={"MMoE": {"age": [0.5]}}, failures=[])
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    assert page.texts("h2") == ["Verdict", "Curves by task"]
    assert "no verdicts" in page.texts("p")[0]


@pytest.mark.parametrize("count", [1, 2, 50, pytest.param(600, marks=pytest.mark.slow)])
def test_any_number_of_tasks_gives_a_page_of_a_bounded_size(tmp_path, count):
    tasks = [f"assay {position}" for position in range(count)]
    path = tmp_path / "new" / "report.html"
    analysis.report(
        path,
        comparisons=comparisons(tasks),
        curves={"MMoE": {task: [8.0, 7.9] for task in tasks}},
        relations=np.random.default_rng(0).random((count, count)),
    )
    text = path.read_text("utf-8")
    assert len(text) < 2**20
    page = Page(text)
    rows = page.tables()[
        "Gain of each contender over the baseline by task, %, with its 95 % interval"
    ]
    assert len(rows) == 1 + (count if count <= 30 else 20)
    content = json.loads(path.with_suffix(".json").read_text("utf-8"))
    tables = {table["name"]: table["rows"] for table in content["sections"][0]["tables"]}
    if count > 30:
        ((_, number, *ends), _) = tables["distribution"]
        gains = [row.gain for row in comparisons(tasks)["MMoE"].rows]
        assert number == count and ends == np.quantile(gains, [0, 0.25, 0.5, 0.75, 1]).tolist()
    with (path.parent / "report_verdicts.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 2 * count


def test_verdicts_are_said_by_words_and_signs(tmp_path):
    before = scores(["age"], 0.0)
    results = analysis.correct_jointly(
        {
            "up": analysis.compare_scores(before, scores(["age"], 0.5, seed=1), directions="min"),
            "down": analysis.compare_scores(
                before, scores(["age"], -0.5, seed=2), directions="min"
            ),
            "same": analysis.compare_scores(before, before, directions="min", margin=0.1),
            "open": analysis.compare_scores(before, before, directions="min"),
        }
    )
    analysis.report(tmp_path / "report.html", comparisons=results)
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    assert page.texts("p")[0] == (
        "On the only task, of 4 contenders, 1 helped (up), 1 hurt (down), 1 made no difference "
        "(same), 1 is undecided (open). The largest mean gain is that of up: 6.14 % [5.27, 7]."
    )
    rows = page.tables()["Mean gain over the tasks, and on how many rows each verdict was reached"]
    assert [row[1] for row in rows[1:]] == ["▲ helped", "▼ hurt", "= no difference", "? undecided"]


def test_a_correction_for_each_contender_alone_is_said(tmp_path):
    before = {"a": [8.2, 8.3, 8.1, 8.2], "b": [1.0, 1.1, 1.2, 1.1]}
    after = {"a": [8.0, 8.2, 7.95, 8.1], "b": [1.0, 1.2, 1.2, 1.1]}
    result = analysis.compare_scores(before, after, directions="min")
    alone = {f"contender {position}": result for position in range(5)}
    assert result.row("a").verdict == "helped"
    for number, results in enumerate([alone, analysis.correct_jointly(alone)]):
        path = tmp_path / f"report_{number}.html"
        analysis.report(path, comparisons=results)
        assert ("corrected for the tasks of one contender" in path.read_text("utf-8")) == (
            not number
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"comparisons": [1]}, "comparisons is list; expected a `Comparison`"),
        ({"comparisons": {"MMoE": 1}}, r"comparisons\['MMoE'\] is int"),
        ({"data": 3}, "data is int; expected a list of dicts"),
        ({"data": [1]}, "data is list; expected a list of dicts"),
        ({"curves": [1, 2]}, "curves is list; expected `Curves`"),
        ({"gates": [1]}, "gates is list; expected a dict by gate"),
        ({"importance": {"age": 1}}, "importance is dict; expected a dict by task of dicts"),
        ({"relations": {"x": analysis.Curves({})}}, r"relations\['x'\] is Curves"),
    ],
)
def test_what_is_no_result_is_refused_by_its_name(tmp_path, arguments, message):
    with pytest.raises(TypeError, match=message):
        analysis.report(tmp_path / "report.html", **arguments)
    assert not list(tmp_path.iterdir())


def test_a_page_is_a_file_of_html(tmp_path):
    with pytest.raises(ValueError, match=r"'report.json'; expected a file that ends in '.html'"):
        analysis.report("report.json")

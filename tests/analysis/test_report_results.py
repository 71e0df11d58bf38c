"""The sections that read results of other functions: every number arrives in the files."""

import csv
import json
import shutil
import subprocess
import types

import numpy as np
import pandas as pd
import pytest
from pages import Page

from keras_mtl import analysis


def write(folder, **inputs):
    """Writes a page and returns it, with the tables of its JSON file by name."""
    path = folder / "page.html"
    analysis.report(path, **inputs)
    content = json.loads(path.with_suffix(".json").read_text("utf-8"))
    tables = {}
    for section in content["sections"]:
        for table in section["tables"]:
            rows = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
            tables[table["name"]] = rows
            with (folder / f"page_{table['name']}.csv").open(encoding="utf-8", newline="") as file:
                assert len(list(csv.reader(file))) == 1 + len(rows)
    return Page(path.read_text("utf-8")), tables


def gate(name, load, rise):
    experts = tuple(f"expert_{position}" for position in range(len(load)))
    array = np.array(load)
    return analysis.GateStatistics(
        name=name,
        tasks=("age",),
        experts=experts,
        hard=False,
        rows=100,
        load=array,
        weight=array,
        selected=array,
        use=array[::-1],
        load_entropy=0.5,
        entropy=0.4,
        effective_experts=float(np.exp(-np.sum(array * np.log(array)))),
        specialization=0.1,
        load_variation=0.2,
        rise={"age": np.array(rise)},
    )


def test_gates_show_loads_use_ablations_and_what_has_collapsed(tmp_path):
    gates = {
        "age_gate": gate("age_gate", [0.98, 0.01, 0.01], [1.5, 0.0, 0.0]),
        "fee_gate": gate("fee_gate", [0.5, 0.25, 0.25], [0.1, 0.2, 0.3]),
    }
    use = analysis.GateUse(("age",), gates, {"age": 1.0}, np.zeros((1, 1)), 100)
    page, tables = write(tmp_path, gates=use)
    first = tables["gates"][0]
    assert (first["gate"], first["expert"], first["load"]) == ("age_gate", "expert_0", 0.98)
    assert (first["use"], first["rise of the loss of age without it"]) == (0.01, 1.5)
    assert [row["rows"] for row in tables["gates_summary"]] == [100, 100]
    assert page.texts("li")[-2:] == [
        "age_gate has collapsed: in effect it uses fewer than 1.5 experts.",
        "age_gate hardly uses expert_1, expert_2.",
    ]


def test_attributions_are_shown_as_shares_and_written_as_they_are(tmp_path):
    rows = np.ones(4)
    attributions = {"age": {"a": 30 * rows, "b": -10 * rows}, "fee": {"a": 0 * rows, "b": rows}}
    result = analysis.Attributions(
        ("age", "fee"), ("a", "b"), attributions, {}, {}, {"age": rows, "fee": rows}, {}
    )
    drops = types.SimpleNamespace(
        tasks=("age",),
        columns=("a", "b"),
        drops=np.array([[0.3], [-0.1]]),
        deviations=np.array([[0.02], [0.01]]),
    )
    _, tables = write(tmp_path, importance={"gradients": result, "permuted": drops})
    assert tables["importance_gradients"] == [
        {"input": "a", "age": 30.0, "fee": 0.0},
        {"input": "b", "age": 10.0, "fee": 1.0},
    ]
    assert tables["importance_permuted"] == [
        {"input": "a", "age": 0.3, "deviation of age": 0.02},
        {"input": "b", "age": -0.1, "deviation of age": 0.01},
    ]
    frame = pd.DataFrame({"age": [0.5, 0.1]}, index=["a", "b"])
    _, tables = write(tmp_path, importance=frame)
    assert tables["importance"] == [{"input": "a", "age": 0.5}, {"input": "b", "age": 0.1}]


def test_conflict_comes_from_gramians_of_one_or_several_contenders(tmp_path):
    gramians = np.array([[[4.0, -2.0], [-2.0, 9.0]], [[4.0, -3.0], [-3.0, 9.0]]])
    ones = np.ones((2, 2))
    gradients = analysis.GradientGramian(("a", "b"), gramians, ones, ones, 100, gramians[:0])
    _, tables = write(tmp_path, conflict={"MMoE": gradients, "PLE": gradients.statistics()})
    statistics = gradients.statistics()
    for name in ("mmoe", "ple"):
        assert tables[f"conflict_{name}_pairs"] == statistics.rows
        for row, cosine in zip(
            tables[f"conflict_{name}"], statistics.direction_cosines.tolist(), strict=True
        ):
            assert row["cosine with the step"] == cosine
    with pytest.raises(TypeError, match=r"conflict\['PLE'\] is list; expected the result of"):
        analysis.report(tmp_path / "other.html", conflict={"PLE": gramians.tolist()})


def test_matrices_of_any_result_become_tables_by_name(tmp_path):
    draws = np.random.default_rng(0)
    transfer = analysis.transfer_matrix(draws.random((2, 2)) + np.eye(2), random=0.1, tasks="ab")
    similarity = analysis.representation_similarity(
        {task: draws.normal(size=(20, 3)) for task in "ab"}
    )
    page, tables = write(tmp_path, relations={"transfer": transfer, "encoders": similarity})
    for number, task in enumerate("ab"):
        expected = dict(zip("ab", transfer.values[number].tolist(), strict=True))
        assert tables["relations_transfer"][number] == {"task": task, **expected}
        expected = dict(zip("ab", similarity.cka[number].tolist(), strict=True))
        assert tables["relations_encoders_cka"][number] == {"task": task, **expected}
    captions = page.texts("figcaption")
    assert "Rows are the tasks that help or harm" in captions[0]
    assert not any("Rows are the tasks" in caption for caption in captions[1:])


def test_pairs_of_labels_come_with_intervals_and_reasons(tmp_path):
    labels = {"a": [1.0, 2, 3, 4, 5, 6], "b": [2.0, 1, 4, 3, 6, 5], "c": [np.nan] * 5 + [1.0]}
    relations = analysis.label_relations(labels, min_rows=3, resamples=50)
    _, tables = write(tmp_path, relations=relations)
    pearson = tables["relations_pearson"]
    assert (pearson[0]["task"], pearson[0]["other task"]) == ("a", "b")
    assert pearson[0]["pearson"] == relations["pearson"].values[0, 1]
    assert pearson[0]["lower"] == relations["pearson"].lower[0, 1]
    assert pearson[1]["pearson"] is None and pearson[1]["missing because"]
    assert "relations_covariance" in tables and "relations_kinds" in tables


def test_groups_say_whom_they_serve(tmp_path):
    affinity = {"a": {"a": 0, "b": 2, "c": -1}, "b": {"a": 1, "b": 0, "c": -1}}
    affinity["c"] = {"a": -1, "b": -1, "c": 0}
    groups = analysis.group_tasks(affinity, networks=2, alone=0)
    _, tables = write(tmp_path, relations=groups)
    assert tables["groups"] == [
        {"group": 1, "serves": ["a", "b"], "trains also": [], "score": 1.5},
        {"group": 2, "serves": ["c"], "trains also": [], "score": 0.0},
    ]


def test_a_search_shows_its_front_and_its_hypervolume(tmp_path):
    gains = [{"a": 0.0, "b": 0.0}, {}, {"a": 0.1, "b": -0.05}, {"a": -0.01, "b": -0.01}]
    trials = [{"weights": {"a": 1.0, "b": 1.0}, "gains": values, "epoch": 3} for values in gains]
    page, tables = write(tmp_path, search=trials)
    assert [row["on the front"] for row in tables["search"]] == [True, False, True, False]
    assert [row["epoch"] for row in tables["search"]] == [3] * 4
    volumes = [row["hypervolume"] for row in tables["hypervolume"]]
    complete = [[values["a"], values["b"]] for values in gains if values]
    assert volumes[-1] == pytest.approx(analysis.hypervolume(complete))
    np.testing.assert_allclose(volumes, [0.01, 0.01, 0.015, 0.015])
    assert page.texts("p")[1].startswith("4 trials, of which 1 failed.")


def test_tables_of_users_may_have_any_of_the_usual_shapes(tmp_path):
    index = pd.Index(["x", "y"], name="task")
    _, tables = write(
        tmp_path,
        data={
            "rows": 60,
            "by part": {"train": {"rows": 40}, "test": {"rows": 20, "note": "last days"}},
            "frame": pd.DataFrame({"labels": [3, 4]}, index=index),
            "Flat one": {"a": 1.5, "b": None},
        },
        settings=[{"seed": 1}, {"seed": 2, "extra": True}],
    )
    assert tables["data"] == [{"name": "rows", "value": 60}]
    assert tables["data_by_part"] == [
        {"name": "train", "rows": 40, "note": None},
        {"name": "test", "rows": 20, "note": "last days"},
    ]
    assert tables["data_frame"] == [{"task": "x", "labels": 3}, {"task": "y", "labels": 4}]
    assert tables["data_flat_one"] == [{"name": "a", "value": 1.5}, {"name": "b", "value": None}]
    assert tables["settings"] == [{"seed": 1, "extra": None}, {"seed": 2, "extra": True}]


def test_two_tables_of_one_name_have_two_files(tmp_path):
    _, tables = write(tmp_path, data={"A b": [{"x": 1}], "a-B": [{"x": 2}], "任务": [{"x": 3}]})
    assert sorted(rows[0]["x"] for rows in tables.values()) == [1, 2, 3]


def test_long_tables_are_cut_on_the_page_alone(tmp_path):
    page, tables = write(tmp_path, settings=[{"row": number} for number in range(1234)])
    assert len(page.tables()["Settings"]) == 201 and len(tables["settings"]) == 1234
    assert any(text.startswith("The first 200 of 1,234 rows.") for text in page.texts("p"))


CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_browser_shows_the_page_and_has_nothing_to_complain_of(tmp_path):
    write(tmp_path, curves={"任务": {"<b>x</b>": [1.0, 2.0]}}, settings={"command": "<script>"})
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={tmp_path / 'page.png'}"]
    done = subprocess.run(
        [CHROMIUM, *flags, (tmp_path / "page.html").as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert (tmp_path / "page.png").stat().st_size > 10_000
    assert "CONSOLE" not in done.stderr, done.stderr

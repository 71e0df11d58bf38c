"""The anchors of the training regimes: all have a figure here or a reason, and none is typed."""

import collections
import importlib
import json
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1] / "benchmarks"

# How many figures of each section of the design's page on regimes stand beside a table: stages,
# meta-learning, gates, adversaries, teachers and rows without labels, active learning, modalities,
# rules, transfer.
FIGURES = {1: 11, 2: 19, 3: 15, 4: 19, 5: 8, 6: 25, 7: 11, 8: 11, 9: 17}
BARS = {1: 1, 2: 1, 7: 3, 9: 2}
WITHOUT = {2: 5, 4: 2, 7: 1, 8: 2}


@pytest.fixture
def anchors(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("regimes_anchors")


def recorded(measured=True):
    """Returns header and rows by table; those of runs from before `--record` only if asked."""
    files = {path.stem.removeprefix("regimes_"): path for path in (ROOT / "results").glob("*.json")}
    kept = {name: json.loads(path.read_text()) for name, path in files.items()}
    return {
        name: (table["header"], table["rows"])
        for name, table in kept.items()
        if table["versions"] or not measured
    }


def count(entries, size=lambda entry: 1):
    counts = collections.Counter()
    for entry in entries:
        counts[entry["section"]] += size(entry)
    return dict(counts)


def test_each_anchor_has_a_row_or_a_reason(anchors):
    kept = anchors.read()
    assert count(kept["anchors"], lambda entry: len(entry["figures"])) == FIGURES
    assert count(kept["bars"]) == BARS
    assert count(kept["without_a_row"]) == WITHOUT
    assert all(entry["figure"] and entry["reason"] for entry in kept["without_a_row"])


def test_the_recorded_verdicts_are_those_of_the_recorded_tables(anchors):
    tables = recorded()
    header, rows = tables["anchors"]
    assert header == list(anchors.HEADER)
    assert sorted(rows) == sorted(map(list, anchors.rows(tables)))


def test_what_is_missed_has_a_note(anchors):
    """A verdict that is not good says why, and a note that has become untrue goes."""
    rows = anchors.rows(recorded())
    missed = {tuple(row[:3]) for row in rows if row[5].startswith(("missed", "differs"))}
    assert missed == {tuple(note["of"]) for note in anchors.read()["notes"]}


def test_figures_are_found_by_row_and_column(anchors):
    table = (["data", "rule", "accuracy"], [["digits", "MAML", "0.5 ± 0.1"], ["a", "b", "-"]])
    assert anchors.figure(table, "digits, MAML", "accuracy") == (0.5, 0.1)
    for row, column in (("digits, ANIL", "accuracy"), ("digits, MAML", "loss"), ("a", "accuracy")):
        with pytest.raises(KeyError, match=f"no figure '{column}' in row '{row}'"):
            anchors.figure(table, row, column)


@pytest.mark.parametrize(
    ("difference", "spread", "better", "verdict"),
    [
        (0.02, 0.02, "higher", "within"),
        (0.021, 0.02, "higher", "beaten"),
        (-0.021, 0.02, "higher", "missed"),
        (-0.021, 0.02, "lower", "beaten"),
        (0.021, 0.0, "lower", "missed"),
        (0.021, 0.0, None, "differs"),
    ],
)
def test_verdicts(anchors, difference, spread, better, verdict):
    assert anchors.judge(difference, spread, better) == verdict


def test_each_table_of_the_command_is_recorded(anchors):
    tables = {}
    for name in importlib.import_module("regimes").NAMES:
        tables |= importlib.import_module(f"regimes_{name}").TABLES
    kept = {
        path.stem.removeprefix("regimes_") for path in (ROOT / "results").glob("regimes_*.json")
    }
    assert {*tables, "anchors"} == kept
    for name, regime in tables.items():
        header, rows = recorded(measured=False)[name]
        assert header == list(regime.header)
        assert len({tuple(row[: regime.keys]) for row in rows}) == len(rows)
    modules = {path.stem.removeprefix("regimes_") for path in ROOT.glob("regimes_*.py")}
    assert modules - {"anchors", "trials"} == {*importlib.import_module("regimes").NAMES}

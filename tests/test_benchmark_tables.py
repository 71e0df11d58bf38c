"""The tables of the pages on benchmarks: written from the files that benchmarks keep."""

import importlib
import importlib.util
import json
import pathlib
import re
import types

import pytest

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture
def tables(monkeypatch, tmp_path):
    """Returns the module, whose page and files are those of a temporary folder."""
    spec = importlib.util.spec_from_file_location("tables", ROOT / "benchmarks" / "page_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = tmp_path / "README.md"
    page.write_text("Before.\n\n<!-- table: cut -->\n<!-- end of table -->\n\nAfter.\n")
    monkeypatch.setattr(module, "PAGES", [page])
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setattr("sys.argv", ["cut.py", "--record"])
    return module


def record(tables, rows, header=("network", "ms"), keep=True):
    table = tables.Table("cut", header, keep)
    for row in rows:
        table.add(*row)
    table.keep()
    return tables.RESULTS / "cut.json"


def test_the_pages_have_the_rows_of_the_files():
    """Checks the real pages: no table is typed, and none is stale."""
    spec = importlib.util.spec_from_file_location("tables", ROOT / "benchmarks" / "page_tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    tables.main(["--check"])
    for page in tables.PAGES:
        text, count = tables.PLACE.subn("", page.read_text())
        assert count >= 2 and not re.search(r"^\|", text, re.MULTILINE)


def test_rows_are_printed_kept_and_written_to_the_page(tables, capsys):
    path = record(tables, [["mmoe", 1.5], ["ple", 2]])
    assert capsys.readouterr().out == "| network | ms |\n|---|---|\n| mmoe | 1.5 |\n| ple | 2 |\n"
    kept = json.loads(path.read_text())
    assert kept["rows"] == [["mmoe", "1.5"], ["ple", "2"]]
    assert kept["commands"] == ["python cut.py --record"] and "keras" in kept["versions"]
    with pytest.raises(
        SystemExit, match=r"stale: README.md; run `python benchmarks/page_tables.py`"
    ):
        tables.main(["--check"])
    tables.main([])
    tables.main(["--check"])
    text = tables.PAGES[0].read_text()
    assert text.startswith("Before.\n") and text.endswith("\nAfter.\n")
    assert "\n\n| network | ms |\n|---|---|\n| mmoe | 1.5 |\n" in text


def test_without_the_option_nothing_is_written(tables):
    assert not record(tables, [["mmoe", 1]], keep=False).exists()


def test_rows_measured_again_replace_the_old_ones_and_the_rest_stays(tables):
    record(tables, [["mmoe", 1], ["ple", 2]])
    path = record(tables, [["ple", 3], ["cgc", 4]])
    assert json.loads(path.read_text())["rows"] == [["mmoe", "1"], ["ple", "3"], ["cgc", "4"]]
    other = record(tables, [["ple", 3, 5]], header=("network", "ms", "MB"))
    assert json.loads(other.read_text())["rows"] == [["ple", "3", "5"]]


def test_a_row_of_another_length_is_refused(tables):
    with pytest.raises(ValueError, match="cut: 2 columns, but the row is"):
        record(tables, [["mmoe"]])


def test_a_file_without_a_place_is_refused(tables):
    record(tables, [["mmoe", 1]])
    tables.PAGES[0].write_text("No table.\n")
    with pytest.raises(ValueError, match="each table needs one file and one place"):
        tables.main([])


def test_answers_of_advise_are_counted_by_family(monkeypatch, tmp_path, capsys):
    """Counts finished runs, so that nothing is trained here."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    benchmark = importlib.import_module("advice")
    monkeypatch.setattr(benchmark._advise, "fit_budget", None)  # main sets it; restored afterwards
    pairs = [["a", "b"], ["c", "d"]]
    answers = {"one_group": "share all", "two_groups": "share groups", "unrelated": "do not share"}
    for family, answer in answers.items():
        for seed, groups in enumerate([pairs, [["a", "c"], ["b", "d"]]]):
            run = {"answer": answer, "groups": groups, "truth": pairs}
            (tmp_path / f"{family}_{seed}.json").write_text(json.dumps(run))
    options = {"folder": tmp_path, "seeds": 2, "record": False, "pilots": False}
    families = [name.replace("_", " ") for name in answers]
    benchmark.main(types.SimpleNamespace(families=families, **options))
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| one group | 2 | 2 | 0 | 0 |  |",
        "| two groups | 2 | 0 | 2 | 0 | 1 |",
        "| unrelated | 2 | 0 | 0 | 2 |  |",
    ]

"""The notes on Keras and the code that cites them: numbers, modules, names and issues agree."""

import pathlib
import re

import pytest

import keras_mtl as mtl

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "keras_mtl"
PAGE = (ROOT / "docs" / "keras_notes.md").read_text()

# In these rooms each module that the page names cites the number of the entry.
CITING_ROOMS = (
    "_keras_internals",
    "data",
    "datasets",
    "export",
    "layers",
    "training",
    "tuning",
)

# As in "docs/keras_notes.md, F8 and pain 43" or "docs/keras_notes.md, pains 20 and 21".
CITATION = re.compile(r"docs/keras_notes\.md, ((?:(?:, | and )?(?:F\d+|(?:pains? )?\d+)\b)+)")
ISSUE = re.compile(r"\b(?:keras|tensorflow|keras-tuner)#\d+")
PATH = re.compile(r"`(\w[\w/]*/\w[\w.]*|setup\.cfg)`")


def read_entries(page):
    """Returns the text of each entry by its number, such as "F1" or "42"."""
    starts = re.split(r"^(?:\*\*(?=F\d+\.)|(?=\d+\. \*\*))", page, flags=re.MULTILINE)
    numbered = (re.match(r"(F?\d+)\. ?(.*?)(?:\n#|\Z)", start, re.DOTALL) for start in starts)
    return {match[1]: match[2] for match in numbered if match}


def places(entry):
    """Returns the part of an entry that says where the package handles it."""
    return " ".join(entry.partition("Here:")[2].split())


def find_citations(source):
    """Returns the cited numbers, and whether each mention of the page has one."""
    text = re.sub(r"\s*\n\s*(?:# )?", " ", source)
    lists = CITATION.findall(text)
    numbers = {number for cited in lists for number in re.findall(r"F?\d+", cited)}
    return numbers, len(lists) == text.count("keras_notes")


ENTRIES = read_entries(PAGE)
SOURCES = {
    str(path.relative_to(PACKAGE)): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))
}


def test_the_entries_are_numbered_without_a_gap():
    findings = [number for number in ENTRIES if number.startswith("F")]
    pains = [number for number in ENTRIES if not number.startswith("F")]
    assert findings == [f"F{i}" for i in range(1, len(findings) + 1)]
    assert pains == [str(i) for i in range(1, len(pains) + 1)]
    assert len(findings) >= 10
    assert len(pains) >= 95


def test_each_citation_in_the_code_has_a_number_that_the_page_has():
    unknown, bare = {}, []
    for name, source in SOURCES.items():
        numbers, all_numbered = find_citations(source)
        if numbers - ENTRIES.keys():
            unknown[name] = sorted(numbers - ENTRIES.keys())
        if not all_numbered:
            bare.append(name)
    assert not unknown, "docs/keras_notes.md has no such entry"
    assert not bare, 'cite as "docs/keras_notes.md, F1" or "docs/keras_notes.md, pain 42"'


def test_each_module_after_here_exists():
    missing = [
        f"{number}: {path}"
        for number, entry in ENTRIES.items()
        for path in PATH.findall(places(entry))
        if not (PACKAGE / path).exists() and not (ROOT / path).exists()
    ]
    assert not missing, "\n".join(missing)


def test_each_module_after_here_cites_its_entry():
    silent = [
        f"{path} does not cite {number}"
        for number, entry in ENTRIES.items()
        for path in PATH.findall(places(entry))
        if path.split("/")[0] in CITING_ROOMS
        and number not in find_citations(SOURCES.get(path, ""))[0]
    ]
    assert not silent, "\n".join(silent)


def test_each_name_after_here_exists():
    missing = []
    for number, entry in ENTRIES.items():
        text = places(entry)
        for first, second, path in re.findall(r"`(\w+)`(?: and `(\w+)`)? in `([\w/]+\.py)`", text):
            defined = re.findall(r"^ *(?:def|class) (\w+)", SOURCES.get(path, ""), re.MULTILINE)
            missing += [
                f"{number}: {n} in {path}" for n in (first, second) if n not in ["", *defined]
            ]
        for room, name in re.findall(r"`(\w+)\.(\w+)[`(]", text):
            if room in mtl.__all__ and not hasattr(getattr(mtl, room), name):
                missing.append(f"{number}: {room}.{name}")
    assert not missing, "\n".join(missing)


def test_each_issue_that_the_code_names_is_on_the_page():
    named = {issue for source in SOURCES.values() for issue in ISSUE.findall(source)}
    assert len(named) > 10
    unknown = sorted(named - set(ISSUE.findall(PAGE)))
    assert not unknown, "add them to their entries of docs/keras_notes.md"


@pytest.mark.parametrize(
    ("comment", "numbers", "all_numbered"),
    [
        ("# (docs/keras_notes.md, F8 and\n    # pain 43; keras#1)", {"F8", "43"}, True),
        ("# docs/keras_notes.md, pains 20, 21 and 999", {"20", "21", "999"}, True),
        ("# see docs/keras_notes.md", set(), False),
        ("# docs/keras_notes.md, pain 7; see keras_notes", {"7"}, False),
    ],
)
def test_the_search_for_citations_finds_numbers_and_their_absence(comment, numbers, all_numbered):
    assert find_citations(comment) == (numbers, all_numbered)

"""CONTRIBUTING.md names files, laws and labels that exist."""

import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()

TEMPLATES = {"_name.py", "test_name.py"}  # of a method still to be written


def section(heading):
    """Returns the text below a heading, up to the next one of any level."""
    return re.split(r"^#+ ", PAGE.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize(
    ("chapter", "folder"),
    [("add a balancer", "balancers"), ("add an architecture", "architectures")],
)
def test_the_files_to_read_beside_a_new_method_exist(chapter, folder):
    text = PAGE.partition(f"## How to {chapter}\n")[2].partition("\n## ")[0]
    table = text.partition("Read the file that is most similar\n")[2].partition("\n### ")[0]
    names = re.findall(r"`(_\w+\.py)`", table)
    assert len(names) > 10
    assert not [name for name in names if not (ROOT / "keras_mtl" / folder / name).is_file()]


def test_every_file_that_is_named_exists():
    folders = ("keras_mtl", "tests", "benchmarks", "scripts")
    files = {path.name for folder in folders for path in (ROOT / folder).rglob("*.py")}
    # Without the patterns, such as *_cases.py.
    names = {name.split("/")[-1] for name in re.findall(r"(?<![\w*./])[\w./]+\.py\b", PAGE)}
    assert len(names) > 40
    assert names - TEMPLATES <= files
    pages = re.findall(r"\]\(([\w./]+)\)", PAGE)
    assert pages
    assert not [page for page in pages if not (ROOT / page).is_file()]


def test_the_laws_are_those_of_the_tables(monkeypatch):
    folder = ROOT / "tests" / "balancers"
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    import gradient_cases
    import gramian_cases
    import loss_cases
    import sampled_cases

    used = set()
    for module in (loss_cases, gramian_cases, gradient_cases, sampled_cases):
        for row in [*module.CASES.values(), *module.VARIANTS.values()]:
            used |= row.laws
    table = section("4. Write the row and the tests")
    named = {
        law
        for row in re.findall(r"^\| (\".*?) \|", table.replace("`", ""), re.MULTILINE)
        for law in re.findall(r'"([\w ]+)"', row)
    }
    assert named == used


def test_the_order_of_the_layers_is_that_of_the_import_contract():
    contract = (ROOT / "setup.cfg").read_text().partition("layers =\n")[2].partition("\n\n")[0]
    block = section("The tree").partition("`setup.cfg`:\n\n")[2].partition("\n\n")[0]
    stated = [re.split(r"\s{2,}", line.strip())[0] for line in block.splitlines()]
    assert stated == [line.strip() for line in contract.splitlines()]

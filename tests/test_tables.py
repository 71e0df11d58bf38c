"""The tables of methods: written from one source, the section `Guide:` of each docstring."""

import importlib.util
import pathlib
import re
import types

import pytest

from keras_mtl import architectures, balancers

ROOT = pathlib.Path(__file__).parents[1]

BASES = {"Balancer", "GradientBalancer", "GramianBalancer", "LossBalancer", "Needs"}
BALANCERS = sorted({*balancers.__all__} - BASES)

COMPLETE = """Weighs the tasks.

    Guide:
        Choose it when: one
        Not when: two
        Source: three

    Args:
        name: A name.
    """


@pytest.fixture(scope="module")
def make_tables():
    path = ROOT / "scripts" / "make_tables.py"
    spec = importlib.util.spec_from_file_location("make_tables", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def method(docstring):
    return types.SimpleNamespace(__name__="Sampled", __doc__=docstring)


def test_the_tables_are_those_of_the_docstrings(make_tables):
    make_tables.main(["--check"])


@pytest.mark.parametrize(
    ("package", "name", "page"),
    [
        (balancers, "MGDA", "choosing_a_balancer"),
        (architectures, "mmoe", "choosing_an_architecture"),
    ],
)
def test_the_check_names_each_file_that_a_changed_guide_makes_stale(
    make_tables, monkeypatch, package, name, page
):
    described = getattr(package, name)
    changed = re.sub("(Choose it when): .*", r"\1: it rains", described.__doc__)
    monkeypatch.setattr(described, "__doc__", changed)
    module = f"{package.__name__.replace('.', '/')}/__init__.py"
    stale = f"docs/{page}.md, {module}"
    with pytest.raises(SystemExit, match=f"stale: {stale}; run .*make_tables.py"):
        make_tables.main(["--check"])


@pytest.mark.parametrize("name", BALANCERS)
def test_every_balancer_has_a_complete_guide(make_tables, name):
    row = make_tables.read_balancer(getattr(balancers, name))
    assert [*row.cells] == ["needs", "backward passes", "choose it when", "not when", "source"]
    assert all(row.cells.values())


@pytest.mark.parametrize("name", architectures.__all__)
def test_every_architecture_has_a_complete_guide(make_tables, name):
    row = make_tables.read_architecture(getattr(architectures, name))
    assert [*row.cells] == ["shares", "choose it when", "not when", "source"]
    assert all(row.cells.values())


def names_in_markdown(page, noun):
    """Finds the names of the methods in the tables between the markers of a page."""
    table = (ROOT / page).read_text().partition(f"<!-- begin: {noun}s")[2]
    return re.findall(r"^\| `(\w+)`", table.partition("<!-- end: ")[0], re.MULTILINE)


@pytest.mark.parametrize(
    ("noun", "package", "page", "expected"),
    [
        ("balancer", balancers, "choosing_a_balancer", BALANCERS),
        ("architecture", architectures, "choosing_an_architecture", architectures.__all__),
    ],
    ids=["balancers", "architectures"],
)
def test_every_table_names_every_method_once(noun, package, page, expected):
    assert sorted(names_in_markdown(f"docs/{page}.md", noun)) == expected
    in_help = re.findall(r"^      (\w+) ", package.__doc__, re.MULTILINE)
    assert sorted(in_help) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("        Not when: two\n", ""),
        ("Not when: two", "Not when: two\n        Not when: four"),
        ("Not when: two", "Not when:"),
        ("Not when: two", "Never: two"),
        ("Not when: two", "Not when two"),
        ("Not when: two\n        Source: three", "Source: three\n        Not when: two"),
        ("    Guide:\n", "    Guidance:\n"),
        ("    Args:\n", "    Guide:\n        Source: four\n\n    Args:\n"),
    ],
    ids=["missing", "doubled", "empty", "unknown", "no_colon", "order", "no_guide", "two_guides"],
)
def test_a_guide_that_is_not_complete_is_refused_with_the_name_of_the_method(make_tables, old, new):
    labels = make_tables.ADVICE
    assert make_tables.read_guide(method(COMPLETE), labels)
    with pytest.raises(ValueError, match=r"^Sampled: .*received "):
        make_tables.read_guide(method(COMPLETE.replace(old, new)), labels)


def test_a_kind_without_a_heading_is_refused_with_the_name_of_the_method(make_tables):
    guide = COMPLETE.replace("Guide:\n", "Guide:\n        Kind: four\n        Shares: five\n")
    with pytest.raises(ValueError, match=r"^Sampled: 'Kind:' .*'experts'.*received 'four'"):
        make_tables.read_architecture(method(guide))


def test_a_text_may_continue_on_an_indented_line(make_tables):
    guide = COMPLETE.replace("two", "two\n            and a half")
    cells = make_tables.read_guide(method(guide), make_tables.ADVICE)
    assert cells == {"choose it when": "one", "not when": "two and a half", "source": "three"}


@pytest.mark.parametrize(
    ("name", "needs", "passes"),
    [
        ("Equal", "losses", "1"),
        ("COSMOS", "losses", "1"),
        ("FAMO", "losses", "1 and a forward pass"),
        ("MGDA", "Gramian", "K"),
        ("CRMOGM", "Gramian", "K"),
        ("MoDo", "Gramian", "2 K + 1"),
        ("GradDrop", "gradients", "K"),
        ("MConFIG", "gradients", "K"),
        ("MOML", "Gramian, other data", "2 K and a forward pass"),
        ("FORUM", "Gramian, other data", "2 K and T plain steps"),
    ],
)
def test_needs_and_backward_passes_follow_from_the_class(make_tables, name, needs, passes):
    cells = make_tables.read_balancer(getattr(balancers, name)).cells
    assert (cells["needs"], cells["backward passes"]) == (needs, passes)


def test_needs_may_depend_on_an_argument(make_tables):
    wrapped = balancers.CRMOGM(balancers.MoDo())
    assert make_tables.passes_of(wrapped) == "2 K + 1"


def test_rows_stand_by_kind_then_by_year_then_by_name(make_tables):
    names = [row.name for row in make_tables.all_architectures()]
    assert names[:3] == ["single_task", "hard_sharing", "joint_network"]
    assert names.index("mmoe") < names.index("moe") < names.index("ple") < names.index("film")
    names = [row.name for row in make_tables.all_balancers()]
    assert names.index("FAMO") < names.index("MGDA") < names.index("UPGrad") < names.index("MoCo")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Ma et al. 2018, arXiv:1804.07931", "[Ma et al. 2018](https://arxiv.org/abs/1804.07931)"),
        ("Duong 2015, doi:10.3115/v1", "[Duong 2015](https://doi.org/10.3115/v1)"),
        ("Liu, ICLR (OpenReview IMP)", "[Liu, ICLR](https://openreview.net/forum?id=IMP)"),
        ("Zhou et al. 2022, NeurIPS", "Zhou et al. 2022, NeurIPS"),
        ("this package", "this package"),
    ],
)
def test_a_source_links_to_its_page(make_tables, source, expected):
    assert make_tables.with_link(source) == expected


@pytest.mark.parametrize(
    ("page", "package", "expected"),
    [
        ("choosing_a_balancer", balancers, ["Equal", "Uncertainty", "PCGrad", "UPGrad"]),
        ("choosing_an_architecture", architectures, ["hard_sharing", "mmoe", "single_task"]),
    ],
)
def test_each_page_tells_where_to_begin(page, package, expected):
    text = (ROOT / "docs" / f"{page}.md").read_text()
    begin = text.partition("## Begin here")[2].partition("\n## ")[0]
    names = re.findall(r"^- `(\w+)`", begin, re.MULTILINE)
    assert names == expected
    assert {*names} <= {*package.__all__}
    assert "(methods.md)" in text

"""The sources of the documentation site: words, links, code and the pages of all public names."""

import pathlib
import re
import subprocess
import sys

import pytest

import keras_mtl as mtl

sys.path.append(str(pathlib.Path(__file__).parents[1] / "scripts"))

import make_figure
import run_pages
from site_build import api_pages, check_html, gallery, navigation, pages

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def anchors_of(text):
    """Returns the anchors of the headings of a page, as MkDocs and code hosts make them."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    words = [re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings]
    return {re.sub(r"[-\s]+", "-", heading) for heading in words}


def find_broken_links(page, text):
    """Returns each link of a page to a file or an anchor that does not exist."""
    broken = []
    for part, is_code in pages.outside_code(text):
        for target in [] if is_code else pages.LINK.findall(part):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            linked = (page.parent / path).resolve() if path else page
            known = linked.is_file() and (not anchor or anchor in anchors_of(linked.read_text()))
            broken += [] if known else [target]
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_each_link_of_a_page_leads_to_a_file_and_to_an_anchor(page):
    assert not find_broken_links(page, page.read_text())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](docs/design.md#2-decisions)", []),
        ("[a](docs/design.md#2-decision)", ["docs/design.md#2-decision"]),
        ("[a](docs/none.md) and [b](https://example.org)", ["docs/none.md"]),
        ("```py\n[a](docs/none.md)\n```", []),
    ],
)
def test_the_search_for_broken_links_finds_them(text, expected):
    assert find_broken_links(ROOT / "README.md", text) == expected


def test_the_readme_has_at_most_900_words_and_both_commands():
    assert len(README.split()) <= 900
    assert "\n    pip install . && python examples/quickstart.py\n" in README
    assert "\n    pip install -e '.[test]' && pytest\n" in README


def versions_of_the_diff():
    """Returns the script of the README before and after its change."""
    (diff,) = re.findall(r"^```diff\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = diff.splitlines()
    kept = {sign: [line[1:] for line in lines if line[:1] in ("", " ", sign)] for sign in "-+"}
    return ["\n".join(kept[sign]) for sign in "-+"]


def test_the_script_of_the_readme_runs_before_and_after_the_change(capsys):
    before, after = (script.replace("epochs=20", "epochs=1") for script in versions_of_the_diff())
    assert "keras_mtl" not in before
    exec(before, {})
    namespace = {}
    exec(after, namespace)
    model = namespace["model"]
    assert isinstance(model, mtl.BalancedModel)
    assert {"digit_weight", "loop_weight"} <= set(model.history.history)
    (block,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    exec(block, namespace)
    assert [*namespace["network"].output] == ["digit", "loop"]


def test_three_lines_are_added_and_one_gets_shorter():
    before, after = (script.splitlines() for script in versions_of_the_diff())
    removed = [line for line in before if line not in after]
    added = [line for line in after if line not in before]
    assert len(removed) == 1 and len(added) == 4
    assert added[-1] == 'model.compile("adam")' and removed[0].startswith(added[-1][:-1])


def test_the_counts_of_the_readme_are_those_of_the_package():
    kinds = [name for name in api_pages.places_of_names() if re.match(r"Task\.\w+$", name)]
    assert f"There are {len(kinds)} kinds" in README
    assert f"there are {len(mtl.architectures.__all__)}\n" in README
    bases = {"Balancer", "GradientBalancer", "GramianBalancer", "LossBalancer", "Needs"}
    assert f"there are {len({*mtl.balancers.__all__} - bases)}\n" in README
    for path in re.findall(r"`((?:tests|benchmarks|examples)/[\w/]+\.py)`", README):
        assert (ROOT / path).is_file(), path


def test_every_public_name_has_a_page_and_a_sentence():
    packages = {package.name: package for package in api_pages.find_packages()}
    for package in [mtl, *map(mtl.__getattr__, mtl._PACKAGES), mtl.analysis.figures]:
        shown = packages[package.__name__].members
        modules = {name for name in package.__all__ if hasattr(getattr(package, name), "__path__")}
        assert {*shown} == {*package.__all__} - modules
        assert all(shown.values()), [name for name, text in shown.items() if not text]


def test_names_in_code_style_lead_to_the_reference():
    names = {"data.mixture": "api/data/mixture.md", "PCGrad": "api/balancers/PCGrad.md"}
    text = "# `PCGrad`\n`data.mixture(sets, tasks)`, `PCGrad`, [`PCGrad`](a.md), `x`\n"
    text += "```\n`PCGrad`\n```\n"
    linked = pages.with_names_linked(text, "choose/a.md", names)
    assert linked.count("](../api/") == 2
    assert "[`data.mixture(sets, tasks)`](../api/data/mixture.md)" in linked


def test_pages_say_what_their_code_printed():
    shown = "```python\nprint(1.5)\n```\n\n```text\n2.25\n```\n"
    assert run_pages.with_outputs(shown, ["1.5"]) == shown.replace("2.25", "1.5")
    assert run_pages.shape_of("a 2.25\n") == run_pages.shape_of("a  -1e-3")
    assert run_pages.shape_of("a 2.25") != run_pages.shape_of("b 2.25")


def test_the_hash_of_an_example_changes_with_its_helpers(monkeypatch, tmp_path):
    folder = tmp_path / "examples"
    (folder / "helpers").mkdir(parents=True)
    example, helper = folder / "01_first.py", folder / "helpers" / "words.py"
    example.write_text("from helpers import words\n")
    helper.write_text("A = 1\n")
    monkeypatch.setattr(gallery, "EXAMPLES", folder)
    before = gallery.hash_of(example)
    helper.write_text("A = 2\n")
    assert gallery.imported_helpers(example) == [helper]
    assert gallery.hash_of(example) != before


def test_the_figure_draws_the_mean_gains_of_the_benchmarks():
    text = (ROOT / "benchmarks" / "README.md").read_text()
    rows = make_figure.read_gains(text)
    assert len(rows) == len(re.findall(r"^\| mean gain", text, re.MULTILINE))
    assert len({name for name, *_ in rows}) == len(rows)
    for _, _, gain, low, high, verdict in rows:
        assert low <= gain <= high
        assert verdict == "undecided" or low * high > 0


def test_the_check_of_the_built_pages_finds_links_anchors_and_what_comes_from_elsewhere(tmp_path):
    (tmp_path / "a.html").write_text("<h1 id='first'>A</h1><a href='b.html#second'>b</a>")
    (tmp_path / "b.html").write_text("<h1 id='second'>B</h1><a href='https://example.org'>x</a>")
    assert check_html.find_faults(tmp_path) == []
    faulty = "<a href='b.html#first'></a><a href='c.html'></a><script src='//example.org/x.js'>"
    (tmp_path / "a.html").write_text(faulty)
    assert check_html.find_faults(tmp_path) == [
        "a.html loads //example.org/x.js from elsewhere",
        "a.html: b.html#first: no such anchor",
        "a.html: the link c.html leads nowhere",
    ]


def test_a_page_that_no_entry_of_the_navigation_has_is_refused(tmp_path):
    (tmp_path / "systems").mkdir()
    (tmp_path / "systems" / "shop.md").write_text("# A `shop`\n")
    (tmp_path / "index.md").write_text("# Front\n")
    nav = [{"Home": "index.md"}, {"Systems": "systems/"}, {"Gallery": "(generated)"}]
    assert navigation.complete(nav, {"Gallery": []}, tmp_path) == [
        {"Home": "index.md"},
        {"Systems": [{"A shop": "systems/shop.md"}]},
    ]
    with pytest.raises(ValueError, match=r"no entry of `nav` has the pages \['systems/shop.md'\]"):
        navigation.complete(nav[:1], {}, tmp_path)


@pytest.mark.slow
def test_the_code_of_all_pages_runs_and_prints_what_they_show():
    command = [sys.executable, str(ROOT / "scripts" / "run_pages.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    command = [sys.executable, str(ROOT / "scripts" / "build_site.py"), "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "html" / "index.html").is_file()

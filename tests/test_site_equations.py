"""Equations of docstrings, as the site shows them."""

import pathlib
import re
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1] / "scripts"))

from site_build import equations


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sum_i beta_i g_i", "∑<sub>i</sub> β<sub>i</sub> g<sub>i</sub>"),
        ("d = 1/K sum over i", "d = 1/K sum over i"),
        ("v^T G v >= 0", "v<sup>T</sup> G v ≥ 0"),
        ("(t_i - t_i*)^2", "(t<sub>i</sub> - t<sub>i</sub>*)<sup>2</sup>"),
        ("1 / (1 - beta^(t - 1))", "1 / (1 - β<sup>t - 1</sup>)"),
        ("softmax_{m there}(s_m)", "softmax<sub>m there</sub>(s<sub>m</sub>)"),
        ("w = -sqrt(lambda) * g_i . g_j", "w = -√(λ) * g<sub>i</sub> · g<sub>j</sub>"),
        ("sum_{l != k} W_kl", "∑<sub>l ≠ k</sub> W<sub>kl</sub>"),
        ("a < b & g~_i", "a &lt; b &amp; g~<sub>i</sub>"),
        ("mean_j dL_j/dx", "mean<sub>j</sub> dL<sub>j</sub>/dx"),
        ("E'_s (1 - k)^beta_i", "E'<sub>s</sub> (1 - k)<sup>β<sub>i</sub></sup>"),
        ("grad_theta L", "∇<sub>θ</sub> L"),
        # Names of programs, and words that hold the name of a letter, stay.
        ("task_0, loss_weights, pick, alphabet", "task_0, loss_weights, pick, alphabet"),
        ("benefit_ij", "benefit_ij"),
    ],
)
def test_pieces_of_equations_are_set(text, expected):
    assert equations.set_part(text) == expected


def page_of(text):
    return f'<div class="highlight"><pre><span></span><code>{text}</code></pre></div>'


@pytest.mark.parametrize(
    "text",
    [
        "implies        whenever one output is true",
        "keras.Model(x_1, {task.name: y_1})",
        "for x_i in rows:\n    show(x_i)",
        "ask(network, budget=x_1)",
        "encoded = train.map(lambda x: x)",
        "a -> b, c >= d",
        '<a id="line"></a>x_1',  # highlighted by a language
    ],
)
def test_programs_and_texts_stay_as_they_are(text):
    assert equations.set_page(page_of(text)) == page_of(text)


def test_columns_keep_their_places_and_nothing_is_lost():
    text = "(1)  d = sum_i w_i g_i      w_i = 1/K\n(2)  e_ij = d      no more\n"
    page = equations.set_page(page_of(text))
    assert 'class="equation"' in page
    lines = re.search(r"<code[^>]*>(.*?)</code>", page, re.DOTALL)[1].split("\n")
    for line, before in zip(lines, text.split("\n"), strict=True):
        columns = [match.end() for match in re.finditer(r"\S\s{2,}", before)]
        widths = [int(width) for width in re.findall(r"width: (\d+)ch", line)]
        assert [sum(widths[: i + 1]) for i in range(len(widths))] == columns
    assert "(2)  " in page and page.endswith("no more\n</code></pre></div>")


def test_pages_of_public_names_are_set_and_no_others(tmp_path):
    for folder in ("api", "guides"):
        (tmp_path / folder).mkdir()
        for name in ("page.html", "index.html"):
            (tmp_path / folder / name).write_text(page_of("y = sum_i x_i"))
    equations.set_equations(tmp_path)
    assert "∑" in (tmp_path / "api" / "page.html").read_text()
    for place in ("api/index.html", "guides/page.html"):
        assert (tmp_path / place).read_text() == page_of("y = sum_i x_i")

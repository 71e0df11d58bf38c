"""The examples of labels that are few: bought, drawn from unlabeled rows, or changed."""

import importlib
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def example(monkeypatch):
    """Returns a function that imports an example."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    return importlib.import_module


@pytest.mark.slow
def test_bought_labels_cost_what_the_budget_allows(example, capsys, tmp_path):
    figure = tmp_path / "curves.png"
    example("24_active_learning").main(rounds=2, steps=60, figure=figure)
    assert figure.stat().st_size > 5_000
    rows = re.findall(r"^(\w+) +(\d+) +(\d\.\d+)   (\d+) digit", capsys.readouterr().out, re.M)
    assert [(rule, int(spent)) for rule, spent, _, _ in rows] == [
        ("random", 60),
        ("random", 120),
        ("margin", 60),
        ("margin", 120),
    ]
    assert rows[0][2] == rows[2][2]  # both begin with the same labels
    assert all(float(accuracy) > 0.6 for _, _, accuracy, _ in rows)


@pytest.mark.slow
def test_rows_without_labels_are_used_in_three_ways(example, capsys):
    example("25_unlabeled_rows").main(epochs=25)
    rows = re.findall(r"^(\D+?) +(\d\.\d+) +(\d\.\d+)$", capsys.readouterr().out, re.M)
    scores = {way: float(digit) for way, digit, _ in rows}
    assert list(scores) == ["labels alone", "pseudo-labels", "consistency"]
    assert all(0.6 < score < 1 for score in scores.values())


@pytest.mark.slow
def test_prices_learn_from_kinds_of_rows_that_were_not_seen(example):
    stages = example("27_out_of_fold")
    uncertain = stages.main(epochs=40, noise=3.0)
    assert list(uncertain) == ["seen", "out of fold", "without kinds"]
    assert uncertain["out of fold"] < uncertain["seen"]
    assert all(0 < error < 1.2 for error in uncertain.values())

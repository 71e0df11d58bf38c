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
    uncertain = stages.main(noise=3.0)
    assert list(uncertain) == ["seen", "out of fold", "without kinds"]
    assert uncertain["out of fold"] < uncertain["seen"]
    assert all(0 < error < 1.2 for error in uncertain.values())


@pytest.mark.slow
def test_changed_rows_have_two_tables(example, capsys):
    augmentation = example("28_augmentation")
    augmentation.main(epochs=15)
    rows = re.findall(r"^([^\d\n]+?) +(\d\.\d+) +(\d\.\d+)$", capsys.readouterr().out, re.M)
    assert [way for way, *_ in rows] == [*augmentation.TEXTS, *augmentation.TABLES]
    assert all(float(topic) > 0.35 for _, topic, _ in rows[:4])  # of four topics
    assert all(float(digit) > 0.5 for _, digit, _ in rows[4:])


@pytest.mark.slow
def test_the_risk_rises_less_often_with_income_by_the_rule(example):
    results = example("29_monotonic").main(rows=120)
    shares = {name: wrong for name, (_, wrong) in results.items()}
    assert len(shares) == 4 and all(0 < error < 0.4 for error, _ in results.values())
    assert shares["never rises with income"] < shares["no rule"]
    assert shares["the same, ten times stronger"] < shares["no rule"]


@pytest.mark.slow
def test_sensors_that_fail_and_heads_that_are_weighed(example, capsys):
    example("30_failing_sensors").main(epochs=30)
    out = capsys.readouterr().out
    losses = dict(re.findall(r"^rows without sensors (\w+) .* without (\d\.\d+)$", out, re.M))
    assert list(losses) == ["seen", "masked", "dropout"]
    assert 2.2 < float(losses["seen"]) < float(losses["masked"])
    blended = re.findall(r"equal weights (0\.\d+), blended \((.*)\) (0\.\d+)$", out, re.M)
    assert len(blended) == 2
    for before, weights, after in blended:
        assert 0.5 < float(before) < 1 and 0.5 < float(after) < 1
        assert sum(map(float, re.findall(r"\d\.\d+", weights))) == pytest.approx(1, abs=0.02)

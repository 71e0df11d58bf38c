"""The examples of training regimes, for a few steps."""

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
def test_the_served_funnel_has_no_contradictions(example, tmp_path, capsys):
    example("21_funnel_rules").main(tmp_path / "1", epochs=3, figure=tmp_path / "funnel.png")
    assert (tmp_path / "funnel.png").stat().st_size > 5000
    rows = re.findall(
        r"^([^\d\n]+?)\s+(0\.\d+)\s+(0\.\d+)\s+(\d\.\d+)$", capsys.readouterr().out, re.M
    )
    shares = {name: float(broken) for name, _, _, broken in rows}
    assert list(shares) == ["no rule", "rule in training", "rule in training, served"]
    assert shares["rule in training"] < shares["no rule"]
    assert shares["rule in training, served"] == 0
    assert (tmp_path / "1" / "saved_model.pb").is_file()


@pytest.mark.slow
def test_a_new_task_costs_the_old_ones_little_where_they_are_remembered(example, tmp_path, capsys):
    example("20_new_task").main(tmp_path, epochs=12, figure=tmp_path / "new_task.png")
    assert (tmp_path / "new_task.png").stat().st_size > 5000
    rows = re.findall(
        r"^([^\d\n]+?)\s+(\d\.\d+)\s+(\d\.\d+)\s+(\d\.\d+)$", capsys.readouterr().out, re.M
    )
    heat = {name: float(value) for name, value, _, _ in rows}
    assert list(heat) == ["frozen", "everything", "everything, remember"]
    assert heat["frozen"] <= heat["everything, remember"] < heat["everything"]

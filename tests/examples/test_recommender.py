"""The recommender: the funnel's truth, figures by another road, and the whole system, small."""

import pathlib
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[2] / "examples" / "systems"))

from recommender import __main__ as program
from recommender import funnel, measures, networks


@pytest.fixture(scope="module")
def rows():
    return funnel.make(20_000, 3)


def test_the_true_probabilities_are_those_of_the_labels(rows):
    for name in ("click", "purchase"):
        order = np.array_split(np.argsort(rows.truth[name]), 5)
        for part in order:
            error = 4 * np.sqrt(rows.truth[name][part].mean() / len(part))
            gap = rows.labels[name][part].mean() - rows.truth[name][part].mean()
            assert abs(gap) < error, name


def test_who_clicks_buys_more_often_than_the_others_would(rows):
    clicked = rows.labels["click"] == 1
    observed = rows.labels["conversion"][clicked].mean()
    assert observed > 1.2 * rows.truth["conversion"].mean()  # the bias that networks must undo
    assert observed > 1.05 * rows.truth["conversion"][clicked].mean()  # a part of it is hidden
    assert np.isnan(rows.labels["conversion"][~clicked]).all()
    assert np.isnan(rows.labels["dwell"][~clicked]).all()
    assert (rows.labels["purchase"] == np.nan_to_num(rows.labels["conversion"])).all()


def test_users_count_by_their_impressions_and_those_with_one_kind_of_label_not():
    labels, groups = np.array([0, 1, 0, 1, 0, 1, 1]), np.array([5, 5, 5, 7, 7, 9, 9])
    scores = np.array([0.1, 0.9, 0.8, 0.2, 0.6, 0.3, 0.4])
    assert measures.group_auc(labels, scores, groups) == pytest.approx((3 * 1 + 2 * 0) / 5)


def test_calibration_is_the_mean_gap_of_bins():
    scores = np.repeat([0.1, 0.6], 10)
    labels = np.concatenate([np.ones(3), np.zeros(7), np.ones(6), np.zeros(4)])
    assert measures.calibration(labels, scores, bins=2) == pytest.approx((0.2 + 0) / 2)


def test_bias_and_error_are_of_all_impressions(rows):
    better = {name: rows.truth[name] for name in ("click", "conversion", "purchase")}
    assert measures.figures(better, rows)["error"] == 0
    worse = better | {"conversion": 1.5 * rows.truth["conversion"]}
    figures = measures.figures(worse, rows)
    assert figures["bias"] == pytest.approx(50, abs=3)  # probabilities end at 1
    assert 0.05 < figures["error"] < 0.25 and "dwell R²" not in figures


def test_a_contender_is_trained_on_clicks_and_tells_rates_for_all():
    few = funnel.make(400, 4)
    (contender,) = networks.CONTENDERS["ESCM2, DR"]
    network = networks.train(contender, few, epochs=1)
    guess = networks.predict([network], few)
    assert {"click", "conversion", "purchase", "risk"} == set(guess)
    np.testing.assert_allclose(guess["purchase"], guess["click"] * guess["conversion"], rtol=1e-4)
    assert len(program.line([measures.figures(guess, few)])) == len(measures.COLUMNS)


@pytest.mark.slow
def test_all_contenders_are_measured_and_one_is_exported(tmp_path, capsys):
    rows = program.main(["measure", "--rows", "1000", "--epochs", "1", "--seeds", "2"])
    assert list(rows)[3:] == list(networks.CONTENDERS)
    model = tmp_path / "shop"
    program.main(["train", "--rows", "500", "--network", "ESCM2, DR", "--model", str(model)])
    assert (model / "1" / "saved_model.pb").is_file()
    assert "| the true probabilities |" in capsys.readouterr().out

"""The market watch: alarms against plain loops and stated rates, and the whole system, small."""

import pathlib
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[2] / "examples" / "systems"))

import tables
from market_watch import __main__ as program
from market_watch import alarms, planted, service, texts


def scores(size, share=0.5, seed=0):
    """Draws scores of a fair network: high for positive texts, low for the others."""
    rng = np.random.default_rng(seed)
    positive = (rng.random(size) < share).astype(int)
    return rng.beta(2 + 3 * positive, 5 - 3 * positive), positive


def test_the_sums_are_those_of_a_loop_over_scores():
    z, _ = scores(60)
    test = alarms.Cusum(mean=0.45, deviation=0.3, k=0.2)
    above = below = 0.0
    expected = []
    for value in (z - 0.45) / 0.3:
        above, below = max(0, above + value - 0.2), max(0, below - value - 0.2)
        expected.append(max(above, below))
    np.testing.assert_allclose(test.paths(z[None])[0], expected)


def test_the_service_counts_as_the_test_does_that_was_calibrated():
    z, _ = scores(400)
    test = alarms.PageHinkley(mean=0.1, deviation=0.3, k=0.05, quiet=30)  # the mean does not count
    running = service._Running()
    path = [max(running.add(test, score)) for score in z]
    np.testing.assert_allclose(path, test.paths(z[None])[0], atol=1e-12)
    assert max(path[:30]) == 0 and max(path) > 1


@pytest.mark.parametrize("kind", [alarms.Cusum, alarms.PageHinkley])
def test_false_alarms_come_as_often_as_stated_and_shifts_are_noticed(kind):
    known, positive = scores(5000)
    test = alarms.design(kind, known, positive, shift=0.4, run_length=400)
    rng = np.random.default_rng(1)
    alarmed, watched = planted.false_alarms(test, known, positive, positive.mean(), 800, 400, rng)
    assert 300 < watched / alarmed < 530
    delays = planted.delays(test, known, positive, (0.5, 0.1), 200, 400, 100, rng)
    assert len(delays) > 40 and np.median(delays) < 40
    none = planted.delays(test, known, positive, (0.5, 0.5), 200, 400, 100, rng)
    assert np.median(none) > 150


def test_a_reference_without_bad_texts_is_refused():
    with pytest.raises(ValueError, match="40 texts in the reference, and not both"):
        alarms.design(alarms.Cusum, np.ones(40), np.ones(40), shift=0.2, run_length=100)


def test_intervals_cover_the_mean_as_often_as_stated():
    rng = np.random.default_rng(0)
    runs = [tables.interval(rng.normal(3, 2, 4)) for _ in range(1000)]
    covered = np.mean([abs(mean - 3) < half for mean, half in runs])
    assert 0.93 < covered < 0.97
    lower, upper = tables.rate_interval(4, 100)
    np.testing.assert_allclose([lower, upper], [0.0109, 0.1024], atol=1e-4)  # tables of Poisson


def test_the_watch_is_trained_and_exported_and_tells_the_shift_that_was_planted(tmp_path):
    model = ["--model", str(tmp_path / "market")]
    program.main(["train", *model, "--rows", "1500", "--epochs", "6", "--run-length", "20000"])
    quiet, loud = texts.make(2400, 3), texts.make(2400, 4)
    bad = (loud.topic != 2) | (loud.positive == 0)  # all the news of the third topic are bad
    lines = [*quiet.text, *loud.text[bad]]
    running = service.Watch(tmp_path / "market")
    told = running.read(lines)
    assert told[0].startswith("electronics: sentiment has become worse")
    assert len(told) <= 2  # a reference of 60 texts per topic is small: one may be false
    place = running.series["electronics"]["alarms"][0][0]
    before = sum(quiet.topic == 2)
    assert before - 100 < place < before + 150  # some texts are taken for another topic
    page = running.page()
    assert page.count("<section>") == 6 and told[0] in page and "no alarm" in page


@pytest.mark.slow
def test_the_watch_measures_networks_and_alarms(tmp_path, capsys, monkeypatch):
    small = ["--rows", "1500", "--epochs", "6", "--seeds", "2", "--streams", "5"]
    rows = program.main(["measure", *small, "--run-length", "200"])
    assert list(rows) == ["CUSUM", "Page-Hinkley", "CUSUM, true topic and sentiment"]
    printed = capsys.readouterr().out
    assert "| TF-IDF, linear |" in printed and "| hard sharing, PCGrad |" in printed
    stream = tmp_path / "texts.txt"
    stream.write_text("\n".join(texts.make(60, 1).text))
    monkeypatch.chdir(tmp_path)
    program.main(["train", "--rows", "1500", "--epochs", "6", "--run-length", "200"])
    program.main(["watch", "--input", str(stream), "--page", "page.html"])
    assert "<h1>Sentiment watch</h1>" in (tmp_path / "page.html").read_text()

"""A study from the first trial to the network that is served."""

import csv
import json
import math

import keras
import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, roc_auc_score
from small_study import make_arrays, make_part, make_tasks, run, shared

import keras_mtl as mtl
from keras_mtl import BalancedModel, analysis, balancers, studies
from keras_mtl.studies._contenders._contender import BASELINE
from keras_mtl.studies._data._label_counts import count_labels

TASKS = ("click", "price")


def balanced(tasks):
    return BalancedModel(shared(tasks), tasks, balancers.Uncertainty())


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    contenders = {"searched": studies.searched(shared), "balanced": balanced}
    return run(
        contenders,
        budget=studies.Budget(trials=2, epochs=2, seeds=2),
        directory=tmp_path_factory.mktemp("study"),
    )


def seeds_of(study, contender):
    return [(job, training) for job, training in study.runs[contender]]


def predictions(study, contender):
    """Returns predictions of the test rows by task, `[S, n]`, read from the folder."""
    by_task = {name: {} for name in TASKS}
    for job, _ in seeds_of(study, contender):
        with np.load(study.folder / f"{job.path}.npz") as arrays:
            for name in job.network.names:
                by_task[name][job.number] = arrays[name][:, 0]
    return {name: np.stack([of[s] for s in sorted(of)]) for name, of in by_task.items()}


def test_trainings_that_end_at_their_best_are_counted(study):
    text = str(study)
    for name in study.runs:
        runs = seeds_of(study, name)
        by_hand = sum(
            training.best_epoch == max(map(len, training.curves.values())) - 1
            for _, training in runs
        )
        assert (f"{name} ({by_hand} of {len(runs)})" in text) == (by_hand > len(runs) / 2)
    assert "were best in their last epoch" in text  # two epochs are too few


@pytest.mark.parametrize("contender", ["balanced", "searched"])
def test_the_verdicts_are_those_of_analysis_on_the_predictions(study, contender):
    _, labels = make_arrays("test")
    before, after = (predictions(study, name) for name in (BASELINE, contender))
    expected = analysis.compare(labels, before, after, {"click": "auc", "price": "mae"})
    rows = study.comparisons[contender].rows
    for row, other in zip(rows, expected.rows, strict=True):
        assert (row.task, row.metric, row.num_rows) == (other.task, other.metric, other.num_rows)
        np.testing.assert_allclose(
            [row.baseline, row.contender, row.lower, row.upper, row.p],
            [other.baseline, other.contender, other.lower, other.upper, other.p],
            rtol=1e-12,
        )
    assert study.comparisons[contender].gain == pytest.approx(expected.gain, rel=1e-12)


def test_scores_equal_scikit_learn(study):
    _, labels = make_arrays("test")
    of_seeds = predictions(study, "searched")
    row = study.comparisons["searched"].row("click")
    aucs = [roc_auc_score(labels["click"], values) for values in of_seeds["click"]]
    assert row.contender == pytest.approx(np.mean(aucs), abs=1e-9)
    row = study.comparisons["searched"].row("price")
    known = ~np.isnan(labels["price"])
    errors = [mean_absolute_error(labels["price"][known], v[known]) for v in of_seeds["price"]]
    assert (row.contender, row.num_rows) == (pytest.approx(np.mean(errors)), known.sum())


def test_the_score_of_a_constant_stands_beside_the_verdicts(study):
    _, labels = make_arrays("test")
    median = np.nanmedian(make_arrays("train")[1]["price"])
    error = np.nanmean(np.abs(labels["price"] - median))
    assert study.floors == {"click": 0.5, "price": pytest.approx(error, rel=1e-6)}
    with (study.folder / "verdicts.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["constant"]) for row in rows] == [0.5, study.floors["price"]] * 2
    assert f"{study.floors['price']:.4g}" in str(study)


def test_p_values_are_corrected_for_all_contenders_together(study):
    rows = [row for comparison in study.comparisons.values() for row in comparison.rows]
    smallest = min(rows, key=lambda row: row.p)
    assert smallest.corrected_p == pytest.approx(min(1.0, len(rows) * smallest.p))


def test_every_network_has_the_same_budget(study):
    counts = {}
    for training in study.trainings:
        key = (training.contender, training.network, training.stage)
        counts[key] = counts.get(key, 0) + 1
        assert (training.epochs, training.steps) == (2, 6)
    networks = [(BASELINE, 0), (BASELINE, 1)]
    networks += [(name, 0) for name in ("searched", "balanced")]
    assert counts == {(*key, stage): 2 for key in networks for stage in ("trial", "seed")}


def test_trials_try_the_same_learning_rates_and_the_first_has_defaults(study):
    rates = {}
    for training in study.trainings:
        if training.stage == "trial":
            rates.setdefault((training.contender, training.network), []).append(
                training.learning_rate
            )
    assert len({tuple(values) for values in rates.values()}) == 1
    first, second = next(iter(rates.values()))
    assert first == pytest.approx(1e-3)
    assert second != first
    searched = [t for t in study.trainings if (t.contender, t.stage) == ("searched", "trial")]
    assert searched[0].weights == {"click": 1.0, "price": 1.0}
    assert sum(searched[1].weights.values()) == pytest.approx(2.0)
    assert searched[1].weights["click"] != 1.0


def test_the_chosen_setting_is_the_best_trial_by_validation_data(study):
    for contender in ("balanced", "searched"):
        trials = [t for t in study.trainings if (t.contender, t.stage) == (contender, "trial")]

        def gain(training, epoch):
            auc, mae = (training.curves[name][epoch] for name in TASKS)
            base = study.baselines
            return (auc - base["click"]) / base["click"] + (base["price"] - mae) / base["price"]

        best = max(trials, key=lambda t: max(gain(t, epoch) for epoch in range(2)))
        for _, training in seeds_of(study, contender):
            assert training.learning_rate == best.learning_rate
            assert training.weights == best.weights
            gains = [gain(training, epoch) for epoch in range(2)]
            assert training.best_epoch == int(np.argmax(gains))


def test_baselines_are_the_means_of_the_kept_epochs(study):
    for index, name in enumerate(TASKS):
        kept = [
            training.curves[name][training.best_epoch]
            for _, training in seeds_of(study, BASELINE)
            if training.network == index
        ]
        assert study.baselines[name] == pytest.approx(np.mean(kept))


@pytest.mark.parametrize("contender", [BASELINE, "balanced"])
def test_best_predicts_what_was_judged(study, contender):
    network = study.best(contender)
    assert not isinstance(network, BalancedModel)
    x, _ = make_arrays("test")
    served = network.predict(x, verbose=0)
    kept = predictions(study, contender)
    for name in TASKS:
        distances = np.abs(kept[name] - served[name][:, 0]).max(axis=1)
        assert distances.min() < 1e-6


def test_best_of_several_networks_is_exported_as_one(study, tmp_path):
    network = study.best(BASELINE)
    path = mtl.export.saved_model(network, make_tasks(), tmp_path / "1")
    x, _ = make_arrays("test")
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    served = loaded.signatures["serving_default"](tf.constant(x[:3]))
    expected = network.predict(x[:3], verbose=0)
    for name in TASKS:
        np.testing.assert_allclose(served[name], expected[name], atol=1e-6)


def test_the_best_contender_is_chosen_by_validation_data(study):
    means = {}
    for name in (BASELINE, *study.contenders):
        of_seed = {}
        for _, training in seeds_of(study, name):
            of_seed.setdefault(training.number, {}).update(training.values(training.best_epoch))
        base = study.baselines
        gains = [
            (v["click"] / base["click"] - 1 + 1 - v["price"] / base["price"]) / 2
            for v in of_seed.values()
        ]
        means[name] = np.mean(gains)
    assert study.best_name() == max(means, key=means.get)


def test_a_finished_study_is_read_and_not_trained_again(study, monkeypatch, capsys):
    def fail(*args, **kwargs):
        raise AssertionError("it trains")

    monkeypatch.setattr(keras.Model, "fit", fail)
    again = run(
        {"searched": studies.searched(shared), "balanced": balanced},
        budget=studies.Budget(trials=2, epochs=2, seeds=2),
        directory=study.folder,
        verbose=True,
    )
    assert str(again) == str(study)
    assert capsys.readouterr().out == ""


def test_the_folder_holds_the_tables_and_what_they_depend_on(study):
    with (study.folder / "verdicts.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert {row["contender"] for row in rows} == {"balanced", "searched"}
    assert float(rows[0]["score"]) == study.comparisons["searched"].rows[0].contender
    with (study.folder / "trainings.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(study.trainings)
    settings = json.loads((study.folder / "study.json").read_text())
    assert settings["versions"]["keras"] == keras.__version__
    assert settings["data"]["test"]["rows"] == 120


def test_the_table_names_the_baseline_the_budget_and_every_verdict(study):
    text = str(study)
    assert f"Baseline: {BASELINE}. Per network: 2 trials, 2 epochs, 2 seeds." in text
    assert text.count("undecided") >= sum(
        comparison.count("undecided") for comparison in study.comparisons.values()
    )


def test_curves_are_those_of_keras(study):
    """The best network, evaluated by Keras, has the validation metric that was written down."""
    network = study.best("searched")
    network.compile("sgd", **mtl.compile_args(make_tasks()))
    batches = mtl.data.mask_missing(make_part("validation"), make_tasks())
    logs = network.evaluate(batches, verbose=0, return_dict=True)
    kept = [t.values(t.best_epoch) for _, t in seeds_of(study, "searched")]
    assert any(
        math.isclose(logs["click_auc"], values["click"], abs_tol=1e-6)
        and math.isclose(logs["price_mae"], values["price"], rel_tol=1e-5)
        for values in kept
    )


def test_the_report_is_written_with_all_that_was_compared(study, tmp_path):
    study.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    for text in (
        "Did multi-task learning help?",
        "searched",
        "balanced",
        BASELINE,
        "learning rate",
    ):
        assert text in page
    numbers = json.loads((tmp_path / "report.json").read_text())
    assert str(study.comparisons["balanced"].rows[0].gain)[:12] in json.dumps(numbers)


def test_labels_are_counted_by_part(study):
    table = count_labels(study.plan.data, study.plan.tasks)
    assert [(row["part"], row["task"], row["rows"], row["labels"]) for row in table] == [
        (part, task, rows, int((~np.isnan(make_arrays(part)[1][task])).sum()))
        for part, rows in (("train", 96), ("validation", 80), ("test", 120))
        for task in TASKS
    ]
    _, labels = make_arrays("test")
    assert table[-1]["mean label"] == pytest.approx(np.nanmean(labels["price"]), rel=1e-5)
    assert table[-1]["missing %"] == pytest.approx(100 * np.isnan(labels["price"]).mean())


@pytest.mark.slow
def test_a_later_call_adds_a_contender_and_trains_nothing_else(tmp_path):
    def count(contenders, seeds):
        fits = []
        fit = keras.Model.fit

        def counted(self, *args, **kwargs):
            fits.append(self)
            return fit(self, *args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(keras.Model, "fit", counted)
            result = run(contenders, budget=studies.Budget(1, 1, seeds), directory=tmp_path)
        return len(fits), result

    first, one = count({"sharing": shared}, 1)
    second, two = count({"sharing": shared, "groups": studies.grouped(shared, [TASKS])}, 1)
    assert (first, second) == (3, 1)
    # More seeds would move the baseline's mean, by which settings and epochs were chosen.
    with pytest.raises(ValueError, match="holds another study, whose seeds was"):
        count({"sharing": shared}, 2)
    row, again = one.comparisons["sharing"].rows[0], two.comparisons["sharing"].rows[0]
    assert (row.contender, row.baseline) == (again.contender, again.baseline)

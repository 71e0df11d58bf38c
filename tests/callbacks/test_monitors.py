"""Monitors measure what analysis measures, change nothing, and survive a killed run."""

import json
import pathlib
import subprocess
import sys

import keras
import monitored_problem as problem
import numpy as np
import pytest
from monitored_problem import TASKS

import keras_mtl as mtl
from keras_mtl.analysis import affinity, gradient_gramian, relatedness
from keras_mtl.callbacks import AffinityMonitor, ConflictMonitor

KINDS = [ConflictMonitor, AffinityMonitor]


@pytest.mark.parametrize("unit", ["steps", pytest.param("epochs", marks=pytest.mark.slow)])
@pytest.mark.parametrize("balanced", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_training_is_the_same_to_the_last_bit(unit, balanced):
    states = []
    for callbacks in ([], problem.monitors(every=2 if unit == "steps" else 1, unit=unit)):
        model = problem.make(mtl.balancers.RandomWeighting() if balanced else None)
        # Arrays are shuffled by Keras; the last batch is smaller.
        model.fit(problem.X, problem.Y, batch_size=20, epochs=3, callbacks=callbacks, verbose=0)
        states.append(problem.state(model))
    assert callbacks[0].last.gramians.shape[0] and callbacks[1].affinity.steps > 3
    for without, beside in zip(*states, strict=True):
        np.testing.assert_array_equal(without, beside)


def test_numbers_of_the_conflict_monitor_are_those_of_analysis():
    data, model = problem.rows(), problem.make(mtl.balancers.PCGrad())

    def look(model):
        weights = model._step.state.stored_weights.numpy()  # in the order of the model's tasks
        order = [2, 0, 1]
        reordered = [TASKS[k] for k in order]
        measured = gradient_gramian(model, data, reordered)
        return measured.statistics(weights[order]), measured.noise_scale()

    looks = problem.AtEnds(look)
    monitor = ConflictMonitor([TASKS[k] for k in (2, 0, 1)], data)
    fit = model.fit(data, epochs=2, callbacks=[monitor, looks], verbose=0)
    for epoch, (statistics, noise) in enumerate(looks.results):
        logs = {name: values[epoch] for name, values in fit.history.items() if "/" in name}
        assert len(logs) == 22
        names = ("age", "price", "click")
        np.testing.assert_allclose(logs["cosine/age/click"], statistics.cosines[0, 2], rtol=1e-5)
        np.testing.assert_allclose(
            logs["magnitude/price/click"], statistics.magnitude_similarities[1, 2], rtol=1e-5
        )
        for k, name in enumerate(names):
            np.testing.assert_allclose(
                logs[f"direction/{name}"], statistics.direction_cosines[k], rtol=1e-4
            )
            np.testing.assert_allclose(logs[f"noise_scale/{name}"], noise.scales[k], rtol=1e-3)
        assert logs["conflict/rate"] == pytest.approx(statistics.conflict_rates[0.0])
        assert 0 <= logs["conflict/permuted_rate"] <= 1
        assert logs["tasks/effective"] == pytest.approx(statistics.effective_tasks, rel=1e-4)
        record = monitor.records[epoch]
        np.testing.assert_allclose(
            np.array(record["bounding_measures"], float),
            statistics.bounding_measures,
            rtol=1e-3,
        )
    assert not np.allclose(monitor.records[1]["weights"], 1)


def test_means_of_the_affinity_monitor_are_those_of_analysis():
    model = problem.make(mtl.balancers.Equal(), keras.optimizers.SGD(0.05, momentum=0.9))
    pair = problem.rows(12, 24)
    looks = problem.AtEnds(
        lambda model: (
            affinity(model, pair, TASKS, on="other"),
            # The second batch of a pair is judged; gradients are those of the first one.
            relatedness(model, problem.rows(12, 12), TASKS),
        )
    )
    monitor = AffinityMonitor(TASKS, pair)
    fit = model.fit(problem.rows(), epochs=2, callbacks=[monitor, looks], verbose=0)
    results, relations = zip(*looks.results, strict=True)
    marginal = np.mean([result.marginal for result in results], axis=0)
    np.testing.assert_allclose(monitor.affinity.marginal, marginal, atol=1e-5)
    np.testing.assert_allclose(
        monitor.affinity.benefit, np.mean([r.benefit for r in results], axis=0), atol=1e-5
    )
    for name in ("cosines", "fisher", "units"):
        expected = np.mean([getattr(r, name) for r in relations], axis=0)
        np.testing.assert_allclose(getattr(monitor.relatedness, name), expected, atol=1e-5)
    assert fit.history["affinity/price/age"][1] == pytest.approx(
        results[1].marginal[0, 2], abs=1e-5
    )
    assert fit.history["relatedness/price/age"][1] == pytest.approx(relations[1].fisher[0, 2])
    assert monitor.affinity.steps == monitor.relatedness.steps == 2


def test_steps_are_counted_over_epochs_and_executions():
    model = problem.make(mtl.balancers.Equal())
    model.compile("sgd", steps_per_execution=2)
    monitor = ConflictMonitor(TASKS, problem.rows(), every=5, unit="steps", permute=False)
    # Four steps per epoch, in pairs: the 6th, 10th and 16th are the first beyond 5, 10 and 15.
    fit = model.fit(problem.X, problem.Y, batch_size=24, epochs=4, callbacks=[monitor], verbose=0)
    assert [record["measurements"] for record in monitor.records] == [0, 1, 1, 1]
    assert [record["step"] for record in monitor.records] == [4, 8, 12, 16]
    assert np.isnan(fit.history["cosine/mean"][0]) and np.isnan(fit.history["tasks/effective"][0])
    assert len(fit.history["cosine/price/click"]) == 4
    assert np.isfinite(fit.history["magnitude/min"][1:]).any()


def resumable(file, kind):
    rows = problem.rows(8)  # three pairs: after two measurements, it is the third one's turn
    return kind(TASKS, rows, every=3, unit="steps", file=file)


@pytest.mark.parametrize(
    "kind", [pytest.param(ConflictMonitor, marks=pytest.mark.slow), AffinityMonitor]
)
def test_a_run_that_goes_on_has_the_records_of_one_that_did_not_stop(tmp_path, kind):
    records, means = [], []
    for name, stops in (("whole", [4]), ("parts", [2, 4])):
        model = problem.make(mtl.balancers.Equal())
        for before, stop in zip([0, *stops], stops, strict=False):
            monitor = resumable(tmp_path / name, kind)
            model.fit(
                problem.rows(),
                initial_epoch=before,
                epochs=stop,
                callbacks=[monitor],
                verbose=0,
            )
            if stop == 2:  # the epoch in which it was killed, and half a line of the next one
                with (tmp_path / name).open("a") as file:
                    file.write(json.dumps({"epoch": 2, "tasks": []}) + '\n{"epoch": 3, "ste')
        lines = (tmp_path / name).read_text().splitlines()
        records.append([json.loads(line) for line in lines])
        if kind is AffinityMonitor:
            means.append((monitor.affinity.marginal, monitor.affinity.steps))
        assert monitor.records == records[-1]
    whole, parts = records
    assert [record["epoch"] for record in whole] == [0, 1, 2, 3]
    assert sum(record["measurements"] for record in whole) == 5
    assert parts == whole
    if means:
        np.testing.assert_array_equal(means[0][0], means[1][0])
        assert means[0][1] == means[1][1] == 5
    other = kind(TASKS[:2], problem.rows().map(two_tasks), file=tmp_path / "whole")
    with pytest.raises(ValueError, match="is of a run with the tasks"):
        two = mtl.architectures.hard_sharing(keras.Input((6,)), TASKS[:2], shared=(4,))
        two.compile("sgd", **mtl.compile_args(TASKS[:2]))
        two.fit(
            problem.rows().map(two_tasks),
            initial_epoch=1,
            epochs=2,
            callbacks=[other],
            verbose=0,
            shuffle=False,
        )


def two_tasks(x, y):
    return x, {name: y[name] for name in ("price", "click")}


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path):
    script = pathlib.Path(__file__).with_name("killed_monitors.py")
    outcomes = []
    for name, kills in (("whole", [-1]), ("killed", [2, -1])):
        (tmp_path / name).mkdir()
        for kill in kills:
            command = [sys.executable, str(script), "--folder", str(tmp_path / name)]
            done = subprocess.run(
                [*command, "--kill-at", str(kill)], capture_output=True, text=True, check=False
            )
            assert done.returncode == (0 if kill < 0 else -9), done.stderr[-2000:]
        outcomes.append([(tmp_path / name / f).read_text() for f in ("a.jsonl", "c.jsonl")])
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0][0].splitlines()) == 4


@pytest.mark.slow
def test_callbacks_on_two_replicas_do_what_they_do_on_one_device(tmp_path):
    script = pathlib.Path(__file__).with_name("monitored_replicas.py")
    results = []
    for replicas in (1, 2):
        out = tmp_path / f"{replicas}.json"
        command = [sys.executable, str(script), "--replicas", str(replicas), "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        results.append(json.loads(out.read_text()))
    one, two = results
    assert set(one) == set(two) and len(one) > 50
    assert np.shape(one["rise/click_gate/click"]) == (3,)
    assert one["paused"] == [0, 1, 1, 1]
    before, after = np.transpose([one["refitted/click"], one["refitted/price"]])
    assert (after <= before).all() and (after < before).any()
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, rtol=1e-5, atol=1e-5, err_msg=name)


def shuffled():
    return problem.rows().unbatch().shuffle(48).batch(12)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"tasks": TASKS[:1]}, ValueError, "compares tasks with each other; .* 'price'"),
        ({"every": 0}, ValueError, "every is 0"),
        ({"unit": "rows"}, ValueError, "unit is 'rows'"),
        ({"rows": problem.X}, TypeError, "expected a tf.data.Dataset"),
        ({"rows": shuffled()}, ValueError, "they seem to be shuffled"),
        ({"rows": problem.rows(48)}, ValueError, "fewer than two batches"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_fit_is_refused_before_training(kind, arguments, error, message):
    model = problem.make()
    before = problem.state(model)
    with pytest.raises(error, match=message):
        monitor = kind(**{"tasks": TASKS, "rows": problem.rows(), **arguments})
        model.fit(problem.rows(), callbacks=[monitor], verbose=0, shuffle=False)
    for old, new in zip(before, problem.state(model), strict=True):
        np.testing.assert_array_equal(old, new)


def test_options_of_affinities_are_checked():
    with pytest.raises(ValueError, match="on is 'both'"):
        AffinityMonitor(TASKS, problem.rows(), on="both")
    with pytest.raises(ValueError, match="method is 'exact'"):
        AffinityMonitor(TASKS, problem.rows(), method="exact")
    with pytest.raises(ValueError, match="nothing has been measured yet"):
        _ = AffinityMonitor(TASKS, problem.rows()).affinity


def test_of_many_tasks_means_are_logged_and_matrices_are_recorded():
    data = mtl.datasets.synthetic_groups(9, 3, rows=64)
    network = mtl.architectures.hard_sharing(keras.Input((32,)), data.tasks, shared=(4,))
    network.compile("sgd", **mtl.compile_args(data.tasks))
    monitors = [kind(data.tasks, data.train.batch(16)) for kind in KINDS]
    batches = data.train.batch(32)
    fit = network.fit(batches, callbacks=monitors, verbose=0, shuffle=False)
    logged = {name for name in fit.history if "/" in name}
    assert logged == {
        *(f"{prefix}/{kind}" for prefix in ("cosine", "magnitude") for kind in ("mean", "min")),
        *(
            f"{prefix}/{kind}"
            for prefix in ("direction", "noise_scale")
            for kind in ("mean", "min")
        ),
        *(f"{prefix}/{kind}" for prefix in ("affinity", "relatedness") for kind in ("mean", "min")),
        *(f"conflict/{kind}rate{limit}" for kind in ("", "permuted_") for limit in ("", "_0.1")),
        "tasks/effective",
        "tasks/cooperation",
    }
    assert np.shape(monitors[0].records[0]["cosines"]) == (9, 9)

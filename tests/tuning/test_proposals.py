"""Hyper-parameters of Keras Tuner whose values Optuna proposes, in a general search."""

import keras
import keras_tuner
import optuna
import pytest
from small_search import TASKS, rows
from small_search import build as build_plain

import keras_mtl as mtl
from keras_mtl.tuning import search
from keras_mtl.tuning._optuna._hyper_parameters import ProposedHyperParameters

BASELINES = {"z": 0.5, "a": 0.7, "m": 0.6}


def declare(hp):
    """Declares hyper-parameters of all kinds; returns their values."""
    values = {
        "layers": hp.Int("layers", 1, 4),
        "units": hp.Int("units", 4, 64, step=4),
        "batch": hp.Int("batch", 2, 32, step=2, sampling="log"),
        "width": hp.Int("width", 1, 1000, sampling="log"),
        "rate": hp.Float("rate", 1e-4, 1e-1, sampling="log"),
        "keep": hp.Float("keep", 0.9, 0.999, sampling="reverse_log"),
        "drop": hp.Float("drop", 0.0, 0.5, step=0.125),
        "scale": hp.Float("scale", 0.01, 10, step=10, sampling="log"),
        "kind": hp.Choice("kind", ["a", "b"]),
        "norm": hp.Boolean("norm"),
        "fixed": hp.Fixed("fixed", 3),
    }
    with hp.name_scope("inner"):
        values["inner"] = hp.Choice("kind", [1, 2, 3])
    with hp.conditional_scope("kind", ["a"]):
        values["of_a"] = hp.Float("of_a", 5.0, 6.0)
    with hp.conditional_scope("kind", ["b"]):
        values["of_b"] = hp.Int("of_b", 7, 8)
    return values


def test_proposals_lie_in_the_declared_ranges_and_reach_them():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = []
    for _ in range(300):
        hp = ProposedHyperParameters(study.ask())
        drawn.append(declare(hp))
        assert declare(hp) == drawn[-1]  # asked again, as for another training of the trial
        for name, value in drawn[-1].items():
            stored = {"inner": "inner/kind"}.get(name, name)
            assert hp.values.get(stored) == value
        # A later call of `build` with the values alone gets the same ones.
        later = keras_tuner.HyperParameters()
        later.values = dict(hp.values)
        assert declare(later) == drawn[-1]
    seen = {name: {values[name] for values in drawn} - {None} for name in drawn[0]}
    assert seen["layers"] == {1, 2, 3, 4}
    assert seen["units"] == set(range(4, 65, 4))
    assert seen["batch"] == {2, 4, 8, 16, 32}
    assert seen["inner"] == {1, 2, 3} and seen["fixed"] == {3} and seen["norm"] == {True, False}
    assert seen["drop"] == {0.0, 0.125, 0.25, 0.375, 0.5}
    assert sorted(seen["scale"]) == pytest.approx([0.01, 0.1, 1.0, 10.0])
    assert 1 <= min(seen["width"]) <= 2 and 500 < max(seen["width"]) <= 1000
    # On a logarithmic scale, half of the draws lie below the geometric mean.
    for name, middle in (("rate", 10**-2.5), ("width", 1000**0.5)):
        assert 0.4 < sum(values[name] < middle for values in drawn) / 300 < 0.6
    # A reversed scale has most draws near the upper end, as Keras Tuner has it.
    assert min(seen["keep"]) >= 0.9 and max(seen["keep"]) <= 0.999
    for values in drawn:
        assert (values["of_a"] is None) == (values["kind"] == "b")
        assert (values["of_b"] is None) == (values["kind"] == "a")


def build(tasks, hp):
    """Builds a balanced model whose architecture, balancer and rate are searched."""
    builder = getattr(mtl.architectures, hp.Choice("architecture", ["hard_sharing", "mmoe"]))
    network = builder(keras.Input((3,)), tasks, tower=(hp.Int("units", 2, 4),))
    balancer = getattr(mtl.balancers, hp.Choice("balancer", ["Equal", "UPGrad"]))()
    model = mtl.BalancedModel(network, tasks, balancer)
    rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), run_eagerly=True)
    return model


def run(objective, tasks=TASKS[:2], build=build, **arguments):
    """Searches with two tasks."""
    names = [task.name for task in tasks]
    train, validation = rows(names), rows(names, seed=1)
    return search(build, tasks, train, validation, objective=objective, **arguments)


@pytest.mark.parametrize("weights", [pytest.param(False, marks=pytest.mark.slow), True])
def test_architecture_balancer_and_rate_are_searched_for_a_front(weights):
    tasks = [mtl.Task.regression("z", weight=0.5), TASKS[1]]
    result = run(
        ["task_gains"],
        tasks,
        baselines={"z": 0.5, "a": 0.7},
        max_trials=4,
        weights=weights,
    )
    names = {"architecture", "units", "balancer", "learning_rate"}
    for trial in result.trials:
        assert set(trial.hyperparameters) == names
        if not weights:
            assert trial.weights == {"z": 0.5, "a": 1.0}
    assert len({trial.hyperparameters["learning_rate"] for trial in result.trials}) == 4
    assert (len({trial.weights["z"] for trial in result.trials}) == 4) == weights
    point = result.front[-1]
    again = build(result.tasks_of(point), point.hp)
    assert type(again.balancer).__name__ == point.hyperparameters["balancer"]
    assert float(again.optimizer.learning_rate) == pytest.approx(
        point.hyperparameters["learning_rate"]
    )
    assert again.tasks[0].weight == point.weights["z"]


def test_one_objective_is_searched_with_keras_tuner():
    result = run(mtl.monitor(TASKS[0], "mae"), tuner="random", max_trials=3)
    assert isinstance(result.tuner, keras_tuner.RandomSearch)
    best = result.trials[0]
    assert result.hyperparameters == best.hyperparameters and best.weights == {"z": 1.0, "a": 1.0}
    assert set(best.hyperparameters) == {"architecture", "units", "balancer", "learning_rate"}
    again = build(result.tasks, result.hp)
    assert type(again.balancer).__name__ == best.hyperparameters["balancer"]


def test_a_search_of_weights_alone_is_a_search_whose_build_asks_for_nothing():
    tasks = TASKS[:2]
    data = rows(["z", "a"]), rows(["z", "a"], seed=1)
    arguments = {"objective": mtl.monitor(TASKS[0], "mae"), "tuner": "random", "max_trials": 3}
    general = search(build_plain, tasks, *data, weights=True, **arguments)
    thin = mtl.tuning.search_task_weights(build_plain, tasks, *data, **arguments)
    assert general.trials == thin.trials and general.score == thin.score


def test_a_weight_that_is_a_variable_stays_one_if_no_weights_are_searched():
    weight = keras.Variable(0.5)
    received = []

    def recording(tasks, hp):
        received.append(tasks[0].weight)
        return build(tasks, hp)

    tasks = [mtl.Task.regression("z", weight=weight), TASKS[1]]
    result = run(["gain/z", "gain/a"], tasks, recording, baselines={"z": 1, "a": 1}, max_trials=1)
    assert received == [weight] and result.front[0].weights["z"] == 0.5
    assert result.tasks_of(result.front[0])[0].weight is weight


def test_a_search_of_nothing_is_refused():
    with pytest.raises(TypeError, match=r"weights=False there is nothing.*build\(tasks, hp\)"):
        run(mtl.monitor(TASKS[0], "mae"), build=build_plain)

"""What trials try: learning rates, weights and hyper-parameters."""

import keras
import keras_tuner
import numpy as np
import pytest

from keras_mtl import Task, architectures, studies
from keras_mtl.studies._contenders._network import Network
from keras_mtl.studies._contenders._settings import (
    hyper_parameters_of_trial,
    rate_of_trial,
    weights_of_trial,
)


def test_the_first_rate_is_the_middle_and_all_lie_in_bounds():
    rates = [rate_of_trial((1e-4, 1e-2), trial) for trial in range(50)]
    assert rates[0] == pytest.approx(1e-3)
    assert min(rates) >= 1e-4
    assert max(rates) <= 1e-2


@pytest.mark.parametrize("count", [4, 8, 20])
def test_rates_leave_no_large_gap(count):
    """The largest gap on the logarithmic scale is at most 2.7 times that of an even grid."""
    rates = sorted(np.log10([rate_of_trial((1e-4, 1e-2), trial) for trial in range(count)]))
    gaps = np.diff([-4.0, *rates, -2.0])
    assert gaps.max() < 2.7 * 2.0 / (count + 1)


def test_equal_bounds_fix_the_rate():
    assert max(rate_of_trial((3e-3, 3e-3), trial) for trial in range(5)) == pytest.approx(3e-3)


def test_weights_are_equal_first_and_sum_to_the_number_of_tasks():
    assert weights_of_trial(["b", "a", "c"], 100.0, 0, seed=0) == {"b": 1.0, "a": 1.0, "c": 1.0}
    draws = [weights_of_trial(["b", "a", "c"], 100.0, trial, seed=0) for trial in range(1, 30)]
    for weights in draws:
        assert sum(weights.values()) == pytest.approx(3.0)
        assert max(weights.values()) / min(weights.values()) <= 100.0 * (1 + 1e-9)
    assert len({tuple(weights.values()) for weights in draws}) == 29


def test_weights_belong_to_names_and_not_to_their_order():
    one, other = (weights_of_trial(names, 50.0, 3, seed=1) for names in (["a", "b"], ["b", "a"]))
    assert one == pytest.approx(other)


def build_for(hp):
    if hp.Choice("kind", ["wide", "deep"]) == "wide":
        hp.Int("units", 8, 64, step=8, parent_name="kind", parent_values=["wide"])
    else:
        hp.Int("layers", 2, 9)
    return hp.Float("dropout", 0.0, 0.5)


def test_hyper_parameters_have_defaults_first_and_then_values_of_their_space():
    first = hyper_parameters_of_trial(build_for, 0, seed=0)
    assert first == {"kind": "wide", "units": 8, "dropout": 0.0}
    drawn = [hyper_parameters_of_trial(build_for, trial, seed=0) for trial in range(1, 60)]
    assert {values["kind"] for values in drawn} == {"wide", "deep"}
    assert {values["units"] for values in drawn} == set(range(8, 65, 8))
    assert all(0.0 <= values["dropout"] <= 0.5 for values in drawn)
    assert drawn == [hyper_parameters_of_trial(build_for, t, seed=0) for t in range(1, 60)]


def test_hyper_parameters_behind_a_choice_are_drawn_too():
    drawn = [hyper_parameters_of_trial(build_for, trial, seed=0) for trial in range(1, 60)]
    layers = {values["layers"] for values in drawn if values["kind"] == "deep"}
    assert len(layers) > 4  # the default alone would be one


def test_draws_of_a_hyper_parameter_do_not_depend_on_those_beside_it():
    def with_more(hp):
        hp.Int("more", 1, 4)
        return build_for(hp)

    one, other = (hyper_parameters_of_trial(b, 5, seed=2) for b in (build_for, with_more))
    assert one["dropout"] == other["dropout"]
    assert one["kind"] == other["kind"]


def tunable(tasks, hp):
    units = hp.Choice("units", [4, 6, 8])
    return architectures.hard_sharing(keras.Input((3,)), tasks, shared=(units,), tower=())


def network(build=tunable, **arguments):
    tasks = (Task.binary("click"), Task.binary("buy"))
    settings = {"optimizer": keras.optimizers.SGD, "rates": (0.1, 0.1), **arguments}
    return Network("x", 0, build, tasks, **settings)


@pytest.mark.parametrize("trial", range(4))
def test_a_network_is_built_with_the_hyper_parameters_of_its_trial(trial):
    settings = network().settings_of(trial, seed=0)
    model = network().make(settings, seed=1)
    assert model.trainable_variables[0].shape == (3, settings.hyper_parameters["units"])
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)


def test_a_seed_gives_the_same_network_whatever_was_drawn_before():
    settings = network().settings_of(1, seed=0)
    values = []
    for draws in (1, 7):
        np.random.rand(draws)
        keras.random.normal((draws,))
        model = network().make(settings, seed=5)
        values.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    np.testing.assert_array_equal(*values)
    other = network().make(settings, seed=6)
    assert not np.array_equal(values[0], np.concatenate([w.ravel() for w in other.get_weights()]))


def test_searched_weights_reach_the_compiled_loss():
    weighted = network(lambda tasks: tunable(tasks, keras_tuner.HyperParameters()), ratio=10.0)
    settings = weighted.settings_of(2, seed=0)
    assert settings.weights is not None
    compiled = weighted.make(settings, seed=0).get_compile_config()["loss_weights"]
    assert compiled == pytest.approx(settings.weights)


def test_a_compiled_network_keeps_its_optimizer():
    def build(tasks):
        import keras_mtl as mtl

        model = tunable(tasks, keras_tuner.HyperParameters())
        model.compile(keras.optimizers.Adam(0.25), **mtl.compile_args(tasks))
        return model

    compiled = network(build, is_compiled=True, rates=(1e-4, 1e-2))
    assert not compiled.has_choices
    settings = compiled.settings_of(0, seed=0)
    assert settings.learning_rate is None
    assert float(compiled.make(settings, seed=0).optimizer.learning_rate) == 0.25


@pytest.mark.parametrize("optimizer", ["adamw", keras.optimizers.AdamW])
def test_optimizers_by_name_and_by_class(optimizer):
    from keras_mtl.studies._contenders._read import read_optimizer

    new = read_optimizer(optimizer)(0.02)
    assert type(new) is keras.optimizers.AdamW
    assert float(new.learning_rate) == pytest.approx(0.02)


def test_a_budget_counts_trainings():
    assert studies.Budget(trials=3, seeds=2).trainings(num_networks=4) == 20

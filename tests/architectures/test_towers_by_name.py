"""Towers that differ between tasks: laws of every builder with towers, and the messages."""

import inspect

import keras
import numpy as np
import pytest
from all_cases import CASES, build, setting

import keras_mtl as mtl
from keras_mtl import Task, architectures

BUILDERS = {name: inspect.signature(getattr(architectures, name)) for name in architectures.__all__}
WITH_TOWERS = [name for name, signature in BUILDERS.items() if "tower" in signature.parameters]


def usual_tower(name):
    """Returns the units of the builder's case, or its default."""
    default = BUILDERS[name].parameters["tower"].default
    return tuple(CASES.get(name, {}).get("tower", default))


def build_seeded(name, tasks, tower):
    keras.utils.set_random_seed(0)
    return build(name, tasks, tower=tower)


def kernels_of(network):
    return {
        layer.name: tuple(layer.kernel.shape)
        for layer in network.layers
        if "_tower_" in layer.name and hasattr(layer, "kernel")
    }


def test_only_builders_without_towers_take_none():
    assert set(BUILDERS) - set(WITH_TOWERS) == {"joint_network"}


# Builders that read towers themselves, and one that leaves it to `end_towers`.
EVERYDAY = ("aitm", "cascade", "deep_bayesian", "escm2", "esmm", "hard_sharing", "pepnet")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in EVERYDAY else pytest.mark.slow)
        for name in WITH_TOWERS
    ],
)
def test_a_dict_gives_each_task_its_tower(name):
    tasks = setting(name).tasks(setting(name).usual_count)
    usual = usual_tower(name)
    network = build_seeded(name, tasks, usual)
    features = setting(name).features()
    expected = network(features)
    for key, value in build_seeded(name, tasks, {None: usual})(features).items():
        np.testing.assert_array_equal(value, expected[key])
    last = usual[-1] if usual else 5
    first = tasks[0].name
    other = build_seeded(name, tasks, {first: (9, 3, last), None: (*usual[:-1], last)})
    kernels, before = kernels_of(other), kernels_of(network)
    sizes = [kernels[f"{first}_tower_{i}"][-1] for i in range(3)]
    assert sizes == [9, 3, last]
    for key, shape in before.items():
        if not key.startswith(f"{first}_tower_"):
            assert kernels[key] == shape
    outputs = other(features)
    assert {key: value.shape for key, value in outputs.items()} == {
        key: value.shape for key, value in expected.items()
    }
    with pytest.raises(ValueError, match=r"tower: .*'nobody'; there are \["):
        build(name, tasks, tower={"nobody": (5,), None: (5,)})
    with pytest.raises(ValueError, match=f"the dict has no tower for '{first}'"):
        build(name, tasks, tower={})


def test_a_tower_of_a_dict_is_units_or_a_recipe():
    tasks = [Task.tagging("pos", 5), Task.binary("spam")]

    def pool(features):
        return keras.layers.GlobalAveragePooling1D()(features)

    def build_with(spam):
        return mtl.architectures.hard_sharing(
            keras.Input((None, 4)), tasks, tower={"pos": (6, 7), "spam": spam}
        )

    network = build_with(pool)
    assert network.output["pos"].shape == (None, None, 5)
    assert network.output["spam"].shape == (None, 1)
    assert network.get_layer("pos_tower_1").units == 7
    with pytest.raises(TypeError, match=r"spam_tower: expected positive units such as"):
        build_with((0,))
    with pytest.raises(ValueError, match=r"no tower for 'zoo'.*Add 'zoo': \(32,\), or None"):
        mtl.architectures.hard_sharing(
            keras.Input((4,)), [Task.binary("zoo"), Task.binary("a")], tower={"a": (3,)}
        )


def test_many_equal_towers_are_together_beside_others():
    tasks = [Task.binary(f"z{i}") for i in range(10)]
    network = mtl.architectures.hard_sharing(
        keras.Input((4,)), tasks, tower={"z3": (6,), None: (5,)}
    )
    assert network.get_layer("z3_tower_0").units == 6
    assert network.get_layer("towers_0").kernels[0].shape[0] == 9


def test_a_gate_of_pepnet_serves_the_tasks_of_its_width():
    tasks = [Task.binary("zoo"), Task.binary("b"), Task.binary("a")]
    network = mtl.architectures.pepnet(
        keras.Input((4,)), tasks, tower={"b": (6, 5, 4), None: (7, 5)}
    )
    names = {layer.name for layer in network.layers if "prior_gate" in layer.name}
    assert names == {
        "shared_prior_gate_0",
        "b_prior_gate_1",
        "shared_prior_gate_1_7",
        "shared_prior_gate_2",
        "b_prior_gate_3",
    }
    assert network.get_layer("b_gate_3").output.shape == (None, 4)

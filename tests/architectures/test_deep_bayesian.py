import keras
import numpy as np
import pytest
from funnel import SIZE, dense, impressions, moved_by, predict, randomize, tower
from scipy import special

from keras_mtl import Task, architectures

TASKS = [Task.binary("click"), Task.regression("stay"), Task.binary("comment"), Task.count("buys")]
PARENTS = {"stay": ["click"], "buys": ("click", "comment")}


def build(tasks=TASKS, **arguments):
    arguments = {"shared": (6,), "tower": (5,), "relation": (4,)} | arguments
    network = architectures.deep_bayesian(keras.Input((SIZE,)), tasks, **arguments)
    randomize(network)
    return network


@pytest.mark.parametrize("parents", [None, PARENTS], ids=["chain rule", "given"])
def test_each_target_reads_its_tower_and_its_parents(parents):
    network, x = build(parents=parents), 0.1 * impressions()[0]
    body, relations, expected = tower(network, "shared_body", x), {}, {}
    ends = {"click": special.expit, "comment": special.expit, "buys": np.exp}
    names = [task.name for task in TASKS]
    for i, name in enumerate(names):
        links = names[:i] if parents is None else parents.get(name, [])
        reads = [tower(network, f"{name}_tower", body), *(relations[parent] for parent in links)]
        relations[name] = tower(network, f"{name}_relation", np.concatenate(reads, -1))
        logits = dense(network, f"{name}_logits", relations[name])
        expected[name] = ends.get(name, lambda y: y)(logits)
    outputs = predict(network, x)
    for name in names:
        np.testing.assert_allclose(outputs[name], expected[name], rtol=1e-3, atol=1e-4)


def test_a_target_reaches_its_descendants_alone():
    network, (x, _) = build(parents=PARENTS), impressions()
    bias = network.get_layer("comment_relation_0").bias
    assert moved_by(network, bias, x) == {"comment", "buys"}
    assert moved_by(network, network.get_layer("stay_relation_0").bias, x) == {"stay"}


def test_no_parents_is_hard_sharing():
    network, (x, _) = build(parents={}), impressions()
    assert not [layer for layer in network.layers if layer.name.endswith("_reads")]
    assert moved_by(network, network.get_layer("click_relation_0").bias, x) == {"click"}


@pytest.mark.parametrize(
    ("parents", "match"),
    [
        ({"shop": ["click"]}, r"parents: \['shop'\] are no tasks; there are \['click', "),
        ({"click": ["stay"]}, r"task 'click': its parents must be .* received \['stay'\]"),
        ({"stay": ["stay"]}, r"task 'stay': its parents"),
        ({"stay": "click"}, r"task 'stay': its parents must be a list"),
    ],
)
def test_parents_that_are_no_earlier_tasks_are_refused(parents, match):
    with pytest.raises(ValueError, match=match):
        build(parents=parents)


def test_parents_that_are_no_dict_are_refused():
    with pytest.raises(TypeError, match=r"such as \{'buys': \['click'\]\}; received \['click'\]"):
        build(parents=["click"])

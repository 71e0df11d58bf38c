import keras
import numpy as np
import pytest
from expert_references import draw, experts, logits, randomize, softmax, value

from keras_mtl import Task, architectures

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3), Task.regression("mu")]


def build(**arguments):
    arguments = {"num_experts": 6, "expert": (6,), "tower": (5,)} | arguments
    return architectures.mmoeex(keras.Input((5,)), TASKS, **arguments)


def allowed(network):
    return np.array([network.get_layer(f"{task.name}_gate").allowed for task in TASKS])


def test_a_gate_is_a_softmax_over_the_experts_that_serve_its_task():
    network = build()
    randomize(network)
    x = draw(7, 5)
    expert_outputs, outputs = experts(network, "shared_experts", x), network(x)
    for task in TASKS:
        gate = network.get_layer(f"{task.name}_gate")
        served = [
            output for output, serves in zip(expert_outputs, gate.allowed, strict=True) if serves
        ]
        weights = softmax(x @ value(gate.kernel))
        mixed = sum(weights[:, i : i + 1] * output for i, output in enumerate(served))
        expected = logits(network, task.name, mixed)
        np.testing.assert_allclose(outputs[task.name], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("rule", "served"), [("exclusivity", 1), ("exclusion", 2)])
def test_the_drawn_experts_serve_one_task_or_all_but_one(rule, served):
    allowed_experts = allowed(build(rule=rule, fraction=0.5))
    np.testing.assert_array_equal(allowed_experts.sum(0), [served] * 3 + [3] * 3)


def test_lots_differ_by_seed_alone():
    first, again, other = (allowed(build(seed=seed)) for seed in (0, 0, 1))
    assert (first == again).all() and (first != other).any()


def test_a_task_without_an_expert_is_refused():
    with pytest.raises(ValueError, match=r"task '\w+': no expert is left to serve it"):
        build(num_experts=2, fraction=1.0)


@pytest.mark.parametrize("wrong", [{"rule": "both"}, {"fraction": 1.5}])
def test_rules_are_checked(wrong):
    with pytest.raises(ValueError, match='rule must be "exclusivity" or "exclusion"'):
        build(**wrong)

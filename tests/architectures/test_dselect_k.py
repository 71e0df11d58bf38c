import itertools

import keras
import numpy as np
import pytest
from expert_references import draw, experts, logits, randomize, softmax, value

import keras_mtl as mtl
from keras_mtl import Task, architectures, balancers

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3)]


def selection(layer, x):
    """Computes the gate's weights, code by code."""
    bits = int(np.ceil(np.log2(layer.num_experts)))
    z = (x @ value(layer.code_kernel) + value(layer.code_bias)).reshape(len(x), -1, bits)
    step = np.where(z <= -0.5, 0.0, np.where(z >= 0.5, 1.0, 0.5 + 1.5 * z - 2 * z**3))
    codes = list(itertools.product([0, 1], repeat=bits))[: layer.num_experts]
    chances = [np.prod(np.where(np.array(code) == 1, step, 1 - step), -1) for code in codes]
    weights = softmax(x @ value(layer.weight_kernel) + value(layer.weight_bias))
    return np.sum(weights[:, :, None] * np.stack(chances, -1), 1)


@pytest.mark.parametrize("num_experts", [3, 5, 8])
def test_a_task_reads_the_experts_that_its_gate_selects(num_experts):
    network = architectures.dselect_k(
        keras.Input((5,)), TASKS, num_experts=num_experts, expert=(6,), tower=(5,)
    )
    randomize(network)
    x = draw(7, 5)
    expert_outputs, outputs = experts(network, "shared_experts", x), network(x)
    for task in TASKS:
        weights = selection(network.get_layer(f"{task.name}_gate"), x)
        mixed = sum(weights[:, i : i + 1] * output for i, output in enumerate(expert_outputs))
        expected = logits(network, task.name, mixed)
        np.testing.assert_allclose(outputs[task.name], expected, rtol=1e-4, atol=1e-5)


def test_the_penalties_reach_the_loss_of_either_door():
    arguments = {"num_experts": 3, "expert": (6,), "tower": (), "entropy": 0.5}
    network = architectures.dselect_k(keras.Input((5,)), TASKS, **arguments)
    x = draw(8, 5)
    network(x)
    penalty = sum(float(loss) for loss in network.losses)
    assert len(network.losses) == len(TASKS) and penalty > 0.5
    labels = {"zeta": draw(8), "alpha": draw(8, 3)}
    network.compile("sgd", **mtl.compile_args(TASKS), run_eagerly=True)
    logs = network.evaluate(x, labels, verbose=0, return_dict=True)
    plain = logs["zeta_mean_loss"] + logs["alpha_mean_loss"]
    np.testing.assert_allclose(logs["loss"] - plain, penalty, rtol=1e-5)
    model = mtl.BalancedModel(network, TASKS, balancers.Equal())
    model.compile("sgd", run_eagerly=True)
    logs = model.train_on_batch(x, labels, return_dict=True)
    np.testing.assert_allclose(logs["loss"] - plain, penalty, rtol=1e-5)


def test_the_numbers_are_checked():
    with pytest.raises(ValueError, match="num_experts must be an integer of at least 2"):
        architectures.dselect_k(keras.Input((5,)), TASKS, num_experts=1)
    with pytest.raises(ValueError, match="num_selected must be an integer of at least 1"):
        architectures.dselect_k(keras.Input((5,)), TASKS, num_selected=0)

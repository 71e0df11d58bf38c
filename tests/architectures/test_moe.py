import keras
import numpy as np
from expert_references import draw, experts, logits, mixture, randomize

from keras_mtl import Task, architectures

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3)]


def test_all_tasks_read_the_mixture_of_one_gate():
    network = architectures.moe(keras.Input((5,)), TASKS, num_experts=3, expert=(6, 4), tower=(5,))
    randomize(network)
    x = draw(7, 5)
    mixed = mixture(network, "shared_gate", x, experts(network, "shared_experts", x))
    outputs = network(x)
    for task in TASKS:
        np.testing.assert_allclose(
            outputs[task.name], logits(network, task.name, mixed), rtol=1e-4, atol=1e-5
        )


def test_there_is_one_gate():
    network = architectures.moe(keras.Input((5,)), TASKS)
    names = [layer.name for layer in network.layers]
    assert [name for name in names if "gate" in name] == ["shared_gate"]

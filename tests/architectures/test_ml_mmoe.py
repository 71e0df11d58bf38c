import keras
import numpy as np
import pytest
from expert_references import draw, experts, logits, mixture, parallel, randomize, softmax, value

from keras_mtl import Task, architectures

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3)]


def test_an_expert_reads_the_mixture_of_its_own_gate_over_the_level_below():
    network = architectures.ml_mmoe(
        keras.Input((5,)), TASKS, num_levels=3, num_experts=3, expert=(6, 4), tower=(5,)
    )
    randomize(network)
    x = draw(7, 5)
    level = experts(network, "shared_experts_0", x)
    for i in (1, 2):
        kernel = value(network.get_layer(f"shared_gates_{i}").kernels[0])
        gates = [softmax(x @ kernel[:, e]) for e in range(3)]
        level = [sum(gate[:, j : j + 1] * level[j] for j in range(3)) for gate in gates]
        level = parallel(network, f"shared_experts_{i}_0", level)
        level = parallel(network, f"shared_experts_{i}_1", level)
    outputs = network(x)
    for task in TASKS:
        mixed = mixture(network, f"{task.name}_gate", x, level)
        expected = logits(network, task.name, mixed)
        np.testing.assert_allclose(outputs[task.name], expected, rtol=1e-4, atol=1e-5)


def test_recipes_compute_the_same_as_units():
    def recipe(features):
        return keras.layers.Dense(4, activation="relu")(features)

    arguments = {"num_experts": 2, "tower": ()}
    units = architectures.ml_mmoe(keras.Input((5,)), TASKS, expert=(4,), **arguments)
    network = architectures.ml_mmoe(keras.Input((5,)), TASKS, expert=recipe, **arguments)
    randomize(units)
    gates = value(units.get_layer("shared_gates_1").kernels[0])
    dense = [layer for layer in network.layers if layer.name.startswith("dense")]
    first, second = units.get_layer("shared_experts_0"), units.get_layer("shared_experts_1_0")
    for i in range(2):
        network.get_layer(f"shared_{i}_gate_1").set_weights([gates[:, i]])
        dense[i].set_weights([value(first.kernels[0])[:, i], value(first.biases[0])[i]])
        dense[2 + i].set_weights([value(second.kernel)[:, i], value(second.bias)[i]])
    for name in ("zeta_gate", "alpha_gate", "zeta_logits", "alpha_logits"):
        network.get_layer(name).set_weights(units.get_layer(name).get_weights())
    x = draw(7, 5)
    for name, output in units(x).items():
        np.testing.assert_allclose(output, network(x)[name], rtol=1e-5, atol=1e-6)


def test_the_counts_are_checked():
    with pytest.raises(ValueError, match="num_levels must be an integer of at least 1"):
        architectures.ml_mmoe(keras.Input((5,)), TASKS, num_levels=0)

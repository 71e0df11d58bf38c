import keras
import numpy as np
import pytest
import tensorflow as tf
from expert_references import draw, experts, logits, mixture, randomize, value

from keras_mtl import Task, architectures

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3)]
NAMES = [task.name for task in TASKS]


def build(levels, **arguments):
    arguments = {"num_shared_experts": 3, "expert": (6, 4), "tower": (5,)} | arguments
    return architectures.adatt(keras.Input((5,)), TASKS, num_levels=levels, **arguments)


def reference(network, x, levels, num_shared_experts):
    """Computes the outputs level after level, by equations 1 to 10."""
    units = [*NAMES, "shared"] if num_shared_experts else NAMES
    fused = dict.fromkeys(units, x)
    for level in range(levels):
        last = level == levels - 1
        owners = {unit: "shared" if unit == "shared" else f"shared_{unit}" for unit in units}
        experts_of = {
            unit: experts(network, f"{owners[unit]}_experts_{level}", fused[unit]) for unit in units
        }
        all_experts = [output for unit in units for output in experts_of[unit]]
        above = {}
        for unit in NAMES if last else units:
            prefix = unit if last else owners[unit]
            above[unit] = mixture(network, f"{prefix}_gate_{level}", fused[unit], all_experts)
            numbers = [1.0]  # one expert has the fixed weight 1
            if len(experts_of[unit]) > 1:
                numbers = value(network.get_layer(f"{prefix}_fusion_{level}").betas)
            for number, output in zip(numbers, experts_of[unit], strict=True):
                above[unit] = above[unit] + number * output
        fused = above
    return {name: logits(network, name, fused[name]) for name in NAMES}


@pytest.mark.parametrize(
    ("levels", "num_shared_experts", "num_task_experts"),
    [(1, 3, 2), (2, 3, 2), (3, 1, 1), (2, 0, 2), (2, 2, 1)],
)
def test_the_output_equals_the_papers_equations(levels, num_shared_experts, num_task_experts):
    counts = {"num_shared_experts": num_shared_experts, "num_task_experts": num_task_experts}
    network = build(levels, **counts)
    randomize(network)
    x = draw(7, 5)
    expected, outputs = reference(network, x, levels, num_shared_experts), network(x)
    for name in NAMES:
        np.testing.assert_allclose(outputs[name], expected[name], rtol=1e-4, atol=1e-5)


def test_the_direct_path_begins_as_the_mean_of_the_tasks_experts():
    network = build(2, num_task_experts=4)
    for name in ("shared_zeta_fusion_0", "shared_alpha_fusion_0", "zeta_fusion_1"):
        np.testing.assert_allclose(network.get_layer(name).betas, [0.25] * 4)


def test_a_task_reads_the_experts_of_another_task_at_the_last_level():
    network = build(1, num_shared_experts=0)
    kernel = network.get_layer("shared_alpha_experts_0").kernels[0]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(draw(7, 5))["zeta"] ** 2)
    assert np.abs(tape.gradient(loss, kernel.value)).max() > 0


def test_without_shared_experts_no_unit_is_shared():
    names = [layer.name for layer in build(3, num_shared_experts=0).layers]
    assert not [name for name in names if name.startswith(("shared_experts", "shared_gate"))]


def test_the_shared_unit_is_fused_at_all_levels_but_the_last():
    names = [layer.name for layer in build(3).layers]
    gates = [name for name in names if name.startswith("shared_gate")]
    assert gates == ["shared_gate_0", "shared_gate_1"]
    assert "shared_experts_2" in names


@pytest.mark.parametrize(
    ("count", "least"), [("num_levels", 1), ("num_task_experts", 1), ("num_shared_experts", 0)]
)
def test_the_counts_are_checked(count, least):
    with pytest.raises(ValueError, match=f"{count} must be an integer of at least {least}"):
        architectures.adatt(keras.Input((5,)), TASKS, **{count: least - 1})


def test_recipes_that_pool_a_sequence_are_gated_by_means():
    def recipe(features):
        if len(features.shape) == 3:
            features = keras.layers.GlobalMaxPooling1D()(features)
        return keras.layers.Dense(4)(features)

    network = architectures.adatt(keras.Input((None, 5)), TASKS, expert=recipe, tower=())
    assert network(draw(3, 6, 5))["alpha"].shape == (3, 3)
    assert network.get_layer("zeta_gate_1").output.shape == (None, 5)

import keras
import numpy as np
import pytest
import tensorflow as tf
from expert_references import (
    draw,
    experts,
    linear,
    logits,
    mixture,
    normalize,
    parallel,
    randomize,
    sigmoid,
    silu,
    softmax,
    value,
)

from keras_mtl import Task, architectures

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3), Task.regression("mu")]
NAMES = [task.name for task in TASKS]
GROUPS = {"watch": ["alpha"], "act": ["mu", "zeta"]}
GROUP_OF = {"zeta": "shared_act", "alpha": "shared_watch", "mu": "shared_act"}


def build(**arguments):
    arguments = {"groups": GROUPS, "expert": (6,), "tower": (5,)} | arguments
    return architectures.home(keras.Input((5,)), TASKS, **arguments)


def view(network, name, x):
    layer = network.get_layer(name)
    down, up = value(layer.down_kernel), value(layer.up_kernel)
    gate = softmax(x @ value(layer.gate_kernel))
    views = [2 * sigmoid(x @ down[:, i] @ up[:, i]) for i in range(layer.num_views)]
    return x * sum(gate[:, i : i + 1] * factors for i, factors in enumerate(views))


def expert_group(network, owner, x, suffix):
    x = view(network, f"{owner}_feature_gate{suffix}", x)
    layer = network.get_layer(f"{owner}_experts{suffix}")
    if hasattr(layer, "kernel"):  # two layers
        outputs = experts(network, f"{owner}_experts_hidden{suffix}", x, silu)
        outputs = parallel(network, f"{owner}_experts{suffix}", outputs, linear)
    else:
        outputs = experts(network, f"{owner}_experts{suffix}", x, linear)
    stacked = np.stack(outputs, 1)
    layer = network.get_layer(f"{owner}_normalization{suffix}").normalization
    stacked = normalize(layer, stacked.reshape(len(x), -1)).reshape(stacked.shape)
    return list(np.moveaxis(silu(stacked), 1, 0))


def with_self_gate(network, owner, x, outputs, mixed, suffix=""):
    kernel = value(network.get_layer(f"{owner}_self_gate{suffix}").kernel)
    weights = softmax(x @ kernel) if len(outputs) > 1 else sigmoid(x @ kernel)
    return mixed + sum(weights[:, i : i + 1] * output for i, output in enumerate(outputs))


def reference(network, x):
    groups = ["shared", "shared_watch", "shared_act"]
    group_experts = {group: expert_group(network, group, x, "_0") for group in groups}
    z = {}
    for group in groups:
        all_experts = [output for outputs in group_experts.values() for output in outputs]
        read = all_experts if group == "shared" else group_experts["shared"] + group_experts[group]
        mixed = mixture(network, f"{group}_gate_0", x, read)
        z[group] = with_self_gate(network, group, x, group_experts[group], mixed, "_0")
    group_experts = {group: expert_group(network, group, z[group], "_1") for group in groups}
    outputs = {}
    for task in NAMES:
        group = GROUP_OF[task]
        task_experts = expert_group(network, task, z[group], "_1")
        selector = np.concatenate([z[group], z["shared"]], -1)
        read = group_experts["shared"] + group_experts[group] + task_experts
        mixed = mixture(network, f"{task}_gate", selector, read)
        y = with_self_gate(network, task, z[group], task_experts, mixed)
        outputs[task] = y
    return outputs


def silu_logits(network, task, x):
    layer = network.get_layer(f"{task}_tower_0")
    x = silu(x @ value(layer.kernel) + value(layer.bias))
    return logits(network, task, x, 0)


@pytest.mark.parametrize(("count", "expert"), [(2, (6,)), (1, (6, 4))])
def test_the_output_equals_the_papers_equations(count, expert):
    network = build(num_experts=count, expert=expert)
    randomize(network)
    x = draw(7, 5)
    expected, outputs = reference(network, x), network(x)
    for task in NAMES:
        np.testing.assert_allclose(
            outputs[task], silu_logits(network, task, expected[task]), rtol=1e-3, atol=1e-4
        )


def test_a_task_does_not_see_the_experts_of_another_group_at_its_level():
    network = build()
    x = draw(7, 5)
    with tf.GradientTape(persistent=True) as tape:
        loss = tf.reduce_sum(network(x)["alpha"] ** 2)
    strange = network.get_layer("shared_act_experts_1").kernels[0]
    below = network.get_layer("shared_act_experts_0").kernels[0]
    assert tape.gradient(loss, strange.value) is None
    assert np.abs(tape.gradient(loss, below.value)).max() > 0  # through the shared abstract


def test_experts_are_normalized_one_by_one():
    network = build(num_experts=3)
    x = 100 + draw(64, 5)
    network(x, training=True)
    normalization = keras.Model(network.input, network.get_layer("shared_normalization_0").output)
    normal = np.asarray(normalization(x, training=True))
    np.testing.assert_allclose(normal.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(normal.std(0), 1, atol=0.05)


def test_recipes_are_experts_too():
    def recipe(features):
        return keras.layers.Conv2D(4, 3, strides=2, padding="same")(features)

    tasks = [Task.segmentation("zeta", 3), Task.segmentation("alpha", 2)]
    network = architectures.home(
        keras.Input((8, 8, 3)), tasks, num_experts=1, expert=recipe, tower=()
    )
    assert network(draw(1, 8, 8, 3))["zeta"].shape == (1, 2, 2, 3)


@pytest.mark.parametrize(
    "groups", [{"act": ["zeta", "mu"]}, {"act": NAMES, "watch": ["mu"]}, {"act": ["zeta", "nu"]}]
)
def test_groups_hold_every_task_once(groups):
    with pytest.raises(ValueError, match=r"groups must hold every task once: the tasks are \['z"):
        build(groups=groups)

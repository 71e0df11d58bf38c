import keras
import numpy as np
import pytest
from expert_references import draw, experts, logits, parallel, randomize, relu, sigmoid, value

from keras_mtl import Task, architectures

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3)]


def build(**arguments):
    arguments = {"num_subnetworks": 3, "subnetwork": (6,), "tower": (5,)} | arguments
    return architectures.snr(keras.Input((5,)), TASKS, **arguments)


def route(network, level, branches):
    layer = network.get_layer(f"shared_routing_{level}")
    z = np.clip(sigmoid(value(layer.log_alpha)) * 1.2 - 0.1, 0, 1)
    if layer.units is None:
        return [sum(z[i, j] * u for j, u in enumerate(branches)) for i in range(len(z))]
    size, kernel, bias = branches[0].shape[-1], value(layer.kernel), value(layer.bias)
    return [
        sum(z[i, j] * u @ kernel[j * size : (j + 1) * size, i] for j, u in enumerate(branches))
        + bias[i]
        for i in range(len(z))
    ]


@pytest.mark.parametrize("routing", ["transform", "average"])
def test_the_output_equals_the_papers_equations(routing):
    network = build(routing=routing, num_levels=3)
    randomize(network)
    x = draw(7, 5)
    level = experts(network, "shared_experts_0", x)
    for i in (1, 2):
        level = route(network, i, level)
        if routing == "transform":
            level = [relu(branch) for branch in level]
        else:
            level = parallel(network, f"shared_subnetworks_{i}_0", level)
    tops = route(network, 3, level)
    outputs = network(x)
    for task, top in zip(TASKS, tops, strict=True):
        top = relu(top) if routing == "transform" else top
        expected = logits(network, task.name, top)
        np.testing.assert_allclose(outputs[task.name], expected, rtol=1e-4, atol=1e-5)


def test_open_connections_to_all_make_one_shared_body():
    network = build(routing="average", num_levels=1, tower=())
    network.get_layer("shared_routing_1").log_alpha.assign(np.full((2, 3), 9.0))
    routes = keras.Model(
        network.input, [network.get_layer(f"{t.name}_route").output for t in TASKS]
    )
    first, second = routes(draw(7, 5))
    np.testing.assert_array_equal(first, second)


def test_recipes_are_sub_networks_where_routing_averages():
    def recipe(features):
        return keras.layers.Dense(4, activation="relu")(features)

    network = build(routing="average", subnetwork=recipe)
    assert sum(layer.name.startswith("dense") for layer in network.layers) == 2 * 3
    assert network(draw(7, 5))["alpha"].shape == (7, 3)


def test_the_routing_is_checked():
    with pytest.raises(ValueError, match='routing must be "transform" or "average"'):
        build(routing="mean")
    with pytest.raises(ValueError, match="num_levels must be an integer of at least 1"):
        build(num_levels=0)

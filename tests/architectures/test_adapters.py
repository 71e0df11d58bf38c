import keras
import numpy as np
import pytest
import tensorflow as tf
from expert_references import draw, randomize, relu, value
from pretrained_bodies import bert, images, mobile_net, sentences

import keras_mtl as mtl
from keras_mtl import Task, architectures, layers

TASKS = [Task.regression("zeta"), Task.multiclass("alpha", 3)]


def build(**arguments):
    return architectures.adapters(keras.Input((5,)), TASKS, **{"body": (6, 4)} | arguments)


def adapters_of(network, task):
    adapters = [layer for layer in network.layers if isinstance(layer, layers.Adapter)]
    return [adapter.name for adapter in adapters if adapter.name.startswith(f"{task}_")]


def test_a_task_reads_the_frozen_layers_with_its_adapters_behind_them():
    network = build(bottleneck=3)
    randomize(network)
    x = draw(7, 5)
    y = x
    for i in range(2):
        dense = network.get_layer(f"shared_body_{i}")
        y = relu(y @ value(dense.kernel) + value(dense.bias))
        adapter = network.get_layer(f"zeta_adapter_shared_body_{i}")
        narrow = relu(y @ value(adapter.down_kernel) + value(adapter.down_bias))
        assert narrow.shape == (7, 3)
        y = y + narrow @ value(adapter.up_kernel) + value(adapter.up_bias)
    head = network.get_layer("zeta_logits")
    expected = y @ value(head.kernel) + value(head.bias)
    np.testing.assert_allclose(network(x)["zeta"], expected, rtol=1e-4, atol=1e-4)


def test_adapters_start_near_the_identity_and_apart():
    first, second = layers.Adapter(64), layers.Adapter(64)
    x = draw(7, 32)
    changes = [value(adapter(x)) - x for adapter in (first, second)]
    assert 0 < np.abs(changes).max() < 0.1
    assert np.abs(value(first.down_kernel) - value(second.down_kernel)).max() > 0.01
    down, up = value(first.down_kernel), value(first.up_kernel)
    assert np.abs(down.ravel() - up.ravel()).max() > 0.01
    np.testing.assert_allclose([down.std(), np.abs(down).max()], [0.01, 0.02], rtol=0.2)


def test_layers_below_the_first_adapter_run_once_for_all_tasks():
    network = build(body=(6, 5, 4), after=["shared_body_1"])
    calls = {
        f"shared_body_{i}": len(network.get_layer(f"shared_body_{i}")._inbound_nodes)
        for i in range(3)
    }
    assert calls["shared_body_2"] == calls["shared_body_0"] + 1
    assert adapters_of(network, "alpha") == ["alpha_adapter_shared_body_1"]


def test_only_adapters_towers_and_heads_are_trained():
    network = build(tower=(3,))
    owners = {variable.path.split("/")[0] for variable in network.trainable_variables}
    parts = ["adapter_shared_body_0", "adapter_shared_body_1", "tower_0", "logits"]
    assert owners == {f"{task}_{part}" for task in ("zeta", "alpha") for part in parts}
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(draw(7, 5))["zeta"] ** 2)
    gradients = tape.gradient(loss, [variable.value for variable in network.trainable_variables])
    for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
        assert (gradient is not None) == variable.path.startswith("zeta"), variable.path


def test_an_application_is_shared_adapted_and_left_as_it_was(tmp_path):
    body = mobile_net()
    places = ["conv_pw_2_relu", "conv_pw_4_relu"]
    network = architectures.adapters(body.input, TASKS, body=body, bottleneck=4, after=places)
    adapter_params = sum(2 * 4 * size + size + 4 for size in (32, 64))
    assert network.count_params() == body.count_params() + 2 * adapter_params + 64 + 1 + 3 * 64 + 3
    frozen = body.get_weights()
    network.compile(keras.optimizers.SGD(0.1), **mtl.compile_args(TASKS), run_eagerly=True)
    start = np.asarray(network(images())["zeta"])
    network.train_on_batch(images(), {"zeta": np.ones(3), "alpha": np.array([0, 2, 1])})
    assert all(map(np.array_equal, frozen, body.get_weights()))
    assert np.abs(network(images())["zeta"] - start).max() > 0
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    assert again.count_params() == network.count_params()
    assert len(again.trainable_variables) == len(network.trainable_variables)
    np.testing.assert_array_equal(again(images())["alpha"], network(images())["alpha"])


def test_every_block_of_a_keras_hub_backbone_is_adapted(tmp_path):
    tasks = [Task.tagging("zeta", 3), Task.tagging("alpha", 2)]
    body = bert()
    network = architectures.adapters(body.input, tasks, body=body, bottleneck=3)
    blocks = [f"zeta_adapter_transformer_layer_{i}" for i in range(2)]
    assert adapters_of(network, "zeta") == blocks
    assert all(
        "adapter" in variable.path or "logits" in variable.path
        for variable in network.trainable_weights
    )
    for variable in network.trainable_weights:
        variable.assign(draw(*variable.shape) / 3)
    after = network(sentences())
    assert after["zeta"].shape == (2, 4, 3)
    np.testing.assert_allclose(network(sentences(7))["zeta"][1, :2], after["zeta"][1, :2], 1e-4)
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(again(sentences())["alpha"], after["alpha"])
    assert len(again.trainable_variables) == len(network.trainable_variables)


def test_a_sequential_body_and_a_layer_are_bodies():
    layers_of_it = [keras.layers.Dense(6, name="one"), keras.layers.Dropout(0.5, name="drop")]
    body = keras.Sequential([*layers_of_it, keras.layers.Dense(4, name="two")])
    network = build(body=body)
    names = ["zeta_adapter_one", "zeta_adapter_two"]
    assert adapters_of(network, "zeta") == names
    assert network.get_layer("one") is layers_of_it[0]
    assert adapters_of(build(body=keras.layers.Dense(3, name="d")), "zeta") == ["zeta_adapter_d"]


def test_a_layer_that_the_body_calls_twice_has_one_adapter_per_task():
    inputs = keras.Input((5,))
    twice = keras.layers.Dense(5, name="twice")
    body = keras.Model(inputs, twice(twice(inputs)))
    network = build(body=body)
    assert adapters_of(network, "zeta") == ["zeta_adapter_twice"]
    assert len(network.get_layer("zeta_adapter_twice")._inbound_nodes) == 2


def test_places_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"after: expected names.*'shared_body_1'.*received \['b"):
        build(after=["block"])
    with pytest.raises(ValueError, match="after: expected names"):
        build(body=keras.layers.LayerNormalization())
    with pytest.raises(ValueError, match="bottleneck must be an integer of at least 1"):
        build(bottleneck=0)

    class Opaque(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ValueError, match=r"no functional or sequential one.*Choose lora"):
        build(body=Opaque())
    states = keras.layers.LSTM(3, return_state=True, name="lstm")
    sequence = keras.Input((None, 5))
    body = keras.Model(sequence, states(sequence)[0])
    with pytest.raises(ValueError, match="after: 'lstm' returns"):
        architectures.adapters(sequence, TASKS, body=body)

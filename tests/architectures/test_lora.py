import keras
import numpy as np
import pytest
import tensorflow as tf
from expert_references import draw, randomize, relu, value
from pretrained_bodies import bert, images, mobile_net, sentences

import keras_mtl as mtl
from keras_mtl import Task, architectures, layers

TASKS = [Task.regression("zeta"), Task.multiclass("alpha", 3)]
LABELS = {"zeta": np.ones(3, "float32"), "alpha": np.array([0, 2, 1])}


def build(**arguments):
    return architectures.lora(keras.Input((5,)), TASKS, **{"body": (6, 4)} | arguments)


def body_of(network):
    return network.get_layer("shared_body").layer


def train(network, x, y, steps=2):
    """Trains a network; returns the largest changes of trained and of frozen variables."""
    network.compile(keras.optimizers.Adam(0.1), **mtl.compile_args(TASKS), run_eagerly=True)
    groups = network.trainable_weights, network.non_trainable_weights
    before = [[value(variable) for variable in group] for group in groups]
    network.fit(x, y, epochs=steps, batch_size=len(y["zeta"]), verbose=0)
    return [
        [np.abs(value(variable) - start).max() for variable, start in zip(*pair, strict=True)]
        for pair in zip(groups, before, strict=True)
    ]


def test_a_task_reads_the_frozen_kernels_plus_alpha_over_r_times_its_products():
    network = build(rank=2, alpha=3.0)
    randomize(network)
    x = draw(7, 5)
    factors = [value(factor) for factor in network.get_layer("zeta_lora").factors]
    y = x
    for i in range(2):
        dense = body_of(network).get_layer(f"shared_body_{i}")
        kernel = value(dense.kernel) + 3 / 2 * factors[2 * i] @ factors[2 * i + 1]
        y = relu(y @ kernel + value(dense.bias))
    head = network.get_layer("zeta_logits")
    expected = y @ value(head.kernel) + value(head.bias)
    np.testing.assert_allclose(network(x)["zeta"], expected, rtol=1e-4, atol=1e-4)


def test_training_starts_from_the_body_as_it_is():
    body = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1, name="dense")])
    tasks = [Task(name, head=lambda x: x, loss="mse") for name in ("zeta", "alpha")]
    network = architectures.lora(keras.Input((5,)), tasks, body=body)
    x = draw(7, 5)
    for task in ("zeta", "alpha"):
        np.testing.assert_array_equal(network(x)[task], body(x))


def test_every_factor_gets_a_gradient_of_its_own_task_alone():
    network = build(tower=(5,))
    randomize(network)
    variables = network.trainable_variables
    assert {variable.path.split("_")[0] for variable in variables} == {"zeta", "alpha"}
    for task in TASKS:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(network(draw(9, 5))[task.name] ** 2)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        for variable, gradient in zip(variables, gradients, strict=True):
            of_task = variable.path.startswith(task.name)
            assert (gradient is not None) == of_task, variable.path
            assert not of_task or np.abs(gradient).max() > 0, variable.path


def test_training_moves_all_factors_and_leaves_the_body():
    trained, frozen = train(build(), draw(3, 5), LABELS)
    assert len(trained) == 12 and min(trained) > 0
    assert len(frozen) == 4 and max(frozen) == 0


def test_an_application_is_shared_adapted_and_left_as_it_was(tmp_path):
    body = mobile_net()
    network = architectures.lora(body.input, TASKS, body=body, rank=2)
    shapes = network.get_layer("alpha_lora").shapes
    assert len(shapes) == 5 and shapes["conv1"] == (27, 8) and shapes["conv_pw_4"] == (32, 64)
    task_params = sum(2 * rows + 2 * columns for rows, columns in shapes.values())
    heads = 64 + 1 + 3 * 64 + 3
    assert network.count_params() == body.count_params() + 2 * task_params + heads
    trained, frozen = train(network, images(), LABELS, steps=1)
    assert max(trained) > 0 and max(frozen) == 0  # nor do its batch normalizations move
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    assert again.count_params() == network.count_params()
    assert len(again.trainable_variables) == len(network.trainable_variables)
    for task in ("zeta", "alpha"):
        np.testing.assert_array_equal(again(images())[task], network(images())[task])


def test_queries_and_values_of_a_keras_hub_backbone_are_adapted(tmp_path):
    tasks = [Task.tagging("zeta", 3), Task.tagging("alpha", 2)]
    body = bert()
    network = architectures.lora(body.input, tasks, body=body, rank=2, targets=["query", "value"])
    assert [*network.get_layer("zeta_lora").shapes.values()] == [(8, 8)] * 4
    names = [*network.get_layer("zeta_lora").shapes]
    assert names[0] == "transformer_layer_0_self_attention_layer_query"
    assert len(network.trainable_variables) == 2 * (2 * 4 + 2)
    x = sentences()
    before = {task: np.asarray(prediction) for task, prediction in network(x).items()}
    y = {"zeta": np.array([[0, 1, 2, 0]] * 2), "alpha": np.array([[0, 1, 1, 0]] * 2)}
    network.compile(keras.optimizers.Adam(0.1), **mtl.compile_args(tasks), run_eagerly=True)
    frozen = body.get_weights()
    network.fit(x, y, epochs=2, verbose=0)
    assert all(map(np.array_equal, frozen, body.get_weights()))
    after = network(x)
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    for task in ("zeta", "alpha"):
        assert np.abs(after[task] - before[task]).max() > 0.01
        np.testing.assert_allclose(network(sentences(7))[task][1, :2], after[task][1, :2], 1e-4)
        np.testing.assert_array_equal(again(x)[task], after[task])
    assert len(again.trainable_variables) == len(network.trainable_variables)


def test_a_tasks_factors_move_to_another_network():
    first, second = build(), build()
    randomize(first)
    second.get_layer("shared_body").set_weights(first.get_layer("shared_body").get_weights())
    for name in ("zeta_lora", "zeta_logits"):
        second.get_layer(name).set_weights(first.get_layer(name).get_weights())
    x = draw(7, 5)
    np.testing.assert_array_equal(first(x)["zeta"], second(x)["zeta"])
    assert np.abs(first(x)["alpha"] - second(x)["alpha"]).max() > 0.01


def test_one_tasks_part_holds_no_other_factors():
    network = build()
    part = keras.Model(network.input, {"zeta": network.output["zeta"]})
    factor_layers = [layer for layer in part.layers if isinstance(layer, layers.LowRankFactors)]
    assert [layer.name for layer in factor_layers] == ["zeta_lora"]


def test_a_network_made_from_its_config_has_one_body():
    network = build()
    again = keras.Model.from_config(network.get_config())
    assert again.count_params() == network.count_params()
    again.set_weights(network.get_weights())
    x = draw(7, 5)
    np.testing.assert_array_equal(again(x)["alpha"], network(x)["alpha"])


def test_a_balancer_of_gradients_finds_nothing_shared():
    with pytest.raises(ValueError, match=r"the tasks \['zeta', 'alpha'\] share none"):
        mtl.BalancedModel(build(), TASKS, mtl.balancers.PCGrad())

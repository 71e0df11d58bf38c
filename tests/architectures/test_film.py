import keras
import numpy as np
import pytest
from expert_references import dense, draw, linear, logits, randomize, relu, value

from keras_mtl import Task, architectures

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3)]


def modulate(network, i, task, x):
    layer = network.get_layer(f"shared_film_{i}")
    embedding = value(network.get_layer(f"{task}_embedding").embeddings)[0]
    scale, shift = np.split(embedding @ value(layer.kernel) + value(layer.bias), 2)
    return (1 + scale) * x + shift


def test_a_task_modulates_each_stage_before_its_activation():
    network = architectures.film(
        keras.Input((5,)), TASKS, body=(6, 4), embedding_units=3, tower=(5,)
    )
    randomize(network)
    x = draw(7, 5)
    outputs = network(x)
    for task in TASKS:
        y = x
        for i in range(2):
            y = relu(modulate(network, i, task.name, dense(network, f"shared_body_{i}", y, linear)))
        expected = logits(network, task.name, y)
        np.testing.assert_allclose(outputs[task.name], expected, rtol=1e-4, atol=1e-5)


def test_tasks_with_equal_embeddings_and_heads_are_equal():
    tasks = [Task.regression("zeta"), Task.regression("alpha")]
    network = architectures.film(keras.Input((5,)), tasks, body=(6,), tower=())
    x = draw(7, 5)
    assert np.abs(np.asarray(network(x)["zeta"] - network(x)["alpha"])).max() > 0.01
    for part in ("embedding", "logits"):
        weights = network.get_layer(f"zeta_{part}").get_weights()
        network.get_layer(f"alpha_{part}").set_weights(weights)
    np.testing.assert_array_equal(network(x)["zeta"], network(x)["alpha"])


def test_recipes_and_models_are_stages_of_which_there_is_one():
    calls = []

    def recipe(features):
        calls.append(1)
        return keras.layers.Conv2D(4, 3, padding="same")(features)

    model = keras.Sequential([keras.layers.Conv2D(5, 3), keras.layers.ReLU()])
    tasks = [Task.segmentation("zeta", 3), Task.segmentation("alpha", 2)]
    network = architectures.film(keras.Input((8, 8, 3)), tasks, body=[recipe, model], tower=())
    assert len(calls) == 1
    ranks = [len(variable.shape) for variable in network.trainable_variables]
    assert ranks.count(4) == 2 and len(model.trainable_variables) == 2
    assert network(draw(2, 8, 8, 3))["alpha"].shape == (2, 6, 6, 2)


def test_the_size_of_embeddings_is_checked():
    with pytest.raises(ValueError, match="embedding_units must be an integer of at least 1"):
        architectures.film(keras.Input((5,)), TASKS, embedding_units=0)

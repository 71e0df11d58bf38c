import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import signal, special

import keras_mtl as mtl
from keras_mtl import Head, Task, architectures

TASKS = [Task.segmentation("parts", 3), Task("depth", head=Head(1), loss="mae")]
EDGES = Task.segmentation("edges", 2)
INITIAL = {task.name: dataclasses.replace(task, name=f"initial_{task.name}") for task in TASKS}


def build(tasks=TASKS, **arguments):
    arguments = {"shared": (4,), "features": (3,), "tower": (5,)} | arguments
    return architectures.pad_net(keras.Input((6, 6, 2)), tasks, **arguments)


def images():
    return np.random.default_rng(0).normal(size=(2, 6, 6, 2)).astype("float32")


def predict(network):
    return {name: np.asarray(output) for name, output in network(images()).items()}


def convolve(layer, maps, activation=lambda x: x):
    """Computes a zero-padded correlation, channel by channel, in float64."""
    kernel, *bias = (np.asarray(array, "float64") for array in layer.get_weights())
    result = np.zeros((*maps.shape[:-1], kernel.shape[-1]))
    for b, i, o in np.ndindex(maps.shape[0], *kernel.shape[2:]):
        result[b, ..., o] += signal.correlate2d(maps[b, ..., i], kernel[..., i, o], "same")
    return activation(result + (bias[0] if bias else 0))


def relu(x):
    return np.maximum(x, 0)


def test_the_outputs_equal_the_equations():
    network = build(initial=INITIAL)
    layer = network.get_layer
    body = convolve(layer("shared_body_0"), images(), relu)
    maps = {t.name: convolve(layer(f"shared_{t.name}_maps_0"), body, relu) for t in TASKS}
    outputs = predict(network)
    for task, other in zip(TASKS, TASKS[::-1], strict=True):
        end = (lambda y: special.softmax(y, -1)) if task.name == "parts" else (lambda y: y)
        head = layer(f"initial_{task.name}_logits")
        initial = maps[task.name] @ np.asarray(head.kernel) + np.asarray(head.bias)
        np.testing.assert_allclose(outputs[f"initial_{task.name}"], end(initial), atol=1e-5)
        messages = layer(f"{task.name}_messages")
        gate = convolve(messages.attentions[0], maps[other.name], special.expit)
        distilled = maps[task.name] + gate * convolve(messages.messages[0], maps[other.name])
        top = convolve(layer(f"{task.name}_tower_0"), distilled, relu)
        head = layer(f"{task.name}_logits")
        expected = top @ np.asarray(head.kernel) + np.asarray(head.bias)
        np.testing.assert_allclose(outputs[task.name], end(expected), atol=1e-5)


def test_initial_predictions_are_trained_with_the_labels_of_their_tasks():
    network, tasks = build(initial=INITIAL), [*TASKS, *INITIAL.values()]
    before = network.get_layer("initial_parts_logits").get_weights()
    rng = np.random.default_rng(1)
    labels = {"parts": rng.integers(0, 3, (2, 6, 6)), "depth": rng.normal(size=(2, 6, 6))}
    labels |= {f"initial_{name}": values for name, values in labels.items()}
    network.compile("sgd", **mtl.compile_args(tasks), run_eagerly=True)
    logs = network.train_on_batch(images(), labels, return_dict=True)
    assert logs["loss"] == pytest.approx(sum(logs[f"{t.name}_mean_loss"] for t in tasks), rel=1e-5)
    after = network.get_layer("initial_parts_logits").get_weights()
    assert all(np.abs(a - b).max() > 0 for a, b in zip(after, before, strict=True))


def test_another_modality_sends_messages_and_receives_none():
    network = build(initial={"edges": EDGES})
    assert set(network.output) == {"parts", "depth", "edges"}
    assert len(network.get_layer("depth_messages").attentions) == 2
    assert "edges_messages" not in {layer.name for layer in network.layers}
    before = predict(network)
    kernel = network.get_layer("shared_edges_maps_0").kernel
    kernel.assign(kernel.value + 0.5)
    after = predict(network)
    assert all(np.abs(after[name] - before[name]).max() > 1e-4 for name in after)


def test_without_messages_tasks_do_not_know_of_each_other():
    network = build()
    for variable in network.get_layer("depth_messages").trainable_variables:
        variable.assign(tf.zeros_like(variable.value))
    before = predict(network)
    kernel = network.get_layer("shared_parts_maps_0").kernel
    kernel.assign(kernel.value + 0.5)
    after = predict(network)
    np.testing.assert_array_equal(after["depth"], before["depth"])
    assert np.abs(after["parts"] - before["parts"]).max() > 1e-4


def test_one_task_has_nobody_to_listen_to():
    network = build(TASKS[:1])
    assert not [layer for layer in network.layers if "messages" in layer.name]
    assert predict(network)["parts"].shape == (2, 6, 6, 3)


def test_a_model_is_the_body_and_a_recipe_a_tower():
    body = keras.Sequential([keras.Input((6, 6, 2)), keras.layers.Conv2D(4, 3, strides=2)])

    def enlarge(maps):
        return keras.layers.UpSampling2D(3, interpolation="bilinear")(maps)

    network = build(shared=body, tower=enlarge)
    assert body in network.layers
    assert predict(network)["depth"].shape == (2, 6, 6, 1)


@pytest.mark.parametrize("shape", [(4,), (None, 4)])
def test_rows_and_sequences_are_refused(shape):
    with pytest.raises(ValueError, match=r"neighboring pixels are convolved.* received the shape"):
        architectures.pad_net(keras.Input(shape), TASKS)
    with pytest.raises(ValueError, match="pad_net: neighboring pixels are convolved"):
        architectures.pad_net(keras.Input(shape), TASKS, shared=())


def test_live_layers_are_refused():
    live = keras.layers.Conv2D(3, 3, padding="same")
    with pytest.raises(TypeError, match="shared_parts_maps: received the live layer"):
        build(features=live)
    with pytest.raises(ValueError, match="'parts' and 'depth' share the layer"):
        build(features=lambda x: live(x))
    live = keras.layers.Conv2D(3, 3, padding="same")
    with pytest.raises(ValueError, match="'parts' and 'depth' share the layer"):
        build(tower=lambda x: live(x))


def test_initial_predictions_are_a_dict_of_tasks_with_names_of_their_own():
    with pytest.raises(TypeError, match="initial: expected a dict by the name of the task"):
        build(initial=[*INITIAL.values()])
    with pytest.raises(ValueError, match=r"different names.*'parts'"):
        build(initial={"parts": TASKS[0]})

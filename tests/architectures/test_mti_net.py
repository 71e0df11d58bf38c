import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Head, Task, architectures

TASKS = [Task.segmentation("parts", 3), Task("depth", head=Head(1), loss="mae")]
SCALES = (3, 4, 5)


def initial(count=3):
    return {
        task.name: [dataclasses.replace(task, name=f"{task.name}_at_{s}") for s in range(count)]
        for task in TASKS
    }


def build(tasks=TASKS, **arguments):
    arguments = {"shared": SCALES, "tower": (6,)} | arguments
    return architectures.mti_net(keras.Input((8, 8, 2)), tasks, **arguments)


@functools.cache
def built():
    return build(initial=initial())


@pytest.fixture
def network():
    """Yields one network for all tests, with initial predictions; restores its weights."""
    weights = built().get_weights()
    yield built()
    built().set_weights(weights)


def images():
    return np.random.default_rng(0).normal(size=(2, 8, 8, 2)).astype("float32")


def predict(network):
    return {name: np.asarray(output) for name, output in network(images()).items()}


def moved_by(network, variable):
    before, start = predict(network), np.asarray(variable)
    variable.assign(start + 0.3)
    after = predict(network)
    variable.assign(start)
    return {name for name in after if np.abs(after[name] - before[name]).max() > 1e-5}


def shape(network, name):
    return network.get_layer(name).output.shape[1:]


def test_each_task_has_maps_at_each_scale(network):
    for task in TASKS:
        assert shape(network, f"shared_{task.name}_maps_0") == (8, 8, 3)
        assert shape(network, f"shared_{task.name}_maps_1") == (4, 4, 4)
        assert shape(network, f"shared_{task.name}_maps_2") == (2, 2, 5)
        assert shape(network, f"{task.name}_messages_2") == (2, 2, 5)
        assert shape(network, f"{task.name}_scales") == (8, 8, 3 + 4 + 5)
        # the maps that the coarser scale hands on, beside the body's maps
        assert shape(network, f"shared_{task.name}_reads_1") == (4, 4, 4 + 5)
        assert shape(network, f"shared_{task.name}_reads_0") == (8, 8, 3 + 4)
    assert predict(network)["parts"].shape == (2, 8, 8, 3)


def test_coarse_maps_reach_fine_ones_and_not_the_other_way(network):
    coarse = moved_by(network, network.get_layer("shared_parts_maps_2").bias)
    assert coarse == set(network.output) - {"depth_at_2"}  # by propagation, and by messages
    fine = moved_by(network, network.get_layer("shared_parts_maps_0").bias)
    assert fine == {"parts", "depth", "parts_at_0"}


def silence(network, *parts):
    for layer in network.layers:
        if any(part in layer.name for part in parts):
            for variable in layer.trainable_variables:
                variable.assign(tf.zeros_like(variable.value))


def test_without_messages_and_propagation_tasks_do_not_know_of_each_other(network):
    silence(network, "messages", "propagation")
    moved = moved_by(network, network.get_layer("shared_parts_maps_1").bias)
    assert moved == {"parts", "parts_at_1", "parts_at_0"}


def test_messages_stay_at_their_scale(network):
    silence(network, "messages_0", "messages_2", "propagation")
    names = ("depth", *(f"depth_at_{s}" for s in range(3)))
    for scale in range(3):
        moved = moved_by(network, network.get_layer(f"shared_parts_maps_{scale}").bias)
        # maps that the task hands on to a finer scale are sent from there as a message
        assert moved & {*names} == ({"depth"} if scale else set())


def test_what_is_handed_on_is_the_task_s_own_and_the_joined_map_channel_by_channel(network):
    names = ["shared_depth_maps_2", "shared_propagation_2", "shared_depth_excitation_2_weights"]
    names += ["shared_depth_handed_2"]
    parts = keras.Model(network.input, [network.get_layer(name).output for name in names])
    task_maps, joined, weights, handed = (np.asarray(output) for output in parts(images()))
    assert weights.shape == (2, 1, 1, 5) and (weights > 0).all() and (weights < 1).all()
    np.testing.assert_allclose(handed, task_maps + joined * weights, rtol=1e-5)


def test_initial_predictions_are_as_large_as_the_finest_map_and_trained(network):
    extra = initial()
    tasks = [*TASKS, *extra["parts"], *extra["depth"]]
    assert {output.shape[1:3] for output in predict(network).values()} == {(8, 8)}
    rng = np.random.default_rng(1)
    labels = {"parts": rng.integers(0, 3, (2, 8, 8)), "depth": rng.normal(size=(2, 8, 8))}
    labels = {task.name: labels[task.name.split("_")[0]] for task in tasks}
    network.compile("sgd", **mtl.compile_args(tasks), run_eagerly=True)
    logs = network.train_on_batch(images(), labels, return_dict=True)
    assert logs["loss"] == pytest.approx(sum(logs[f"{t.name}_mean_loss"] for t in tasks), rel=1e-5)


def test_one_task_at_one_scale_is_a_plain_network():
    network = build(TASKS[:1], shared=(4,))
    names = [layer.name for layer in network.layers if layer.weights]
    assert names == ["shared_body_0", "shared_parts_maps_0", "parts_tower_0", "parts_logits"]


def backbone(sizes):
    images = keras.Input((32, 32, 3))
    maps = [keras.layers.Conv2D(4, 1, strides=size)(images) for size in sizes]
    return keras.Model(images, maps)


def test_a_model_with_maps_of_several_scales_is_the_body():
    body = backbone([4, 8, 32])
    network = architectures.mti_net(keras.Input((32, 32, 3)), TASKS, shared=body, tower=(5,))
    assert body in network.layers
    assert shape(network, "shared_parts_maps_2") == (1, 1, 4)
    assert network.output["depth"].shape == (None, 8, 8, 1)


def test_sizes_may_be_unknown():
    network = architectures.mti_net(keras.Input((None, None, 2)), TASKS, shared=SCALES, tower=())
    assert network(images())["parts"].shape == (2, 8, 8, 3)


@pytest.mark.parametrize("sizes", [[4, 6], [8, 4], [2, 4, 6]])
def test_maps_whose_sizes_are_no_multiples_are_refused(sizes):
    with pytest.raises(ValueError, match="must be a whole multiple of the next one's"):
        architectures.mti_net(keras.Input((24, 24, 3)), TASKS, shared=_recipe(sizes))


def _recipe(sizes):
    def body(images):
        return [keras.layers.Conv2D(4, 1, strides=size)(images) for size in sizes]

    return body


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (initial(2), r"initial\['parts'\]: expected one of .* a list of 3 tasks"),
        ({"depth": Task("at_0", head=Head(1), loss="mae")}, r"initial\['depth'\]: expected"),
        ({"edges": [Task.segmentation("edges", 2)]}, r"initial\['edges'\]"),
    ],
)
def test_initial_predictions_that_do_not_fit_are_refused(wrong, match):
    with pytest.raises(ValueError, match=match):
        build(initial=wrong)


def test_bodies_that_make_no_maps_are_refused():
    with pytest.raises(TypeError, match="shared: expected channels such as"):
        build(shared="resnet")
    with pytest.raises(TypeError, match="a body returns a list of maps; received None"):
        build(shared=lambda images: None)
    with pytest.raises(ValueError, match="shared is empty"):
        build(shared=())
    with pytest.raises(ValueError, match="mti_net: neighboring pixels are convolved"):
        architectures.mti_net(keras.Input((4,)), TASKS)
    with pytest.raises(ValueError, match="'parts' and 'depth' share the layer"):
        live = keras.layers.Conv2D(3, 3, padding="same")
        build(tower=lambda maps: live(maps))

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task, architectures

TASKS = [Task.regression("click"), Task.regression("buy"), Task.regression("return")]


def build(**arguments):
    return architectures.partial_sharing(
        keras.Input((5,)), TASKS, **{"body": (4, 4), "tower": ()} | arguments
    )


def users(network):
    """Returns the sets of tasks that use each kernel of the body, largest sets first."""
    kernels = [v for v in network.trainable_variables if "body" in v.path and "kernel" in v.name]
    used = {kernel.path: set() for kernel in kernels}
    for task in TASKS:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(network(np.ones((2, 5)))[task.name] ** 2)
        gradients = tape.gradient(loss, [kernel.value for kernel in kernels])
        for kernel, gradient in zip(kernels, gradients, strict=True):
            if gradient is not None:
                used[kernel.path].add(task.name)
    return sorted(used.values(), key=lambda names: (-len(names), sorted(names)))


ALL = {"click", "buy", "return"}
OWN = [{"buy"}, {"click"}, {"return"}]


@pytest.mark.parametrize(
    ("sharing", "expected"),
    [
        (None, [ALL, *OWN]),
        ([True, True], [ALL, ALL]),
        ([False, False], sorted(OWN + OWN, key=sorted)),
        ([False, True], [ALL, *OWN]),
        ([True, [["return", "buy"]]], [ALL, {"buy", "return"}, {"click"}]),
        (
            [[["click", "buy"]], [["buy", "return"]]],
            [{"buy", "click"}, {"buy", "return"}, {"click"}, {"return"}],
        ),
    ],
)
def test_a_layer_is_used_by_the_tasks_of_its_group(sharing, expected):
    assert users(build(sharing=sharing)) == expected


def test_a_layer_shared_above_others_is_one_map_of_each_tasks_features():
    network = build(sharing=[False, True])
    features = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    block = network.get_layer("shared_body_1")
    for task in ("click", "buy", "return"):
        hidden = block(network.get_layer(f"{task}_body_0")(features))
        expected = network.get_layer(f"{task}_logits")(hidden)
        np.testing.assert_allclose(network(features)[task], expected, rtol=1e-5)


def test_features_that_several_tasks_share_are_computed_once():
    network = build(sharing=[True, True])
    assert len(network.get_layer("shared_body_1")._inbound_nodes) == 1


def test_a_layer_shared_above_others_is_balanced_as_shared():
    network = build(sharing=[False, True])
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.PCGrad())
    model.compile("sgd")
    features = np.ones((4, 5), "float32")
    labels = {task.name: np.ones(4, "float32") for task in TASKS}
    before = np.asarray(network.trainable_variables[0])
    model.fit(features, labels, verbose=0)
    assert np.isfinite(network.get_weights()[0]).all()
    assert np.abs(np.asarray(network.trainable_variables[0]) - before).max() > 0


def test_each_group_begins_with_a_copy_of_a_model():
    body = keras.layers.Dense(4)
    body.build((None, 5))
    network = build(body=[body], sharing=[[["click", "buy"]]])
    for name in ("shared_click_buy_body_0", "return_body_0"):
        np.testing.assert_array_equal(network.get_layer(name).kernel, body.kernel)
        assert network.get_layer(name) is not body


@pytest.mark.parametrize(
    ("sharing", "error", "message"),
    [
        ([True], ValueError, "one entry for each of the 2 stages"),
        (True, ValueError, "one entry for each of the 2 stages"),
        ([True, "buy"], TypeError, r"sharing\[1\] must be True, False or groups"),
        ([True, ["buy", "return"]], TypeError, r"sharing\[1\] must be True, False or groups"),
        ([[["buy", "rent"]], True], ValueError, r"sharing\[0\] must hold groups of the tasks"),
        ([[["buy"], ["buy", "click"]], True], ValueError, "each task once"),
        ([[[]], True], ValueError, "each task once"),
    ],
)
def test_sharing_is_checked(sharing, error, message):
    with pytest.raises(error, match=message):
        build(sharing=sharing)


def test_one_layer_for_features_of_different_shape_is_refused():
    sizes = iter([3, 4, 5])
    with pytest.raises(ValueError, match="shared_body_1: one layer cannot read features of the"):
        build(body=[lambda x: keras.layers.Dense(next(sizes))(x), 4], sharing=[False, True])

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import Task, architectures

TASKS = [Task.regression("pos"), Task.regression("entity"), Task.regression("argument")]


def build(tasks=TASKS, **arguments):
    return architectures.hierarchical(
        keras.Input((5,)), tasks, **{"body": (4, 4, 4), "tower": ()} | arguments
    )


def stages_that_learn_from(network, task):
    """Returns the stages of the body that a task's loss reaches."""
    kernels = [layer.kernel for layer in network.layers if layer.name.startswith("shared_body")]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(np.ones((2, 5)))[task] ** 2)
    gradients = tape.gradient(loss, [kernel.value for kernel in kernels])
    return [i for i, gradient in enumerate(gradients) if gradient is not None]


@pytest.mark.parametrize("shortcut", [False, True])
def test_a_task_trains_the_stages_up_to_its_own(shortcut):
    network = build(levels={"argument": 1, "pos": 0, "entity": 2}, shortcut=shortcut)
    assert stages_that_learn_from(network, "pos") == [0]
    assert stages_that_learn_from(network, "argument") == [0, 1]
    assert stages_that_learn_from(network, "entity") == [0, 1, 2]


@pytest.mark.parametrize(
    ("stages", "expected"),
    [(1, [[0], [0], [0]]), (2, [[0], [0, 1], [0, 1]]), (3, [[0], [0, 1], [0, 1, 2]])],
)
def test_stages_are_spread_over_the_tasks_in_their_order(stages, expected):
    network = build(body=(4,) * stages)
    assert [stages_that_learn_from(network, task.name) for task in TASKS] == expected


def test_a_shortcut_joins_the_features_to_those_of_the_stage_below():
    network = build(body=(4, 3), shortcut=True)
    assert network.get_layer("shared_body_0").kernel.shape == (5, 4)
    assert network.get_layer("shared_body_1").kernel.shape == (9, 3)


def test_the_stages_of_a_model_are_part_of_the_network():
    body = [keras.layers.Dense(4), keras.layers.LSTM(3, return_sequences=True)]
    tasks = [Task.tagging("pos", 4), Task.tagging("entity", 3)]
    network = architectures.hierarchical(keras.Input((None, 5)), tasks, body=body)
    assert all(layer in network.layers for layer in body)


def test_a_shortcut_over_a_stage_that_pools_is_refused():
    body = [keras.layers.GlobalAveragePooling1D(), 4]
    with pytest.raises(ValueError, match="shared_shortcut_1: the stage below ends in"):
        architectures.hierarchical(keras.Input((3, 5)), TASKS, body=body, shortcut=True)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({"pos": 0}, "levels must give a stage for each task"),
        ([0, 1, 2], "levels must give a stage for each task"),
        ({"pos": 0, "entity": 3, "argument": 1}, "task 'entity': its level must be a stage"),
        ({"pos": -1, "entity": 2, "argument": 1}, "task 'pos': its level must be a stage"),
        ({"pos": 0, "entity": 1, "argument": 1}, "end below stage 2, which no task would train"),
    ],
)
def test_levels_are_checked(levels, message):
    with pytest.raises(ValueError, match=message):
        build(levels=levels)

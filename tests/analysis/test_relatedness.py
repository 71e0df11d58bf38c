"""Relations without signs, beside those of a plain tape, and the laws."""

import keras
import numpy as np
import probed_networks as problem
import pytest
import tensorflow as tf
from probed_networks import TASKS

import keras_mtl as mtl
from keras_mtl.analysis import group_tasks, relatedness


def cosines(rows):
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit @ unit.T


@pytest.fixture(scope="module")
def network():
    return problem.of_a_user(TASKS)


def test_all_measures_are_those_of_a_plain_tape(network):
    shared = [v for v in network.trainable_variables if "dense" in v.path or "batch" in v.path]
    shared = [v for v in shared if v.path.split("/")[0] not in ("price", "click", "age")]
    batches = list(problem.batches(TASKS))
    gradients = [problem.plain_gradients(network, TASKS, batch, shared) for batch in batches]
    result = relatedness(network, problem.batches(TASKS), TASKS)
    assert result.steps == 4
    expected = np.mean([np.abs(cosines(rows)) for rows in gradients], axis=0)
    np.testing.assert_allclose(result.cosines, expected, atol=1e-5)
    fisher = np.sqrt(np.mean([rows**2 for rows in gradients], axis=0))
    np.testing.assert_allclose(result.fisher, cosines(fisher), atol=1e-5)

    trunk = keras.Model(network.input, network.get_layer("price").input)
    heads = keras.Model(
        trunk.output, {task.name: network.get_layer(task.name)(trunk.output) for task in TASKS}
    )
    importance = 0.0
    for x, y, w in batches:
        units = trunk(x)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(units)
            losses = problem.plain_losses(heads, TASKS, (units, y, w))
        importance += np.array([np.abs(units * tape.gradient(L, units)).sum(0) for L in losses])
    np.testing.assert_allclose(result.units, cosines(importance), atol=1e-5)


def test_labels_and_their_opposite_are_one_task():
    tasks = [mtl.Task.regression(name) for name in ("up", "down", "other")]
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(8, activation="tanh")(inputs)
    outputs = {task.name: keras.layers.Dense(1, name=task.name)(hidden) for task in tasks}
    network = keras.Model(inputs, outputs)
    kernel = network.get_layer("up").get_weights()
    network.get_layer("down").set_weights([-value for value in kernel])
    labels = {"up": problem.X[:, 0], "down": -problem.X[:, 0], "other": problem.X[:, 1]}
    data = tf.data.Dataset.from_tensor_slices((problem.X, labels)).batch(12)
    result = relatedness(network, data, tasks, permute=True)
    for matrix in (result.cosines, result.fisher, result.units):
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
        np.testing.assert_allclose(np.diagonal(matrix), 1, atol=1e-6)
        assert matrix[0, 1] == pytest.approx(1, abs=1e-5)
        assert matrix[0, 2] < 0.99
        grouping = group_tasks(matrix, tasks=result.tasks, networks=2, alone=0.5)
        assert ("up", "down") in grouping.groups or len(grouping.groups) == 1
    assert 0 < result.permuted < 1
    assert "absolute cosine of permuted rows" in str(result)


def test_laws(network):
    before = problem.state(network)
    data, order = problem.batches(TASKS), [1, 2, 0]
    one = relatedness(network, data, TASKS, permute=True)
    for old, new in zip(before, problem.state(network), strict=True):
        np.testing.assert_array_equal(old, new)
    two = relatedness(network, data, [TASKS[k] for k in order], steps=4)
    scaled = [mtl.Task.regression("price", weight=20.0), *TASKS[1:]]
    three = relatedness(network, data, scaled)
    for name in ("cosines", "fisher", "units"):
        matrix = getattr(one, name)
        np.testing.assert_allclose(getattr(two, name), matrix[order][:, order], atol=1e-5)
        np.testing.assert_allclose(getattr(three, name), matrix, atol=1e-5)


def test_a_task_without_labels_is_nan():
    labels = {task.name: problem.LABELS[task.name] for task in TASKS}
    weights = {task.name: problem.WEIGHTS[task.name] for task in TASKS}
    weights["click"] = np.zeros(48, "float32")
    data = tf.data.Dataset.from_tensor_slices((problem.X, labels, weights)).batch(24)
    result = relatedness(problem.plain(TASKS), data, TASKS)
    for matrix in (result.cosines, result.fisher, result.units):
        assert np.isnan(matrix[1]).all() and np.isnan(matrix[:, 1]).all()
        assert not np.isnan(matrix[::2, ::2]).any()


def test_what_is_no_dataset_is_refused(network):
    with pytest.raises(TypeError, match=r"expected a tf.data.Dataset of \(x, y\)"):
        relatedness(network, (problem.X, problem.LABELS), TASKS)
    with pytest.raises(ValueError, match="the dataset is empty"):
        relatedness(network, problem.batches(TASKS).take(0), TASKS)

"""Tasks cut out of a network of every architecture predict and learn as they did in it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from all_cases import build, built, setting

from keras_mtl import architectures, export

# Random in training: their layers draw once per branch, so that fewer branches draw other numbers.
DRAWN = {"adashare", "ltb", "snr"}
# All tasks call one batch normalization, whose statistics then move with the kept tasks alone.
MOVED = {"mtan"}
EVERYDAY = {
    *("aitm", "cgc", "cross_stitch", "escm2", "joint_network"),
    *("lora", "ltb", "mmoeex", "snr"),
}
NAMES = [
    pytest.param(name, marks=() if name in EVERYDAY else pytest.mark.slow)
    for name in architectures.__all__
]
# Which of the tasks are kept, by their places, which are permuted in the last two.
KEPT = {"first": [0], "last": [-1], "two": [-1, 0], "all": None}
CASES = [
    pytest.param(*name.values, kept, marks=() if kept == "two" and not name.marks else slow)
    for slow in [pytest.mark.slow]
    for name in NAMES
    for kept in KEPT
]


def randomize(network):
    """Assigns random values, since zeros of biases and equal starts hide faults."""
    rng = np.random.default_rng(0)
    for variable in network.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) / 3)


def names_of(tasks, kept):
    names = [task.name for task in tasks]
    places = range(len(names))[::-1] if KEPT[kept] is None else KEPT[kept]
    return list(dict.fromkeys(names[place] for place in places))


def gradients_of(network, names, x, training):
    """Returns the gradient of the sum of squares of some outputs, by the path of the variable."""
    with tf.GradientTape() as tape:
        outputs = network(x, training=training)
        loss = tf.add_n([tf.reduce_sum(outputs[name] ** 2) for name in names])
    variables = network.trainable_variables
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    return {
        variable.path: np.zeros(variable.shape) if gradient is None else np.asarray(gradient)
        for variable, gradient in zip(variables, gradients, strict=True)
    }


def check_gradients(network, cut, names, x, training):
    """Checks that a cut network has the gradients of the whole one, and leaves out none."""
    whole = gradients_of(network, names, x, training)
    part = gradients_of(cut, names, x, training)
    assert set(part) <= set(whole)
    for path, gradient in whole.items():
        if path not in part:
            assert not gradient.any(), path
        elif gradient.shape == part[path].shape:
            np.testing.assert_allclose(part[path], gradient, rtol=1e-4, atol=1e-5, err_msg=path)
        else:  # The branches that are gone had no gradient.
            kept, before = (np.sort(values[values != 0]) for values in (part[path], gradient))
            np.testing.assert_allclose(kept, before, rtol=1e-4, atol=1e-5, err_msg=path)


@pytest.mark.parametrize(("name", "kept"), CASES)
def test_a_cut_network_predicts_and_learns_as_the_whole_one(name, kept):
    tasks = setting(name).tasks(setting(name).counts[-1])
    keras.utils.set_random_seed(0)
    network, x = build(name, tasks), setting(name).features()
    randomize(network)
    names = names_of(tasks, kept)
    cut = export.single_task(network, names)
    before, after = network(x), cut(x)
    assert list(cut.output) == names
    for task in names:
        np.testing.assert_allclose(after[task], before[task], rtol=0, atol=1e-6)
    check_gradients(network, cut, names, x, training=False)
    if kept == "all":
        assert cut.count_params() == network.count_params()
        assert {v.path for v in cut.weights} == {v.path for v in network.weights}
        network(x), cut(x)
        penalties = [sum(map(float, model.losses)) for model in (network, cut)]
        np.testing.assert_allclose(*penalties, rtol=1e-5)
    if name in DRAWN:
        return
    # In training, moving statistics move alike: predictions after it are equal, too.
    check_gradients(network, cut, names, x, training=True)
    if name in MOVED and kept != "all":
        return
    before, after = network(x), cut(x)
    for task in names:
        np.testing.assert_allclose(after[task], before[task], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name == "mmoeex" else pytest.mark.slow)
        for name in architectures.__all__
    ],
)
def test_cutting_twice_is_cutting_once(name):
    tasks = setting(name).tasks(setting(name).usual_count)
    network, x = built(name, len(tasks)), setting(name).features()
    last = tasks[-1].name
    once = export.single_task(network, last)
    twice = export.single_task(export.single_task(network, names_of(tasks, "two")), last)
    assert [v.path for v in twice.weights] == [v.path for v in once.weights]
    assert [v.shape for v in twice.weights] == [v.shape for v in once.weights]
    np.testing.assert_array_equal(twice(x)[last], once(x)[last])

"""Rates fall by depth from the heads."""

import keras
import numpy as np
import pytest

import keras_mtl as mtl
from keras_mtl import Task, transfer
from keras_mtl.transfer._levels import levels_of_variables

layers = keras.layers
TASKS = [Task.binary("z"), Task.regression("a")]


def branched():
    """Builds a chain with a short cut, a model and a chain inside, and a frozen layer."""
    x = keras.Input((3,), name="x")
    inner = keras.Input((3,))
    deep = layers.Dense(3, name="in_1")(layers.ReLU()(layers.Dense(3, name="in_0")(inner)))
    encoder = keras.Model(inner, deep, name="encoder")
    first = layers.Dense(3, name="first")(x)
    frozen = layers.Dense(3, name="frozen", trainable=False)(first)
    chain = keras.Sequential([layers.Dense(3, name="s_0"), layers.Dense(3, name="s_1")])
    features = layers.Add()([chain(encoder(frozen)), layers.Dense(3, name="cut")(first)])
    outputs = {task.name: task.output(features) for task in TASKS}
    return keras.Model(x, outputs)


def test_levels_are_the_longest_ways_to_the_heads():
    levels = {lev.name.split("/")[0]: lev.depth for lev in levels_of_variables(branched())}
    assert levels == {
        "first": 5, "in_0": 4, "in_1": 3, "s_0": 2, "s_1": 1, "cut": 1, "z_logits": 0,
        "a_logits": 0,
    }  # fmt: skip


def test_steps_fall_by_the_factor(tmp_path):
    network = branched()
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.Equal())
    optimizer = transfer.discriminative(keras.optimizers.Adam(1e-3, epsilon=1e-20), network, 2.0)
    model.compile(optimizer)
    before = [v.numpy() for v in network.trainable_variables]
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    labels = {"z": (x[:, 0] > 0).astype("float32"), "a": x[:, 1]}
    model.fit(x, labels, batch_size=64, verbose=0)
    for level, old in zip(levels_of_variables(network), before, strict=True):
        step = np.abs(level.variable.numpy() - old).max()  # the first of Adam is the rate
        np.testing.assert_allclose(step, 1e-3 / 2.0**level.depth, rtol=2e-3)
    # A saved model goes on with the same optimizers, each with its moments.
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert len(again.optimizer.optimizers) == len(optimizer.optimizers) == 6
    for trained in (model, again):
        trained.fit(x, labels, batch_size=64, verbose=0)
    for variable, other in zip(network.weights, again.network.weights, strict=True):
        np.testing.assert_array_equal(variable, other)


def test_a_schedule_is_divided_and_saved():
    network = mtl.architectures.hard_sharing(keras.Input((3,)), TASKS, shared=(4,), tower=())
    schedule = transfer.SlantedTriangle(0.1, steps=10, cut=0.5)
    optimizer = transfer.discriminative(keras.optimizers.SGD(schedule, momentum=0.9), network)
    lower = optimizer.optimizers[0]
    copied = keras.optimizers.SGD.from_config(lower.get_config())
    for step in (0, 3, 5, 9, 20):
        rate = copied.get_config()["learning_rate"]
        restored = keras.saving.deserialize_keras_object(rate)
        np.testing.assert_allclose(restored(step), schedule(step) / 2.6, rtol=1e-6)
    assert lower.momentum == 0.9


def test_the_slanted_triangle_has_the_rates_of_the_paper():
    schedule = transfer.SlantedTriangle(1.0, steps=1000)
    rates = [float(schedule(t)) for t in (0, 50, 100, 550, 1000, 5000)]
    np.testing.assert_allclose(rates, [0.0312, 0.5156, 1, 0.5156, 0.0312, 0.0312], atol=6e-5)


@pytest.mark.parametrize("options", [{"steps": 0}, {"cut": 1.0}, {"ratio": 0.5}])
def test_a_triangle_without_sides_is_refused(options):
    with pytest.raises(ValueError, match="at least one step, a cut between"):
        transfer.SlantedTriangle(1.0, **{"steps": 5, **options})


def twins():
    x = keras.Input((3,))
    features = x
    for name in ("one", "two"):
        inner = keras.Input((3,))
        features = keras.Model(inner, layers.Dense(3, name="same")(inner), name=name)(features)
    return keras.Model(x, {task.name: task.output(features) for task in TASKS})


def frozen():
    network = branched()
    network.trainable = False
    return network


@pytest.mark.parametrize(
    ("make", "optimizer", "factor", "error", "message"),
    [
        (branched, "adam", 0.0, ValueError, "factor must be a positive"),
        (branched, "adam", float("nan"), ValueError, "factor must be a positive"),
        (frozen, "adam", 2.6, ValueError, "no variable of the network .* is trainable"),
        (twins, "adam", 2.6, ValueError, r"path 'same/kernel' stand at several levels, \[1, 2\]"),
        (
            branched,
            keras.optimizers.Adam(global_clipnorm=1.0),
            2.6,
            ValueError,
            "global_clipnorm=1.0 clips",
        ),
        (
            branched,
            keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
            2.6,
            TypeError,
            "received a LossScaleOptimizer",
        ),
    ],
)
def test_bad_input_is_refused(make, optimizer, factor, error, message):
    with pytest.raises(error, match=message):
        transfer.discriminative(optimizer, make(), factor)

"""A task is dropped if its steps harm the main one on rows that were held back."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.callbacks import DropTask

TASKS = [mtl.Task.regression(name, metrics=()) for name in ("main", "helps", "harms")]


def data(seed):
    """Draws rows: one column tells the main task and one that helps, another the third task."""
    x = np.random.default_rng(seed).normal(size=(256, 4)).astype("float32")
    return x, {"main": x[:, 0], "helps": 2 * x[:, 0], "harms": 3 * x[:, 1]}


def make():
    """Builds a model whose tasks share a single number, so that they cannot all have their way."""
    keras.utils.set_random_seed(0)
    network = mtl.architectures.hard_sharing(keras.Input((4,)), TASKS, shared=(1,), tower=())
    network.set_weights(
        [np.array([[1.0], [0.0], [0], [0]]), np.zeros(1)]
        + [np.ones(v.shape) * (v.shape[0] == 1 and len(v.shape) == 2) for v in network.weights[2:]]
    )
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.Equal())
    model.compile(keras.optimizers.SGD(0.005))
    return model


def held_back(batches=8):
    return tf.data.Dataset.from_tensor_slices(data(1)).batch(32).take(batches)


def fit(model, drop, epochs, initial_epoch=0):
    x, y = data(0)
    options = {"epochs": epochs, "initial_epoch": initial_epoch, "shuffle": False, "verbose": 0}
    return model.fit(x, y, batch_size=64, callbacks=[drop], **options).history


def test_the_task_that_harms_is_dropped_after_two_epochs_and_stays_so_in_a_run_that_goes_on(
    tmp_path,
):
    drop = DropTask(TASKS, held_back(), main="main", file=tmp_path / "whole")
    model = make()
    towers = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            towers.append(np.array(model.network.get_layer("harms_logits").kernel))

    x, y = data(0)
    options = {"shuffle": False, "verbose": 0, "batch_size": 64}
    logs = model.fit(x, y, epochs=4, callbacks=[drop, Look()], **options).history
    assert drop.dropped == {"harms": 1}
    assert logs["harms_dropped"] == [0.0, 1.0, 1.0, 1.0]
    assert logs["helps_dropped"] == [0.0] * 4
    assert not np.array_equal(towers[0], towers[1])
    np.testing.assert_array_equal(towers[1], towers[3])
    assert model.active_tasks == ["main", "helps", "harms"]
    # A run that was killed after two epochs.
    first = make()
    file = tmp_path / "parts"
    fit(first, DropTask(TASKS, held_back(), main="main", file=file), 2)
    again = DropTask(TASKS, held_back(), main="main", file=file)
    fit(first, again, 4, initial_epoch=2)
    assert again.dropped == {"harms": 1}
    for one, other in zip(model.network.variables, first.network.variables, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"main": "price"}, r"main is 'price'; expected one of \['main', 'helps', 'harms'\]"),
        ({"auxiliary": ["main"]}, r"auxiliary names \['main'\]; expected some of"),
        ({"auxiliary": "harms"}, "auxiliary must be a list of names; received 'harms'"),
        ({"patience": 0}, "patience is 0; expected a whole number >= 1"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        DropTask(TASKS, held_back(), **{"main": "main", **arguments})


def test_a_plain_model_and_few_rows_are_refused():
    model = make()
    drop = DropTask(TASKS, held_back(6), main="main")
    drop.set_model(model)
    with pytest.raises(ValueError, match="rows have 3 of them; pass at least eight batches"):
        drop.on_train_begin()
    drop.set_model(model.network)
    with pytest.raises(ValueError, match="DropTask needs a BalancedModel; received Functional"):
        drop.on_train_begin()

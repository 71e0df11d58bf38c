"""How often TensorFlow traces the step of a training."""

import keras
import numpy as np
import pytest
from small_study import make_tasks, run, shared

import keras_mtl as mtl
from keras_mtl import studies

ONE_SEED = studies.Budget(trials=1, epochs=2, seeds=1)


class Counting(keras.Model):
    """Counts the traces of its step."""

    traces = 0

    def train_step(self, data):
        Counting.traces += 1
        return super().train_step(data)


def counting(tasks):
    network = shared(tasks)
    return Counting(network.input, network.output)


def frozen_body(tasks):
    model = counting(tasks)
    model.layers[1].trainable = False
    model.compile("adam", **mtl.compile_args(tasks))
    return model


class Thaw(keras.callbacks.Callback):
    """Trains all layers from the first step on."""

    def on_train_begin(self, logs=None):
        for layer in self.model.layers:
            layer.trainable = True
        self.model.make_train_function(force=True)


@pytest.fixture(autouse=True)
def no_traces():
    Counting.traces = 0


def test_each_training_traces_its_step_once():
    study = run({"shared": counting}, baseline=shared, budget=ONE_SEED)
    assert not study.failures
    assert Counting.traces == 1


def test_layers_that_a_callback_thaws_as_training_begins_are_trained():
    study = run({"shared": frozen_body}, baseline=shared, budget=ONE_SEED, callbacks=[Thaw()])
    assert not study.failures
    kernel = study.best("shared").layers[1].get_weights()[0]
    keras.utils.set_random_seed(next(t.seed for t in study.trainings if t.contender == "shared"))
    begun = frozen_body(make_tasks()).layers[1].get_weights()[0]
    assert np.abs(kernel - begun).max() > 1e-4

"""Trainings that fail."""

import keras
import pytest
import tensorflow as tf
from small_study import make_tasks, parts, run, shared

import keras_mtl as mtl
from keras_mtl import studies


class Fragile:
    """Builds a network, but for some of its calls."""

    def __init__(self, broken):
        self.calls, self.broken = 0, broken

    def __call__(self, tasks):
        self.calls += 1
        if self.calls in self.broken:
            raise MemoryError("no memory left")
        return shared(tasks)


def diverging(tasks):
    model = shared(tasks)
    # Not finite after the first step.
    model.compile(keras.optimizers.SGD(1e30), **mtl.compile_args(tasks))
    return model


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    # The door builds twice; then come the seeds, of which the second fails.
    contenders = {"fragile": Fragile({4}), "diverging": diverging}
    return run(
        contenders,
        baseline=shared,
        budget=studies.Budget(trials=1, epochs=1, seeds=2),
        directory=tmp_path_factory.mktemp("study"),
    )


def test_a_seed_that_fails_is_left_out_and_reported(study):
    assert study.comparisons["fragile"].row("click").num_seeds == 1
    (failure,) = [t for t in study.failures if t.contender == "fragile"]
    assert failure.number == 1
    assert failure.error.startswith("MemoryError: no memory left (test_failures.py, line ")
    assert "3 trainings failed" in str(study)


def test_a_contender_that_diverges_has_no_verdict_and_is_never_the_best(study):
    assert "diverging" not in study.comparisons
    failures = [t for t in study.failures if t.contender == "diverging"]
    assert len(failures) == 2
    assert all("no epoch had finite validation metrics" in t.error for t in failures)
    assert "diverging: no seed was trained to the end." in str(study)
    assert study.best_name() != "diverging"
    with pytest.raises(ValueError, match="no seed of 'diverging'"):
        study.best("diverging")


def test_a_baseline_without_any_training_ends_the_study():
    with pytest.raises(RuntimeError, match="no epoch had finite validation metrics"):
        run({"sharing": shared}, baseline=diverging, budget=studies.Budget(1, 1, 1))


class Changing:
    """Makes a part of the data, and after some calls another one."""

    def __init__(self, make, calls, change):
        self.make, self.left, self.change = make, calls, change

    def __call__(self):
        self.left -= 1
        return self.make() if self.left >= 0 else self.change(self.make())


def run_on(**changed):
    names = ("train", "validation", "test")
    sources = [changed.get(name) or make for name, make in zip(names, parts(), strict=True)]
    budget = studies.Budget(trials=1, epochs=2, seeds=1)
    return studies.compare({"shared": shared}, make_tasks(), *sources, budget=budget, verbose=False)


def test_a_training_whose_epochs_are_cut_short_is_no_training():
    # The door reads the part twice, and the two trainings of the baseline once each.
    train = Changing(parts()[0], 4, lambda data: data.take(1))
    with pytest.raises(ValueError, match="no seed of 'shared'"):
        (study := run_on(train=train)).best("shared")
    assert {t.error.partition(":")[0] for t in study.failures} == {"ValueError"}
    assert "2 steps, and not the 6 of 2 epochs of 3 batches" in study.failures[0].error


def test_steps_after_the_best_epoch_count(tmp_path):
    # Weights of the best epoch come back with the optimizer of that epoch.
    budget = studies.Budget(trials=1, epochs=2, seeds=1)
    study = run({"shared": shared}, budget=budget, learning_rate=1e-30, directory=tmp_path)
    assert not study.failures
    assert {training.best_epoch for training in study.trainings} == {0}
    assert {training.steps for training in study.trainings} == {6}


class StepOfItsOwn(keras.Model):
    """Updates its variables without the optimizer of Keras, which counts nothing then."""

    def train_step(self, data):
        x, y, w = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            outputs = self(x, training=True)
            loss = self.compute_loss(x, y, outputs, w)
        variables = self.trainable_variables
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(0.01 * gradient)
        return self.compute_metrics(x, y, outputs, w)


def test_a_step_that_leaves_the_optimizer_out_is_a_step(tmp_path):
    def build(tasks):
        network = shared(tasks)
        model = StepOfItsOwn(network.input, network.output)
        model.compile("sgd", **mtl.compile_args(tasks))
        return model

    budget = studies.Budget(trials=1, epochs=2, seeds=1)
    study = run({"stepping": build}, budget=budget, directory=tmp_path)
    assert not study.failures
    assert {training.steps for training in study.trainings} == {6}


def test_predictions_of_other_test_rows_are_never_compared():
    test = Changing(parts()[2], 4, lambda data: data.unbatch().shuffle(120, seed=0).batch(32))
    with pytest.raises(RuntimeError, match="test yields other batches than it did"):
        run_on(test=test)


def test_a_task_whose_metric_keras_alone_computes_has_a_network_of_its_own():
    tasks = make_tasks()
    tasks[0] = mtl.Task.binary("click", metrics=[keras.metrics.FalsePositives(name="errors")])
    study = studies.compare(
        {"shared": shared},
        tasks,
        *parts(),
        budget=studies.Budget(trials=1, epochs=1, seeds=1),
        metrics={"click": ("errors", "min"), "price": "mae"},
        verbose=False,
    )
    assert study.comparisons["shared"].row("price").num_seeds == 1
    assert "its metric is an object" in study.comparisons["shared"].row("click").note

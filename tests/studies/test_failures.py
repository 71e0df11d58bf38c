"""Trainings that fail."""

import keras
import pytest
from small_study import run, shared

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

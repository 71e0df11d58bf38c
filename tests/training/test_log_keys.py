"""A key that a rule reads from the logs, and that will not be there, is refused before training."""

import keras
import numpy as np
import pytest
import small_problem as problem

import keras_mtl as mtl
from keras_mtl.balancers import DTP, ValidationDriven

METRICS = {"z": "val_z_auc", "b": "val_b_accuracy", "r": "val_z_auc"}


class Epochs(mtl.balancers.LossBalancer):
    """Reads a key of its own, as a rule of a user may."""

    def scalarize(self, losses):
        return keras.ops.sum(losses)

    def log_keys(self):
        return {"z": "z_f1"}


REFUSED = [
    (DTP(), {}, "DTP reads 'val_b_auc' for the task 'b' .* no such key .*'val_b_accuracy'"),
    (DTP(metric=METRICS), {"validation_data": None}, "'val_z_auc' .* Pass validation_data="),
    (DTP(metric=METRICS), {"validation_freq": 2}, "validation_freq=2 leaves .* Use valid"),
    (DTP(metric={**METRICS, "r": "r_auc"}), {}, "'r_auc' for the task 'r' .* 'z_auc'"),
    (ValidationDriven(), {}, "ValidationDriven reads 'val_b_auc'"),
    (ValidationDriven(metric="val_{task}_weight"), {}, "'val_z_weight' .* no such key"),
    (Epochs(), {}, "Epochs reads 'z_f1'"),
]


@pytest.mark.parametrize(("balancer", "options", "message"), REFUSED)
def test_a_key_that_will_not_be_logged_is_refused_before_training(balancer, options, message):
    model = problem.balanced(balancer)
    before = problem.values(model.variables)
    data = {"validation_data": problem.dataset(1), "epochs": 2, "verbose": 0, **options}
    with pytest.raises(ValueError, match=message):
        model.fit(problem.dataset(1), **data)
    after = problem.values(model.variables)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("balancer", "options"),
    [
        (DTP(metric=METRICS), {}),
        (DTP(metric={"z": "z_auc", "b": "b_accuracy", "r": "z_auc"}), {"validation_data": None}),
        (ValidationDriven(metric="{task}_weight"), {"validation_freq": 2}),
        pytest.param(
            ValidationDriven(metric="val_{task}_mean_loss", mode="min"), {}, marks=pytest.mark.slow
        ),
    ],
)
def test_keys_that_are_logged_are_read(balancer, options):
    model = problem.balanced(balancer)
    data = {"validation_data": problem.dataset(1), "epochs": 2, "verbose": 0, **options}
    model.fit(problem.dataset(1), **data)
    assert (balancer.known.value.numpy() == 1).all()


def test_a_part_of_the_arrays_serves_as_validation_data():
    x, y, w = problem.arrays()
    w = {name: np.ones_like(values) for name, values in w.items()}
    balancer = DTP(metric=METRICS)
    model = problem.balanced(balancer)
    model.fit(x, y, sample_weight=w, validation_split=0.5, verbose=0)
    assert (balancer.known.value.numpy() == 1).all()


def test_a_column_that_is_not_logged_is_refused():
    task = mtl.Task.multilabel("assays", columns=list("ab"), log_columns=["a"])
    network = mtl.architectures.hard_sharing(keras.Input((4,)), [task], shared=(4,))
    model = mtl.BalancedModel(network, [task], DTP())
    model.compile("sgd")
    x, y = np.ones((4, 4), "float32"), {"assays": np.array([[0.0, 1.0], [1.0, 0.0]] * 2)}
    with pytest.raises(ValueError, match=r"'val_assays_auc_b' .* in the task's log_columns="):
        model.fit(x, y, validation_data=(x, y), verbose=0)

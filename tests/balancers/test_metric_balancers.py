"""Balancers that read the logs of an epoch."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.balancers import DTP, ValidationDriven

TASKS = ("zeta", "alpha")  # not in alphabetical order


def bound(balancer):
    balancer.bind(TASKS)
    balancer.build(2)
    return balancer


def aucs(zeta, alpha):
    return {"loss": 1.0, "val_zeta_auc": zeta, "val_alpha_auc": alpha}


def weights_of(balancer, losses=(3.0, 5.0)):
    losses = tf.constant(losses)
    with tf.GradientTape() as tape:
        tape.watch(losses)
        scalar = balancer.scalarize(losses)
    return tape.gradient(scalar, losses).numpy()


def test_dtp_weighs_by_a_focal_loss_of_the_metric():
    balancer = bound(DTP(gamma={"alpha": 2.0, "zeta": 0.5}))
    np.testing.assert_array_equal(weights_of(balancer), [1, 1])
    balancer.end_epoch(aucs(zeta=0.9, alpha=0.6))
    expected = [-(0.1**0.5) * math.log(0.9), -(0.4**2) * math.log(0.6)]
    np.testing.assert_allclose(weights_of(balancer), expected, rtol=1e-5)
    balancer.end_epoch(aucs(zeta=1.0, alpha=0.0))
    np.testing.assert_allclose(weights_of(balancer), [0, -math.log(1e-6)], rtol=1e-5)


@pytest.mark.parametrize("make", [lambda **_: DTP(gamma=[0.5, 2.0]), ValidationDriven])
def test_the_tasks_of_a_step_are_weighed_as_if_they_were_all(make):
    balancer = bound(make(target=0.9))
    balancer.end_epoch(aucs(zeta=0.9, alpha=0.6))
    with balancer.on_tasks(tf.constant([1])):
        some = weights_of(balancer, [5.0])
    alone = -(0.4**2) * math.log(0.6) if isinstance(balancer, DTP) else 1.0
    np.testing.assert_allclose(some, [alone], rtol=1e-5)


def test_dtp_smooths_metrics_over_epochs_from_the_first_on():
    balancer = bound(DTP(alpha=0.25))
    balancer.end_epoch(aucs(0.8, 0.6))
    np.testing.assert_allclose(balancer.kappa.variable, [0.8, 0.6], rtol=1e-6)
    balancer.end_epoch(aucs(0.4, 1.0))
    np.testing.assert_allclose(balancer.kappa.variable, [0.7, 0.7], rtol=1e-6)


def test_validation_driven_moves_weight_by_the_relative_shortfall():
    balancer = bound(
        ValidationDriven(target=[0.8, 0.5], learning_rate=2.0, minimum=0.1, mode="max")
    )
    np.testing.assert_allclose(weights_of(balancer), [1, 1], rtol=1e-6)
    products = np.ones(2)
    for zeta, alpha in (0.6, 0.4), (0.9, 0.45), (0.8, 0.5):
        balancer.end_epoch(aucs(zeta, alpha))
        products *= np.exp(2 * np.array([(0.8 - zeta) / 0.8, (0.5 - alpha) / 0.5]))
        expected = 0.1 + 2 * 0.9 * products / products.sum()
        np.testing.assert_allclose(weights_of(balancer), expected, rtol=1e-5)


def test_without_targets_a_task_is_held_at_its_best():
    balancer = bound(ValidationDriven(minimum=0.0))
    for zeta, alpha in (0.5, 0.9), (0.7, 0.95):  # both still improve
        balancer.end_epoch(aucs(zeta, alpha))
        np.testing.assert_allclose(balancer.task_weights(), [1, 1], rtol=1e-6)
    balancer.end_epoch(aucs(0.56, 0.95))
    expected = 2 / (1 + np.exp([-0.2, 0.2]))
    np.testing.assert_allclose(balancer.task_weights(), expected, rtol=1e-5)


def test_a_smaller_metric_may_be_the_better_one():
    balancer = bound(
        ValidationDriven(
            metric={"zeta": "val_zeta_mae", "alpha": "val_alpha_auc"},
            mode={"zeta": "min", "alpha": "max"},
            target={"zeta": 2.0, "alpha": 0.8},
            minimum=0.0,
        )
    )
    balancer.end_epoch({"val_zeta_mae": 3.0, "val_alpha_auc": 0.8})
    expected = 2 / (1 + np.exp([-0.5, 0.5]))
    np.testing.assert_allclose(balancer.task_weights(), expected, rtol=1e-5)
    best = bound(ValidationDriven(metric="{task}_mae", mode="min", minimum=0.0))
    for zeta in 2.0, 1.0, 1.5:
        best.end_epoch({"zeta_mae": zeta, "alpha_mae": 1.0})
    np.testing.assert_allclose(best.task_weights(), expected, rtol=1e-5)


def test_weights_stay_between_their_bounds_however_long_a_task_lags():
    balancer = bound(ValidationDriven(target=0.9, learning_rate=10.0, minimum=0.2))
    for _ in range(50):
        balancer.end_epoch(aucs(0.0, 0.9))
    np.testing.assert_allclose(balancer.task_weights(), [1.8, 0.2], rtol=1e-6)
    for _ in range(50):
        balancer.end_epoch(aucs(-1e30, 1e30))
    assert np.isfinite(balancer.task_weights()).all()


@pytest.mark.parametrize("make", [DTP, ValidationDriven])
def test_a_metric_that_is_not_finite_changes_nothing(make):
    balancer = bound(make())
    balancer.end_epoch(aucs(0.8, 0.6))
    balancer.end_epoch(aucs(0.7, 0.6))
    before = [state.variable.numpy() for state in balancer.states]
    balancer.end_epoch(aucs(math.nan, 0.6))
    for state, value in zip(balancer.states, before, strict=True):
        np.testing.assert_allclose(state.variable, value, rtol=1e-6)
    unknown = bound(make())
    unknown.end_epoch(aucs(math.nan, 0.6))
    assert weights_of(unknown)[0] == 1
    unknown.end_epoch(aucs(0.8, 0.6))
    assert np.isfinite(weights_of(unknown)).all()


@pytest.mark.parametrize("make", [DTP, ValidationDriven])
def test_a_key_that_the_logs_do_not_hold_is_named_with_those_there_are(make):
    balancer = bound(make(metric="val_{task}_accuracy"))
    with pytest.raises(ValueError, match=r"'val_zeta_accuracy'.*task 'zeta'.*'val_alpha_auc'"):
        balancer.end_epoch(aucs(0.5, 0.5))
    with pytest.raises(ValueError, match=r"metric must have exactly the tasks .*\['zeta'\]"):
        bound(make(metric={"zeta": "val_zeta_auc"})).end_epoch(aucs(0.5, 0.5))
    with pytest.raises(ValueError, match=r"'\{task\}'.*received 'val_auc'"):
        make(metric="val_auc")
    nameless = make()
    nameless.build(2)
    with pytest.raises(ValueError, match=r"call bind\(names\) first"):
        nameless.end_epoch(aucs(0.5, 0.5))
    nameless.end_epoch()  # without logs there is nothing to read


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: DTP(gamma=-1.0), "gamma must be"),
        (lambda: DTP(alpha=1.5), "alpha must be"),
        (lambda: bound(DTP()).end_epoch(aucs(0.5, 7.2)), "task 'alpha' is 7.2"),
        (lambda: ValidationDriven(mode="auto"), "mode must be 'max' or 'min'"),
        (lambda: bound(ValidationDriven(mode={"zeta": "min"})), r"missing: \['alpha'\]"),
        (lambda: ValidationDriven(target=math.nan), "target must be"),
        (lambda: ValidationDriven(learning_rate=0.0), "learning_rate must be"),
        (lambda: ValidationDriven(minimum=1.5), "minimum must be"),
    ],
)
def test_what_metric_balancers_cannot_use_is_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype("float32")
    return x, {"zeta": (x[:, 0] > 0) * 1.0, "alpha": rng.integers(0, 2, 64) * 1.0}


@pytest.mark.parametrize("make", [DTP, pytest.param(ValidationDriven, marks=pytest.mark.slow)])
def test_fit_hands_over_the_metrics_of_validation(make, data):
    tasks = [mtl.Task.binary(name, metrics=["auc"]) for name in TASKS]
    inputs = keras.Input((4,))
    features = keras.layers.Dense(4, "relu")(inputs)
    outputs = {name: keras.layers.Dense(1, "sigmoid", name=name)(features) for name in TASKS}
    network = keras.Model(inputs, outputs)
    balancer = make()
    model = mtl.BalancedModel(network, tasks, balancer)
    model.compile("sgd", run_eagerly=True)
    history = model.fit(*data, validation_data=data, epochs=2, batch_size=32, verbose=0).history
    logged = [history[f"val_{task}_auc"] for task in TASKS]
    kept = (balancer.kappa if make is DTP else balancer.best).variable
    expected = np.max(logged, axis=1) if make is ValidationDriven else np.array(logged)[:, -1]
    np.testing.assert_allclose(kept, expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"'val_zeta_auc'.*fit has no validation data"):
        model.fit(*data, epochs=1, verbose=0)


@pytest.mark.slow
def test_columns_are_read_where_they_are_logged(data):
    def fitted(log_columns):
        task = mtl.Task.multilabel("both", columns=TASKS, log_columns=log_columns, metrics=["auc"])
        inputs = keras.Input((4,))
        network = keras.Model(inputs, {"both": task.output(inputs)})
        model = mtl.BalancedModel(network, [task], DTP())
        model.compile("sgd", run_eagerly=True)
        batch = data[0], {"both": np.stack([data[1][name] for name in TASKS], axis=1)}
        return model, model.fit(*batch, validation_data=batch, verbose=0).history

    model, history = fitted(TASKS)
    logged = [history[f"val_both_auc_{column}"][0] for column in TASKS]
    assert logged[0] != logged[1]
    np.testing.assert_allclose(model.balancer.kappa.variable, logged, rtol=1e-6)
    with pytest.raises(ValueError, match=r"task 'both/alpha'.*log_columns"):
        fitted(("zeta",))

"""What is not finite is logged as NaN or infinite, with a warning, and no monitor takes it."""

import warnings

import keras
import numpy as np
import pytest
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl

KINDS = {"Equal": mtl.balancers.Equal, "PCGrad": mtl.balancers.PCGrad}


def with_broken_label(task, *batches):
    """Returns the small problem, with a label of infinite loss for one task in some batches."""
    x, y, _ = problem.arrays()
    for batch in batches:
        y[task][batch * problem.BATCH] = 1e30  # NaN would be refused before the step
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(problem.BATCH)


def healthy():
    return with_broken_label("r")


class Diverge(keras.callbacks.Callback):
    """Makes the network useless from some epoch to another."""

    def __init__(self, first, last):
        super().__init__()
        self.first, self.last = first, last

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.first:
            self.kept = self.model.network.get_weights()
            self.model.network.set_weights([w * np.nan for w in self.kept])
        elif epoch == self.last:
            self.model.network.set_weights(self.kept)


def history_of(model, data, epochs, *callbacks, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(data, epochs=epochs, verbose=0, callbacks=[*callbacks], **options).history


# At the end, and in the first epoch.
EPOCHS = [("Equal", (2, None)), pytest.param("PCGrad", (0, 1), marks=pytest.mark.slow)]


@pytest.mark.parametrize(("name", "broken"), EPOCHS)
def test_early_stopping_keeps_a_finite_epoch(name, broken):
    model = problem.balanced(KINDS[name]())
    data = healthy().take(2)
    for metric in ("loss", "auc"):
        key, mode = mtl.monitor(problem.tasks()[0], metric)
        stop = keras.callbacks.EarlyStopping(key, mode=mode, patience=9, restore_best_weights=True)
        logs = history_of(model, data, 3, Diverge(*broken), stop, validation_data=data)
        finite = np.isfinite(logs[key])
        assert finite.tolist() == [e < 2 for e in range(3)] if broken[0] else [False, True, True]
        assert stop.best_epoch == np.flatnonzero(finite)[-1]
        assert all(np.isfinite(v).all() for v in problem.values(model.network.variables))
        assert (np.isfinite(logs["val_loss"]) == finite).all()


@pytest.mark.parametrize("name", KINDS)
def test_a_broken_batch_of_evaluation_is_seen_in_the_values_of_its_task_alone(name):
    model = problem.balanced(KINDS[name]())
    expected = model.evaluate(healthy(), verbose=0, return_dict=True)
    with pytest.warns(UserWarning, match=r"evaluation: .* 'r' in 2 batch\(es\)") as caught:
        logs = model.evaluate(with_broken_label("r", 1, 3), verbose=0, return_dict=True)
    assert len(caught) == 1 and "'z'" not in str(caught[0].message)
    assert logs["loss"] == logs["r_loss"] == logs["r_mean_loss"] == np.inf
    of_others = [key for key in logs if key[0] in "zb"]
    assert len(of_others) >= 6
    for key in of_others:
        assert logs[key] == pytest.approx(expected[key], rel=1e-6), key


def test_metrics_of_a_broken_task_have_their_worst_value():
    tasks = [
        mtl.Task.binary("z", metrics=["auc", "accuracy"]),
        mtl.Task.multiclass("b", 3),
        mtl.Task.regression("r", metrics=["mae"]),
    ]
    model = problem.balanced(mtl.balancers.Equal(), tasks=lambda: tasks)
    model.network.set_weights([w * np.nan for w in model.network.get_weights()])
    with pytest.warns(UserWarning, match="'z' in 5 .*'b' in 5 .*'r' in 5 "):
        logs = model.evaluate(healthy(), verbose=0, return_dict=True)
    for key in ("z_auc", "z_accuracy", "b_accuracy"):
        assert logs[key] == -np.inf, key
    assert logs["r_mae"] == np.inf
    x, y, _ = problem.batch()
    assert model.test_on_batch(x, y, return_dict=True)["z_accuracy"] == -np.inf


def test_the_loss_of_training_is_the_mean_over_finite_steps():
    logs = []
    for data in (healthy().take(3), with_broken_label("r", 3, 4)):
        model = problem.balanced(KINDS["PCGrad"](), optimizer=keras.optimizers.SGD(0.0))
        logs.append(history_of(model, data, 1))
    assert logs[1]["r_loss"][0] == pytest.approx(logs[0]["r_loss"][0], rel=1e-6)
    assert np.isfinite(logs[1]["loss"][0]) and np.isfinite(logs[1]["r_loss"][0])


@pytest.mark.parametrize("weight", [1.0, 0.0])
def test_without_a_finite_step_the_task_and_the_loss_of_training_are_nan(weight):
    tasks = problem.tasks()
    tasks[2] = mtl.Task.regression("r", weight=weight)
    model = problem.balanced(KINDS["PCGrad"](), tasks=lambda: tasks)
    tower = model.network.get_layer("r_tower")
    tower.set_weights([w * np.nan for w in tower.get_weights()])
    logs = history_of(model, healthy().take(2), 1)
    assert np.isnan(logs["r_loss"][0]) and np.isnan(logs["r_mean_loss"][0])
    assert logs["r_mae"][0] == np.inf
    assert np.isfinite(logs["z_loss"][0]) and np.isfinite(logs["z_auc"][0])
    # A task of weight 0 is no part of `loss`.
    assert np.isfinite(logs["loss"][0]) == (weight == 0.0)


def test_a_batch_in_which_nothing_is_finite_has_no_loss_of_zero():
    model = problem.balanced(KINDS["Equal"]())
    x, y, w = problem.batch()
    model.compile("sgd", run_eagerly=True, check_inputs=False)
    logs = model.train_on_batch(x * np.nan, y, w, return_dict=True)
    assert all(np.isnan(logs[key]) for key in ("loss", "z_loss", "b_loss", "r_loss"))
    assert model.left_out == {"z": 1, "b": 1, "r": 1}


def test_columns_share_the_values_of_a_broken_one():
    task = mtl.Task.multilabel("assays", columns=list("cab"), log_columns=["a"])
    network = mtl.architectures.hard_sharing(keras.Input((4,)), [task], shared=(4,))
    model = mtl.BalancedModel(network, [task], mtl.balancers.Equal())
    model.compile("sgd", run_eagerly=True)
    x = np.ones((4, 4), "float32")
    y = {"assays": np.array([[0.0, 1.0, 0.0]] * 4)}
    w = {"assays": np.array([[1.0, 3e38, 0.0]] * 4)}  # with an infinite sum
    with pytest.warns(UserWarning, match=r"'assays/a' in 1 batch\(es\), and"):
        logs = model.evaluate(x, y, sample_weight=w, verbose=0, return_dict=True)
    for key in ("loss", "assays_loss", "assays_worst_loss", "assays_best_loss"):
        assert logs[key] == np.inf, key
    for key in ("assays_auc", "assays_auc_a", "assays_auc_worst", "assays_auc_best"):
        assert logs[key] == -np.inf, key


@pytest.mark.parametrize(
    "balancer",
    [
        mtl.balancers.DTP(metric={"z": "val_z_auc", "b": "val_b_accuracy", "r": "val_z_auc"}),
        mtl.balancers.ValidationDriven(
            metric={"z": "val_z_auc", "b": "val_b_accuracy", "r": "val_z_auc"}, target=1.0
        ),
    ],
    ids=lambda balancer: type(balancer).__name__,
)
def test_a_rule_that_reads_logs_keeps_the_weights_of_broken_tasks(balancer):
    model = problem.balanced(balancer)
    data = healthy().take(2)
    history_of(model, data, 2, validation_data=data)
    weights = balancer.task_weights().numpy()
    assert np.isfinite(weights).all() and np.ptp(weights) > 0
    history_of(model, data, 1, Diverge(0, None), validation_data=data)
    np.testing.assert_array_equal(balancer.task_weights().numpy(), weights)

"""`loss` in evaluation is what training minimizes, of the tasks that have labels."""

import every_balancer
import keras
import numpy as np
import pytest
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl


def takes_losses(name):
    """Returns whether a rule works on losses, and on preferences only if they are fixed."""
    balancer = every_balancer.make(name)
    return isinstance(balancer, mtl.balancers.LossBalancer) and not balancer.needs.preference


SLOW = pytest.mark.slow
# Without a state, with a history of losses, with learned weights, and with draws.
EVERYDAY = {"GeometricMean", "GO4Align", "Uncertainty", "RandomWeighting"}
LOSS_BALANCERS = [name for name in every_balancer.names() if takes_losses(name)]


def without(batch, *names):
    x, y, w = batch
    return x, y, {name: np.zeros_like(v) if name in names else v for name, v in w.items()}


def test_the_table_holds_the_loss_balancers():
    assert len(LOSS_BALANCERS) >= 17


@pytest.mark.parametrize(
    "name",
    [name if name in EVERYDAY else pytest.param(name, marks=SLOW) for name in LOSS_BALANCERS],
)
def test_a_batch_has_the_same_loss_in_training_and_in_evaluation(name):
    model = problem.balanced(every_balancer.make(name))
    model.fit(problem.dataset(2), verbose=0)  # the rule has a history now
    for index, absent in enumerate(["", "b", "zr", "zbr"]):
        batch = without(problem.batch(index), *absent)
        state = problem.values(model.balancer.variables)
        evaluated = model.test_on_batch(*batch, return_dict=True)["loss"]
        after = problem.values(model.balancer.variables)
        assert all(np.array_equal(a, b) for a, b in zip(state, after, strict=True))
        trained = model.train_on_batch(*batch, return_dict=True)["loss"]
        assert trained == pytest.approx(evaluated, rel=1e-6, abs=1e-7), absent


def test_a_network_for_all_preferences_is_evaluated_at_the_even_one():
    balancer = mtl.balancers.COSMOS(lambda_=0.5)
    model = problem.balanced(balancer, network=lambda: every_balancer.network(balancer))
    batch = without(problem.batch(), "b")
    x, y, w = batch
    logs = model.test_on_batch(*batch, return_dict=True)
    predictions = model.network([x, np.full((len(x), 3), 1 / 3, "float32")])
    weights = [task.weight for task in problem.tasks()]
    losses = np.array(problem.losses_by_hand(predictions, y, w)) * weights
    z, _, r = losses
    expected = (z + r) / 2 - 0.5 * (z + r) / np.sqrt(2) / np.hypot(z, r)
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)


def test_the_validation_loss_of_fit_is_that_of_training():
    """Batches of one task each, in a graph; nothing moves."""
    x, y, _ = problem.arrays()
    turn = np.arange(len(x)) // problem.BATCH % 2
    w = {"z": turn, "b": np.zeros(len(x)), "r": 1.0 - turn}
    data = tf.data.Dataset.from_tensor_slices((x, y, w)).batch(problem.BATCH).take(4)
    balancer = mtl.balancers.GeometricMean()
    model = mtl.BalancedModel(problem.network(), problem.tasks(), balancer)
    model.compile(keras.optimizers.SGD(0.0))
    logs = model.fit(data, validation_data=data, verbose=0).history
    assert logs["val_loss"][0] == pytest.approx(logs["loss"][0], rel=1e-6)

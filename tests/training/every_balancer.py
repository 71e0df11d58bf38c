"""What the small problem needs for each balancer of the table."""

import pathlib
import sys

import keras
import small_problem as problem

from keras_mtl.balancers import DTP, LossBalancer, ValidationDriven

sys.path.append(str(pathlib.Path(__file__).parents[1] / "balancers"))

import gradient_cases
import gramian_cases
import loss_cases
import sampled_cases

CASES = {
    **loss_cases.CASES,
    **gramian_cases.CASES,
    **gradient_cases.CASES,
    **sampled_cases.CASES,
}


def names():
    return sorted(CASES)


METRICS = {"z": "z_auc", "b": "b_accuracy", "r": "z_auc"}
OF_THE_LOGS = {
    "DTP": lambda: DTP(metric=METRICS),
    "ValidationDriven": lambda: ValidationDriven(metric="{task}_mean_loss", mode="min"),
}


def make(name):
    return OF_THE_LOGS[name]() if name in OF_THE_LOGS else CASES[name].make(range(3))


def ways(name):
    """The pairs of `at` and `every` that a balancer takes."""
    balancer = make(name)
    if balancer.needs.preference or balancer.needs.second_batch:
        return [("parameters", 1)]
    places = ["parameters"]
    by_statistics = not isinstance(balancer, LossBalancer)
    by_variables = balancer.needs.per_entry_state
    if by_statistics and not by_variables and balancer.needs.samples == 1:
        places.append("representation")
    return [(at, every) for at in places for every in (1, 2)]


def network(balancer):
    if not balancer.needs.preference:
        return problem.network()
    keras.utils.set_random_seed(0)
    x, preference = keras.Input((4,), name="x"), keras.Input((3,), name="preference")
    joined = keras.layers.Concatenate()([x, preference])
    features = keras.layers.Dense(16, activation="tanh", name="shared_0")(joined)
    outputs = {task.name: task.output(features) for task in problem.tasks()}
    return keras.Model([x, preference], outputs)


def more_data(balancer):
    """What `fit` takes beside the dataset."""
    wanted = balancer.needs.second_batch
    return {"balance_data": problem.dataset(2)} if wanted else {}

"""Every balancer of the table of laws, with its network and data on the small problem."""

import pathlib
import sys
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import keras
import small_problem as problem

from keras_mtl.balancers import DTP, Balancer, LossBalancer, ValidationDriven

sys.path.append(str(pathlib.Path(__file__).parents[1] / "balancers"))

import gradient_cases
import gramian_cases
import loss_cases
import sampled_cases

At: TypeAlias = Literal["parameters", "representation"]

CASES = {
    **loss_cases.CASES,
    **gramian_cases.CASES,
    **gradient_cases.CASES,
    **sampled_cases.CASES,
}


def names() -> list[str]:
    return sorted(CASES)


METRICS = {"z": "z_auc", "b": "b_accuracy", "r": "z_auc"}
# Balancers that read the logs of an epoch, so that they must name metrics of the problem.
BY_LOGS: dict[str, Callable[[], Balancer]] = {
    "DTP": lambda: DTP(metric=METRICS),
    "ValidationDriven": lambda: ValidationDriven(metric="{task}_mean_loss", mode="min"),
}


def make(name: str) -> Balancer:
    """Makes a new balancer for the three tasks of the small problem."""
    return BY_LOGS[name]() if name in BY_LOGS else CASES[name].make(range(3))


def ways(name: str) -> list[tuple[At, int]]:
    """Returns the pairs of `at` and `every` that a balancer takes."""
    balancer = make(name)
    if balancer.needs.preference or balancer.needs.second_batch:
        return [("parameters", 1)]
    places: list[At] = ["parameters"]
    on_gradients = not isinstance(balancer, LossBalancer)
    if on_gradients and not balancer.needs.per_entry_state and balancer.needs.samples == 1:
        places.append("representation")
    return [(at, every) for at in places for every in (1, 2)]


def network(balancer: Balancer) -> keras.Model:
    """Builds the network of the small problem, with a preference as an input if it is needed."""
    if not balancer.needs.preference:
        return problem.network()
    keras.utils.set_random_seed(0)
    x, preference = keras.Input((4,), name="x"), keras.Input((3,), name="preference")
    joined = keras.layers.Concatenate()([x, preference])
    features = keras.layers.Dense(16, activation="tanh", name="shared_0")(joined)
    outputs = {task.name: task.output(features) for task in problem.tasks()}
    return keras.Model([x, preference], outputs)


def more_data(balancer: Balancer) -> dict[str, Any]:
    """Returns the arguments of `fit` beside the dataset: the second batches, if they are needed."""
    return {"balance_data": problem.dataset(2)} if balancer.needs.second_batch else {}

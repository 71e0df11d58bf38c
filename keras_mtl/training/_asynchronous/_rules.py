"""Which rules keep a meaning where steps do not wait for each other."""

import warnings
from typing import Any, Literal

import keras

from keras_mtl.balancers import Balancer
from keras_mtl.training._logs._task_losses import TaskLosses
from keras_mtl.training._optimizer import normalizations


def standing(balancer: Balancer) -> Literal["allowed", "warned", "refused"]:
    """Returns how a rule stands to asynchronous steps.

    A worker's step uses one version of the variables and one batch, so that its Gramian is one of
    *its* batch: rules without state keep their meaning, with the noise of a small batch. The state
    of a rule lives on the servers, where steps read and write it at the same time: learned weights
    are ordinary stale parameters, and moving averages lose some of their updates. A rule that
    compares the losses before and after a step, or looks ahead, compares other versions.

    Args:
        balancer: A balancer that has been built.
    """
    needs = balancer.needs
    if needs.losses_after or needs.second_batch or needs.inner_steps:
        return "refused"
    # The number of its steps, by which a rule draws, may miss some.
    states = [state for state in balancer.states if state.variable.name != "iteration"]
    return "warned" if states or balancer.trainable_variables else "allowed"


def check_rule(balancer: Balancer, network: keras.Model) -> None:
    """Checks that a rule and the layers of a network keep a meaning, or warns.

    Raises:
        ValueError: If the rule does not.
    """
    kind = type(balancer).__name__
    match standing(balancer):
        case "refused":
            raise ValueError(
                f"{kind} compares the losses before and after a step, or looks ahead: other steps "
                "come in between. Choose a rule without that, or training.cluster, whose steps "
                "wait for each other."
            )
        case "warned":
            warnings.warn(
                f"{kind} has a state, which asynchronous steps read and write at the same time: "
                "moving averages lose some updates.",
                stacklevel=4,
            )
    layers = [layer.name for layer in normalizations(network)]
    if layers:
        warnings.warn(
            f"the layers {layers} normalize batches: their moving averages lose updates of "
            "asynchronous steps. LayerNormalization has none.",
            stacklevel=4,
        )


def check_absent(model: Any, element: Any) -> None:
    """Checks that no step puts values back, by which it would undo updates of other steps.

    Args:
        model: The model.
        element: The structure of a batch, `(x, y)` or `(x, y, w)`.

    Raises:
        ValueError: If tasks may be absent from a batch, and the model lets them rest; or tasks or
            variables of the model have been switched off.
    """
    if model._step.flags.used:
        raise ValueError(
            "tasks or variables of this model have been switched off (BalancedModel.set_active, "
            "callbacks.Stages): its steps put what rests back, over updates that other workers "
            "have sent meanwhile. Build the model anew, freeze by layer.trainable = False, and "
            "leave tasks out by Task.weight = 0 with absent='drift'."
        )
    weights = element[2] if len(element) == 3 else None
    weights = (
        weights
        if isinstance(weights, dict) or weights is None
        else dict.fromkeys([task.name for task in model.tasks], weights)
    )
    absent = TaskLosses(model.tasks).may_be_absent(model.network.output, weights)
    if model.absent == "rest" and absent:
        raise ValueError(
            f"the tasks {absent} may have no label in a batch (there are weights, a mask, or a "
            "Task.weight that is 0 or a variable), and absent='rest' then puts their variables "
            "back, over updates that other workers have sent meanwhile. Build the model with "
            "absent='drift', or train by training.cluster, whose steps wait for each other."
        )

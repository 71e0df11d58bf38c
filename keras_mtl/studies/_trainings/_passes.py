"""What a step of a model costs in backward passes."""

import keras

from keras_mtl.training import BalancedModel
from keras_mtl.training._steps import choose_step


def passes_per_step(model: keras.Model) -> float | None:
    """Returns the backward passes through the shared layers per step, as docs/design.md lists them.

    Plain Keras takes one. With `every=n` it is the mean over n steps. `None` for networks in which
    only the gradients tell what is shared: their passes go through the whole network.
    """
    if not isinstance(model, BalancedModel):
        return 1.0
    if model.frontier.entangled:
        return None
    balancer = model.balancer
    num_losses = sum(len(task.loss_names) for task in model.tasks)
    match choose_step(balancer, model.at):
        case "losses" | "representation":
            full = 1
        case "samples":
            full = 2 * num_losses + 1
        case "look_ahead":
            full = 2 * num_losses
        case "inner_steps":
            full = 2 * num_losses + balancer.needs.inner_steps - 1
        case _:
            full = num_losses
    return (full + model.every - 1) / model.every

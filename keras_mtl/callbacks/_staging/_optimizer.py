"""The optimizer at the begin of a stage."""

from typing import Any

import keras

from keras_mtl.training._optimizer import inner_optimizers


def reset(optimizer: Any, variables: list[keras.Variable]) -> None:
    """Gives an optimizer the state that a new one has.

    Moments of a variable that wakes up are 0, while the count of steps is not: Adam would correct
    them as if they were averages of many steps, and take steps up to 6.6 times too long.

    Args:
        optimizer: The optimizer, built for these variables.
        variables: The variables.
    """
    fresh = type(optimizer).from_config(optimizer.get_config())
    fresh.build(variables)
    for old, new in zip(optimizer.variables, fresh.variables, strict=True):
        old.assign(new)


def learning_rates(optimizer: Any) -> list[float]:
    """Returns the learning rate of each optimizer that takes steps."""
    return [
        float(keras.ops.convert_to_numpy(inner.learning_rate))
        for inner in inner_optimizers(optimizer)
    ]


def set_learning_rates(optimizer: Any, rates: list[float]) -> None:
    """Sets the learning rate of each optimizer that takes steps."""
    for inner, rate in zip(inner_optimizers(optimizer), rates, strict=True):
        inner.learning_rate = rate


def check_rates(optimizer: Any, label: str) -> None:
    """Checks that learning rates can be set.

    Raises:
        ValueError: If one of them follows a schedule, or all are 0.
    """
    for inner in inner_optimizers(optimizer):
        if isinstance(inner.get_config()["learning_rate"], dict):  # that of a schedule
            raise ValueError(
                f"{label} has a learning_rate, and that of {type(inner).__name__} follows a "
                "schedule; compile with a number, or leave learning_rate out of all stages."
            )
    if not max(learning_rates(optimizer)) > 0:
        raise ValueError(
            f"{label} has a learning_rate, and that of {type(optimizer).__name__} is 0; compile "
            "with a rate above 0."
        )

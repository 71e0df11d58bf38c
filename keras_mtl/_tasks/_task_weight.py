"""The weight of a task: a number, or a variable that may change during training."""

import math
from typing import Any


def check_weight(name: str, weight: Any) -> Any:
    """Returns a weight as a float, or the variable itself.

    Args:
        name: The name of the task.
        weight: A number, or a variable of one number.

    Raises:
        ValueError: If it is no single number, or not finite, or negative.
    """
    try:
        value = value_of(weight)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"task {name!r}: weight must be one number, or a keras.Variable of one; received "
            f"{weight!r}."
        ) from error
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"task {name!r}: weight must be finite and at least 0; received {value}.")
    return weight if is_variable(weight) else value


def is_variable(weight: Any) -> bool:
    """Tells whether a weight is a variable, of Keras or of TensorFlow."""
    return hasattr(weight, "assign")


def value_of(weight: Any) -> float:
    """Returns the present value of a weight."""
    # NumPy warns where it reads a variable itself (docs/keras_notes.md, 114).
    return float(weight.numpy() if is_variable(weight) else weight)

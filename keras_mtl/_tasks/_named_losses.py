"""Losses by name, and functions as losses."""

from typing import Any

import keras

from keras_mtl._tasks._function_loss import FunctionLoss
from keras_mtl._tasks._known_losses import keras_classes


def get_loss(identifier: Any) -> keras.losses.Loss:
    """Returns the loss object that a name, a class or a function stands for.

    Args:
        identifier: A `keras.losses.Loss`, which is returned as it is; a class of losses; the name
            of a loss of Keras; or a function of labels and predictions.

    Raises:
        ValueError: If the name is unknown.
        TypeError: If `identifier` is nothing of these.
    """
    if isinstance(identifier, keras.losses.Loss):
        return identifier
    if isinstance(identifier, str):
        identifier = _from_name(identifier)
    if isinstance(identifier, type) and issubclass(identifier, keras.losses.Loss):
        return identifier()
    if not callable(identifier) or isinstance(identifier, type):
        raise TypeError(
            "loss is a keras.losses.Loss, the name of one, or a function of labels and "
            f"predictions; received {identifier!r}"
        )
    known = keras_classes().get(identifier)
    return FunctionLoss(identifier) if known is None else known()


def _from_name(name: str) -> Any:
    """Returns the class or the function that Keras knows by a name."""
    try:
        return keras.losses.get(name)
    except ValueError as error:
        names = sorted(function.__name__ for function in keras_classes())
        raise ValueError(
            f"Keras knows no loss {name!r}; it knows {', '.join(names)}. A loss of yours is given "
            "as the object or the function itself"
        ) from error

"""Losses by name."""

import keras


def get_loss(identifier: keras.losses.Loss | str) -> keras.losses.Loss:
    """Returns the loss itself, or the loss object that Keras knows by this name.

    Raises:
        ValueError: If the name is unknown.
        TypeError: If `identifier` is neither a name nor a loss.
    """
    if isinstance(identifier, keras.losses.Loss):
        return identifier
    if not isinstance(identifier, str):
        raise TypeError(f"loss is a keras.losses.Loss or the name of one; received {identifier!r}")
    loss = keras.losses.get(identifier)
    if not isinstance(loss, keras.losses.Loss):
        # A function, such as mean_squared_error; the class has the same name in camel case.
        loss = getattr(keras.losses, loss.__name__.title().replace("_", ""))()
    return loss

"""The loss of a factory: its own, its focal one, or the user's."""

from typing import Any

import keras


def choose_loss(loss: Any, default: keras.losses.Loss, focal: keras.losses.Loss) -> Any:
    """Returns `default` for `None`, `focal` for `"focal"`, and any other loss as it is."""
    if loss is None:
        return default
    return focal if isinstance(loss, str) and loss == "focal" else loss

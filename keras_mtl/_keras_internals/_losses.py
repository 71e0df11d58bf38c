"""The arguments of Keras's losses, some of which `get_config` forgets."""

from typing import Any

import keras


def arguments_of(loss: keras.losses.Loss) -> dict[str, Any]:
    """Returns the arguments that a loss of Keras hands to its function, such as `axis`.

    `get_config` leaves out the `delta` of `Huber`, the `axis` of `CosineSimilarity` and of
    `SparseCategoricalCrossentropy` and the references of `Circle`, so that a copy made from it is
    another loss (docs/keras_notes.md, 101).
    """
    return dict(getattr(loss, "_fn_kwargs", {}))

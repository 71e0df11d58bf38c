"""`fit` with a backup: what it receives instead, and what is put back after it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from keras_mtl.training._backup._backup import Backup
from keras_mtl.training._epochs import with_epoch_end


@contextlib.contextmanager
def resuming(
    model: keras.Model,
    callbacks: Any,
    x: Any,
    shuffle: bool,
    steps_per_epoch: int | None,
    initial_epoch: int,
) -> Iterator[tuple[Any, Any, int]]:
    """Yields the data, the callbacks and the first epoch with which `fit` goes on.

    Args:
        model: The model.
        callbacks, shuffle, steps_per_epoch, initial_epoch: As `fit` has received them.
        x: The data, checked.
    """
    callbacks = with_epoch_end(callbacks, model)
    listed = getattr(callbacks, "callbacks", callbacks)
    backups = [callback for callback in listed if isinstance(callback, Backup)]
    if len(backups) > 1:
        raise ValueError(f"fit has received {len(backups)} training.Backup; expected one.")
    if not backups:
        yield x, callbacks, initial_epoch
        return
    # The last one: it saves what other callbacks have changed.
    listed.remove(backups[0])
    listed.append(backups[0])
    with backups[0].attached(model, listed, x, shuffle, steps_per_epoch) as (data, epoch):
        yield data, callbacks, initial_epoch if epoch is None else epoch

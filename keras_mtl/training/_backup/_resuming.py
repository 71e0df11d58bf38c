"""`fit` with a backup: what it receives instead, and what is put back after it."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from keras_mtl.training._backup._backup import Backup
from keras_mtl.training._backup._known_order import KnownOrder
from keras_mtl.training._epochs import with_epoch_end


def with_known_order(x: Any, callbacks: Any, shuffle: bool) -> tuple[Any, bool]:
    """Returns data that yield batches, and whether Keras shuffles them, before they are checked.

    Args:
        x, callbacks, shuffle: As `fit` has received them.
    """
    if isinstance(x, keras.utils.PyDataset) and _backups_of(callbacks):
        return KnownOrder(x, shuffle), False
    return x, shuffle


@contextlib.contextmanager
def resuming(model: keras.Model, arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the arguments with which `fit` goes on.

    Args:
        model: The model.
        arguments: Of Keras's `fit`; the data are checked.
    """
    arguments = {**arguments, "callbacks": with_epoch_end(arguments["callbacks"], model)}
    callbacks = arguments["callbacks"]
    backups = _backups_of(callbacks)
    if len(backups) > 1:
        raise ValueError(f"fit has received {len(backups)} training.Backup; expected one.")
    if not backups:
        yield arguments
        return
    # The last one: it saves what other callbacks have changed.
    listed = getattr(callbacks, "callbacks", callbacks)
    listed.remove(backups[0])
    listed.append(backups[0])
    with backups[0].attached(model, listed, arguments) as changed:
        yield changed


def _backups_of(callbacks: Any) -> list[Backup]:
    listed = getattr(callbacks, "callbacks", callbacks)
    listed = listed if isinstance(listed, list | tuple) else [listed]
    return [callback for callback in listed if isinstance(callback, Backup)]

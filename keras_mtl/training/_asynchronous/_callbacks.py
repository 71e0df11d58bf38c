"""Callbacks of Keras in a training without common steps: at its ends, and at those of epochs."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.training._backup._backup import Backup
from keras_mtl.training._backup._memories import check_memories

_BATCHES = tuple(
    f"on_{kind}batch_{end}" for kind in ("", "train_", "test_") for end in ("begin", "end")
)


def split_callbacks(callbacks: Sequence[Any]) -> tuple[list[Any], Backup | None]:
    """Returns the callbacks that are called, and the backup, if there is one.

    Raises:
        ValueError: If one of them cannot work.
    """
    backups = [callback for callback in callbacks if isinstance(callback, Backup)]
    called = [callback for callback in callbacks if not isinstance(callback, Backup)]
    if len(backups) > 1:
        raise ValueError(f"fit_async has received {len(backups)} training.Backup; expected one.")
    for backup in backups:
        if backup.every is not None:
            raise ValueError(
                f"the backup has every={backup.every}: steps that do not wait have no state that "
                "belongs to one of them. Leave every out; it saves at the end of each epoch."
            )
        check_memories(called)
    for callback in called:
        _check(callback)
    return called, backups[0] if backups else None


def _check(callback: Any) -> None:
    kind = type(callback).__name__
    if not isinstance(callback, keras.callbacks.Callback):
        raise ValueError(f"callbacks: received a {kind}; expected callbacks of Keras.")
    by_epochs = getattr(callback, "save_freq", None) == "epoch"  # of ModelCheckpoint
    if not by_epochs and any(_overrides(callback, name) for name in _BATCHES):
        raise ValueError(
            f"{kind} looks at batches: workers take steps that do not wait for each other, so that "
            "there is no moment between two of them. Callbacks that look at epochs and "
            "evaluations alone work, such as EarlyStopping, ReduceLROnPlateau, CSVLogger, "
            "ModelCheckpoint(save_freq='epoch') and training.Backup."
        )


class EpochCallbacks:
    """Calls callbacks at the ends of a training, of its epochs, and of evaluations.

    Args:
        callbacks: Of Keras.
        model: The `BalancedModel`.
    """

    def __init__(self, callbacks: Sequence[Any], model: Any) -> None:
        self._list = keras.callbacks.CallbackList(list(callbacks), model=model)
        self._flags = model._step.flags
        self._flags_read = self._flags.used

    def call(self, moment: str, *arguments: Any) -> None:
        """Calls a method of all of them, such as "epoch_end" with an epoch and logs.

        Raises:
            ValueError: If one of them has switched tasks or variables off.
        """
        getattr(self._list, f"on_{moment}")(*arguments)
        if self._flags.used != self._flags_read:
            raise ValueError(
                "a callback has switched tasks or variables off (BalancedModel.set_active): the "
                "workers' steps are made once, and do not see it. Use it in fit."
            )


def _overrides(callback: keras.callbacks.Callback, name: str) -> bool:
    """Returns whether a callback has a method of its own, by its class or as an attribute."""
    method = getattr(callback, name)
    return getattr(method, "__func__", method) is not getattr(keras.callbacks.Callback, name)

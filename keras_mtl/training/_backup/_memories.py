"""What Keras's callbacks remember between epochs, beside the model."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

_REMEMBERED: dict[type, tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "stopped_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: ("best",),
}


def check_memories(callbacks: Sequence[Any]) -> None:
    """Checks that a backup can hold what callbacks remember.

    Raises:
        ValueError: If one remembers weights.
    """
    for callback in callbacks:
        if getattr(callback, "restore_best_weights", False):
            raise ValueError(
                f"{type(callback).__name__} has restore_best_weights=True: it keeps weights in "
                "memory, which training.Backup does not save. Pass callbacks.KeepBest beside it, "
                "which keeps them in a file, and leave restore_best_weights out."
            )


def memories_of(callbacks: Sequence[Any]) -> list[dict[str, Any]]:
    """Returns what callbacks of Keras remember, in their order, as values for JSON."""
    return [
        {name: _plain(getattr(callback, name)) for name in names if hasattr(callback, name)}
        for callback, names in _remembering(callbacks)
    ]


def remind(callbacks: Sequence[Any], memories: Sequence[Mapping[str, Any]]) -> None:
    """Gives callbacks back what `memories_of` has returned."""
    remembering = _remembering(callbacks)
    if len(remembering) != len(memories):
        raise ValueError(
            f"the backup has the memory of {len(memories)} callback(s) of Keras that remember "
            f"epochs, and fit has received {len(remembering)}; pass the same ones, or remove the "
            "folder of the backup."
        )
    for (callback, _), memory in zip(remembering, memories, strict=True):
        for name, value in memory.items():
            setattr(callback, name, value)


def _remembering(callbacks: Sequence[Any]) -> list[tuple[Any, tuple[str, ...]]]:
    pairs = []
    for callback in callbacks:
        names = [n for cls, n in _REMEMBERED.items() if isinstance(callback, cls)]
        pairs += [(callback, attributes) for attributes in names[:1]]
    return pairs


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value

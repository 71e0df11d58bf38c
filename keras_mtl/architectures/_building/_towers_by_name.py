"""Towers that differ between tasks: a dict from the name of a task to its tower."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from keras_mtl.architectures._building._parts import Part

Tower: TypeAlias = Part | Mapping[Any, Part]
"""Units or a recipe for all tasks, or a dict of these by task; its key `None` is for all others."""


def towers_by_name(tower: Tower, names: Iterable[str]) -> dict[str, Part]:
    """Returns the tower of each name.

    Args:
        tower: Units, a recipe, or a dict of these.
        names: The names that have a tower: those of the tasks, or of the events of a chain.

    Raises:
        ValueError: If a key of the dict names nothing with a tower, or a name has no tower.
    """
    names = list(names)
    if not isinstance(tower, Mapping):
        return dict.fromkeys(names, tower)
    parts: dict[str | None, Part] = dict(tower)
    unknown = [key for key in parts if key is not None and key not in names]
    if unknown:
        raise ValueError(
            f"tower: nothing with a tower of its own is named {', '.join(map(repr, unknown))}; "
            f"there are {names}."
        )
    missing = [name for name in names if name not in parts and None not in parts]
    if missing:
        raise ValueError(
            f"tower: the dict has no tower for {', '.join(map(repr, missing))}. Add "
            f"{missing[0]!r}: (32,), or None: (32,) for all that are not named."
        )
    return {name: parts[name] if name in parts else parts[None] for name in names}

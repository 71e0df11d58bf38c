"""A contender of several networks, each for a group of tasks."""

from collections.abc import Callable, Iterable
from typing import Any

from keras_mtl.studies._contenders._contender import Contender


def grouped(build: Callable[..., Any], groups: Iterable[Iterable[str]]) -> Contender:
    """Makes a contender of several networks, each of which shares within one group of tasks.

    Choose it where some tasks help each other and others do not: `analysis.group_tasks` proposes
    groups, `advise` finds them within a budget of time. Each network gets the whole budget of
    trials, as the networks of the baseline do.

    Args:
        build: `build(tasks)` or `build(tasks, hp)`, called with the tasks of one group.
        groups: The names of the tasks of each network. Each task is in one group.

    Returns:
        A contender for `compare`.

    Raises:
        TypeError: If a group is one string.
        ValueError: If there is no group, a group is empty, or a task is in several groups.

    Example:
        >>> import keras
        >>> import keras_mtl as mtl
        >>> contender = grouped(
        ...     lambda tasks: mtl.architectures.hard_sharing(keras.Input((4,)), tasks),
        ...     [["click", "like"], ["price"]],
        ... )
        >>> contender.groups
        (('click', 'like'), ('price',))
    """
    read = []
    for group in groups:
        if isinstance(group, str):
            raise TypeError(
                f"a group of tasks is the string {group!r}; expected a list of names: [{group!r}]."
            )
        read.append(tuple(group))
    names = [name for group in read for name in group]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if not read or () in read or doubles:
        raise ValueError(
            f"groups are {[list(group) for group in read]}; expected lists of names, none of them "
            "empty, with each task in one of them"
            + (f"; {doubles} are in several." if doubles else ".")
        )
    return Contender(build, groups=tuple(read))

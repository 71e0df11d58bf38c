"""Names of tasks: of strings, of tasks, and of what a frame or a dict says."""

from collections import Counter
from collections.abc import Iterable
from typing import Any


def read_names(tasks: Iterable[Any]) -> tuple[str, ...]:
    """Returns the names of tasks, which are strings or have an attribute `name`.

    Raises:
        ValueError: If two tasks have one name.
    """
    names = tuple(str(getattr(task, "name", task)) for task in tasks)
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise ValueError(f"two tasks are named {doubled[0]!r}; expected different names.")
    return names

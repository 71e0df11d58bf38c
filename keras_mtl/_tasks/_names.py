"""The names that a task can have."""

import re
from typing import Any

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
# A SavedModel has signatures and attributes with these names already.
_RESERVED = {
    "non_trainable_variables",
    "serve",
    "serving_default",
    "shared",  # begins the names of layers that belong to no task
    "signatures",
    "trainable_variables",
    "variables",
}


def check_name(name: Any) -> None:
    """Checks that `name` can be used as the name of an output, a layer and a signature.

    Raises:
        ValueError: If it cannot.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _RESERVED:
        raise ValueError(
            f"task {name!r}: a task's name becomes an output, a layer and a signature. Use "
            "letters, digits, '_', '.' and '-', beginning with a letter; "
            f"{sorted(_RESERVED)} are taken."
        )

"""What a task may be called."""

import re
from typing import Any

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
# Signatures and attributes of a SavedModel have these names already.
_RESERVED = {
    "non_trainable_variables",
    "serve",
    "serving_default",
    "shared",  # leads the names of layers that belong to no task
    "signatures",
    "trainable_variables",
    "variables",
}


def check_name(name: Any) -> None:
    """Raises where a name cannot name an output, a layer and a signature."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _RESERVED:
        raise ValueError(
            f"task {name!r}: a task's name becomes an output, a layer and a signature. Use "
            "letters, digits, '_', '.' and '-', beginning with a letter; "
            f"{sorted(_RESERVED)} are taken."
        )

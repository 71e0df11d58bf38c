"""Arguments that hold for all names alike, or have one value for each name."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def choose(value: Any, names: Sequence[str], argument: str) -> list[Any]:
    """Returns one value per name from a scalar, a sequence in their order, or a dict by name.

    Raises:
        ValueError: If a sequence has another length, or a dict has other names.
    """
    if isinstance(value, Mapping):
        if set(value) != set(names):
            raise ValueError(
                f"{argument} has the names {sorted(map(str, value))}; expected {sorted(names)}."
            )
        return [value[name] for name in names]
    if np.ndim(value) == 0:
        return [value] * len(names)
    if len(value) != len(names):
        raise ValueError(
            f"{argument} has {len(value)} values; expected one, or {len(names)}: one for each of "
            f"{list(names)}."
        )
    return list(value)

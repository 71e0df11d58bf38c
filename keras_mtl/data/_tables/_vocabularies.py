"""The values of columns that hold categories: strings, or whole numbers as codes."""

from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.data._tables._category_codes import MISSING, UNKNOWN
from keras_mtl.data._tables._frames import Columns


class Vocabularies:
    """Collects the different values of each column of categories.

    Args:
        texts: The columns of strings.
        codes: The columns of whole numbers.
    """

    def __init__(self, texts: list[str], codes: list[str]) -> None:
        self._texts: dict[str, set[bytes]] = {name: set() for name in texts}
        self._codes: dict[str, set[int]] = {name: set() for name in codes}

    def add(self, columns: Columns) -> None:
        """Adds a chunk of rows.

        Raises:
            ValueError: If a code is no whole number. The message names the column.
        """
        for name, words in self._texts.items():
            words.update(columns[name].tolist())
        for name, codes in self._codes.items():
            codes.update(_read_codes(name, columns[name]))

    def words(self, name: str) -> list[str]:
        """Returns the strings of a column in order; the empty one, which is missing, is first.

        Raises:
            ValueError: If a string is not UTF-8.
        """
        try:
            return sorted(word.decode() for word in self._texts[name])
        except UnicodeDecodeError as error:
            raise ValueError(
                f"column {name!r} holds a string that is not UTF-8: {error.object!r}."
            ) from error

    def codes(self, name: str) -> list[int]:
        """Returns the codes of a column in order; `MISSING`, if there are gaps, is first."""
        return sorted(self._codes[name])


def _read_codes(name: str, column: npt.NDArray[Any]) -> set[int]:
    """Returns the different codes of a chunk, with `MISSING` for NaN."""
    values = np.unique(column)
    if values.dtype.kind in "biu":
        codes = {int(value) for value in values}
    else:
        values = values.astype(np.float64)
        present = values[~np.isnan(values)]
        broken = present[~np.isfinite(present) | (present != np.round(present))]
        if len(broken):
            raise ValueError(
                f"column {name!r} is categorical, and {broken[0]:g} is no whole number; take it "
                "out of categorical, or make strings of its values."
            )
        codes = {int(value) for value in present}
        if len(present) < len(values):
            codes.add(MISSING)
    if codes and not UNKNOWN < min(codes) <= max(codes) < 2**63:
        raise ValueError(f"column {name!r} is categorical, and holds codes beyond 64 bits.")
    return codes

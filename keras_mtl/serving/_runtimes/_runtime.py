"""What a version needs of a runtime."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]


class BadRows(Exception):
    """Says that a value of a request cannot be read, such as an image that is none."""


class Runtime(Protocol):
    """Computes outputs of whole batches."""

    def run(self, columns: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Returns outputs of some rows.

        Args:
            columns: By name, `(rows, ...)`; strings as objects of type `str`. Columns which the
                outputs do not depend on may be missing.
            outputs: The names of the outputs.

        Raises:
            BadRows: If a value cannot be read.
        """
        ...


def filler(dtype: str, shape: Sequence[int | None], rows: int) -> Array:
    """Returns a column of zeros or empty strings, which no asked output reads."""
    sizes = (rows, *(1 if size is None else size for size in shape))
    if dtype == "string":
        return np.full(sizes, "", dtype=object)
    return np.zeros(sizes, numpy_dtype(dtype))


def numpy_dtype(dtype: str) -> Any:
    """Returns the dtype of a column as an array; strings are objects."""
    if dtype == "bfloat16":
        import ml_dtypes

        return ml_dtypes.bfloat16
    return object if dtype == "string" else np.dtype(dtype)

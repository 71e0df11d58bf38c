"""What a version takes and answers, as its file outputs.json states it."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

INTEGERS = {
    f"{sign}int{bits}": (-(1 << bits - 1) if sign == "" else 0, (1 << bits - (sign == "")) - 1)
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
}
"""By dtype, the smallest and the largest integer."""

FLOATS = {"float16": 65504.0, "bfloat16": 3.3e38, "float32": 3.4e38, "float64": 1.7e308}
"""By dtype, the largest number (rounded down)."""


@dataclasses.dataclass(frozen=True)
class Column:
    """Describes one input: its name, its dtype and the shape of one row.

    Args:
        name: The name.
        dtype: The name of the dtype, as in NumPy; `"string"` for text.
        shape: The shape of one row, without the axis of the rows; `None` for a length that a
            request chooses.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    @property
    def entries(self) -> int | None:
        """Number of entries of one row; `None` where a request chooses it."""
        sizes = [size for size in self.shape if size is not None]
        return math.prod(sizes) if len(sizes) == len(self.shape) else None


@dataclasses.dataclass(frozen=True)
class Signature:
    """Lists the columns that a signature takes and the outputs that it answers."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Contract:
    """Describes the columns, the signatures and the outputs of one version.

    Args:
        columns: The columns by name.
        signatures: The signatures by name; `serving_default` has all tasks.
        tasks: By task, what is known of it.
        reads: By output, the columns from which it is computed.
    """

    columns: Mapping[str, Column]
    signatures: Mapping[str, Signature]
    tasks: Mapping[str, Mapping[str, Any]]
    reads: Mapping[str, tuple[str, ...]]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs of `serving_default`."""
        return self.signatures["serving_default"].outputs


def read_contract(stated: Any) -> Contract:
    """Returns the contract that the content of an outputs.json states.

    Raises:
        ValueError: If it does not have the form of an outputs.json, or contradicts itself.
    """
    try:
        if stated["format"] != 1:
            raise ValueError(f"outputs.json has format {stated['format']!r}; this server reads 1.")
        columns = {name: _read_column(name, facts) for name, facts in stated["inputs"].items()}
        signatures = {
            name: Signature(tuple(facts["inputs"]), tuple(facts["outputs"]))
            for name, facts in stated["signatures"].items()
        }
        tasks = {name: dict(facts) for name, facts in stated["tasks"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"outputs.json does not have the expected form ({type(error).__name__}: {error})."
        ) from error
    _check_signatures(columns, signatures)
    return Contract(columns, signatures, tasks, _find_reads(signatures))


def _read_column(name: str, facts: Mapping[str, Any]) -> Column:
    dtype = str(facts["dtype"])
    if dtype not in {"string", "bool", *INTEGERS, *FLOATS}:
        raise ValueError(f"outputs.json gives input {name!r} the unknown dtype {dtype!r}.")
    shape = list(facts["shape"])
    if not shape or shape[0] is not None or not all(n is None or n >= 0 for n in shape[1:]):
        raise ValueError(
            f"outputs.json gives input {name!r} the shape {shape}; the first axis is that of the "
            "rows, null."
        )
    return Column(name, dtype, tuple(shape[1:]))


def _check_signatures(columns: Mapping[str, Column], signatures: Mapping[str, Signature]) -> None:
    if "serving_default" not in signatures:
        raise ValueError("outputs.json has no signature 'serving_default'.")
    every_output = set(signatures["serving_default"].outputs)
    for name, signature in signatures.items():
        unknown = {*signature.inputs} - {*columns}
        if unknown:
            raise ValueError(
                f"outputs.json: signature {name!r} takes {min(unknown)!r}, which is no input."
            )
        unknown = {*signature.outputs} - every_output
        if unknown or not signature.outputs:
            raise ValueError(
                f"outputs.json: the outputs of signature {name!r} must be some of those of "
                "'serving_default'."
            )


def _find_reads(signatures: Mapping[str, Signature]) -> dict[str, tuple[str, ...]]:
    """Returns for each output the fewest columns with which a signature answers it."""
    reads: dict[str, tuple[str, ...]] = {}
    for signature in signatures.values():
        for output in signature.outputs:
            if output not in reads or len(signature.inputs) < len(reads[output]):
                reads[output] = signature.inputs
    return reads

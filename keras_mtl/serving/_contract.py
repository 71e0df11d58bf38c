"""What requests may hold: the columns, signatures and outputs of a version."""

import dataclasses
from collections.abc import Mapping

from keras_mtl.export._beside._interface import ALL_TASKS, Interface, SignatureSpec
from keras_mtl.export._beside._refused import RefusedVersion

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
        filled: Where the network fills missing numbers: everywhere, nowhere, or in these places of
            the last axis. There a request may hold `null`.
        holds_bytes: Whether a string may be bytes that are no text, such as those of an image.
        range: The smallest and the largest number on rows of the reference, if they are known.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    filled: bool | tuple[int, ...] = False
    holds_bytes: bool = False
    range: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class Contract:
    """Describes the columns, the signatures and the outputs of one version.

    Args:
        columns: The columns by name.
        signatures: The signatures by name; `serving_default` has all tasks.
        outputs: The outputs of `serving_default`, with their dtypes and shapes.
        tasks: By output, its task.
        kinds: By task, what a label says: "yes or no", "class", "number" and so on.
        reads: By output, the columns from which it is computed.
    """

    columns: Mapping[str, Column]
    signatures: Mapping[str, SignatureSpec]
    outputs: Mapping[str, Column]
    tasks: Mapping[str, str]
    kinds: Mapping[str, str]
    reads: Mapping[str, tuple[str, ...]]


def make_contract(
    interface: Interface,
    holds_bytes: bool = False,
    ranges: Mapping[str, tuple[float, float]] | None = None,
) -> Contract:
    """Returns the contract of a version from its outputs.json.

    Args:
        interface: The content of outputs.json.
        holds_bytes: Whether the runtime takes strings that are no text.
        ranges: By column, the smallest and the largest number on rows of the reference.

    Raises:
        RefusedVersion: If a dtype is unknown, or the file contradicts itself.
    """
    ranges = ranges or {}
    columns = {
        name: Column(
            name,
            spec.dtype,
            tuple(spec.shape[1:]),
            spec.filled or False,
            holds_bytes,
            ranges.get(name),
        )
        for name, spec in interface.inputs.items()
    }
    for column in columns.values():
        if column.dtype not in {"string", "bool", *INTEGERS, *FLOATS}:
            raise RefusedVersion(f"input {column.name!r} has the unknown dtype {column.dtype!r}.")
    outputs, tasks = {}, {}
    for name, task in interface.tasks.items():
        shape = tuple(task.shape[1:])
        outputs[name], tasks[name] = Column(name, task.dtype, shape), name
        if task.decision:
            outputs[task.decision] = Column(task.decision, "int32", shape)
            tasks[task.decision] = name
    _check_signatures(columns, outputs, interface.signatures)
    served = {name: outputs[name] for name in interface.signatures[ALL_TASKS].outputs}
    kinds = {name: task.kind for name, task in interface.tasks.items()}
    return Contract(columns, interface.signatures, served, tasks, kinds, _find_reads(interface))


def _check_signatures(
    columns: Mapping[str, Column],
    outputs: Mapping[str, Column],
    signatures: Mapping[str, SignatureSpec],
) -> None:
    every_output = set(signatures[ALL_TASKS].outputs)
    for name, signature in signatures.items():
        if unknown := {*signature.inputs} - {*columns}:
            raise RefusedVersion(f"signature {name!r} takes {min(unknown)!r}, which is no input.")
        if {*signature.outputs} - every_output or not signature.outputs:
            raise RefusedVersion(
                f"the outputs of signature {name!r} must be some of those of {ALL_TASKS!r}."
            )


def _find_reads(interface: Interface) -> dict[str, tuple[str, ...]]:
    """Returns for each output the fewest columns with which a signature answers it."""
    reads: dict[str, tuple[str, ...]] = {}
    for signature in interface.signatures.values():
        for output in signature.outputs:
            if output not in reads or len(signature.inputs) < len(reads[output]):
                reads[output] = signature.inputs
    return reads

"""One request whose values have been checked."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from keras_mtl.export._beside._interface import SignatureSpec
from keras_mtl.serving._contract import Contract
from keras_mtl.serving._requests._check_values import check_values, flatten
from keras_mtl.serving._requests._refusal import Refusal, quote
from keras_mtl.serving._settings import Limits


@dataclasses.dataclass(slots=True)
class Request:
    """Holds the checked rows of one request, and the outputs that it asks for.

    Args:
        values: By column, the entries of all rows one after another.
        shapes: By column, the shape of one row.
        rows: The number of rows.
        outputs: The names of the outputs.
        label: The task, if it is one alone, and otherwise `"all"`; for metrics.
    """

    values: dict[str, list[Any]]
    shapes: dict[str, tuple[int, ...]]
    rows: int
    outputs: tuple[str, ...]
    label: str


def make_request(
    contract: Contract,
    columns: Mapping[str, list[Any]],
    outputs: tuple[str, ...],
    limits: Limits,
) -> Request:
    """Checks the columns of a request; returns them in one flat list per column.

    Args:
        contract: What the version takes.
        columns: By name, one nested list per row.
        outputs: The names of the outputs.
        limits: The bounds of a request.

    Raises:
        Refusal: If the number of rows differs between columns or is beyond its bound, or a value
            is refused.
    """
    lengths = {len(rows) for rows in columns.values()}
    if len(lengths) > 1:
        raise _refuse_lengths(columns)
    (rows,) = lengths
    check_rows(rows, limits)
    values: dict[str, list[Any]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, nested in columns.items():
        column = contract.columns[name]
        flat, shape = flatten(column, nested)
        values[name] = check_values(column, flat, len(flat) // rows, limits)
        shapes[name] = shape
    return Request(values, shapes, rows, outputs, label_of(contract, outputs))


def label_of(contract: Contract, outputs: tuple[str, ...]) -> str:
    """Returns the task of some outputs, or `"all"` if they are not those of one task alone."""
    tasks = {contract.tasks[name] for name in outputs}
    return tasks.pop() if len(tasks) == 1 else "all"


def check_rows(rows: int, limits: Limits) -> None:
    """Checks that the number of rows is within its bound."""
    if not 1 <= rows <= limits.rows:
        raise Refusal(
            400 if rows < 1 else 413,
            "rows",
            f"a request has between 1 and {limits.rows} rows; received {rows}.",
        )


def check_names(
    names: Iterable[str], expected: tuple[str, ...], accepted: Iterable[str], where: str
) -> None:
    """Checks that the names of columns are those that are expected.

    Args:
        names: The names of the request.
        expected: The columns without which there is no answer.
        accepted: All columns that may be sent.
        where: What takes them, for the sentence: "signature 'income'".
    """
    present = set(names)
    missing = [name for name in expected if name not in present]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise Refusal(400, "columns", f"column {missing[0]!r}{more} is missing; {where} takes it.")
    extra = present - set(accepted)
    if extra:
        raise Refusal(
            400,
            "columns",
            f"column {quote(min(extra))} is unknown to {where}, which takes "
            f"{list_names(accepted)}.",
        )


def find_signature(contract: Contract, name: Any) -> tuple[str, SignatureSpec]:
    """Returns a signature by its name.

    Raises:
        Refusal: If there is none of this name.
    """
    if type(name) is not str or name not in contract.signatures:
        known = list_names(sorted(contract.signatures))
        raise Refusal(
            404 if type(name) is str else 400,
            "signature",
            f"there is no signature or task {quote(name)}; this version has {known}.",
        )
    return name, contract.signatures[name]


def find_output(contract: Contract, name: Any) -> str:
    """Returns the name of an output.

    Raises:
        Refusal: If there is none of this name.
    """
    if type(name) is not str or name not in contract.outputs:
        raise Refusal(
            404 if type(name) is str else 400,
            "output",
            f"there is no task or output {quote(name)}; this version has "
            f"{list_names(contract.outputs)}.",
        )
    return name


def _refuse_lengths(columns: Mapping[str, list[Any]]) -> Refusal:
    names = list(columns)
    other = next(name for name in names if len(columns[name]) != len(columns[names[0]]))
    return Refusal(
        400,
        "shape",
        f"column {other!r} has {len(columns[other])} rows, and column {names[0]!r} has "
        f"{len(columns[names[0]])}; all columns have the same number of rows.",
    )


def list_names(names: Iterable[str]) -> str:
    """Returns names for a sentence, the first ten of them."""
    quoted = [repr(name) for name in names]
    return ", ".join(quoted[:10]) + (", ..." if len(quoted) > 10 else "")

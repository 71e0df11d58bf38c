"""reference.json: what predictions and columns looked like on training rows."""

import dataclasses
import math
import os
import pathlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_mtl.export._beside._interface import Interface, read_interface
from keras_mtl.export._beside._json_files import read_json, write_json
from keras_mtl.export._beside._manifest import check_manifest
from keras_mtl.export._beside._place import new_file
from keras_mtl.export._beside._refused import RefusedVersion
from keras_mtl.serving._watching._bins import Bins, make_bins

FILE = "reference.json"
_MOST_STRINGS = 10_000


@dataclasses.dataclass(frozen=True)
class Reference:
    """Holds what training rows looked like.

    Args:
        bins: By task, the bins of its predictions.
        strings: By column of strings, those that count as known.
        missing: By column of numbers that may be missing, the share of missing ones.
        unknown: By column of strings, the share of those that do not count as known.
        ranges: By column of numbers, the smallest and the largest one, rounded outward.
    """

    bins: Mapping[str, Bins]
    strings: Mapping[str, frozenset[str]]
    missing: Mapping[str, float]
    unknown: Mapping[str, float]
    ranges: Mapping[str, tuple[float, float]]


def write_reference(
    folder: str | os.PathLike[str],
    columns: Mapping[str, npt.ArrayLike],
    predictions: Mapping[str, npt.ArrayLike],
    *,
    min_count: int = 10,
) -> pathlib.Path:
    """Writes into a version what training rows looked like, so that a server can tell drift.

    The server then reports per task how far its predictions are from those on training rows, and
    per column the shares of unknown strings, missing numbers and numbers outside of their range,
    and refuses numbers far outside of it (`Limits.range_widths`).

    Choose it after `keras_mtl.export.saved_model`, and before the version is copied to servers,
    with rows on which the network was not trained, such as validation rows: predictions on training
    rows are more certain. Not for columns of names or free text, whose strings would be written to
    the file: leave those columns out. Of numbers the file holds the smallest and the largest of a
    column, rounded outward to two digits, so that it does not tell the value of one person.

    Args:
        folder: The folder of a version.
        columns: Columns of some thousand rows, by name; columns that are left out are not watched.
        predictions: The predictions of the network for these rows, by task.
        min_count: How often a string occurs at least to count as known. Rare strings, which could
            tell of a person, are not written.

    Returns:
        The file.

    Raises:
        RefusedVersion: If the folder is no whole version.
        ValueError: If a column or a task is none of the version, or predictions are not finite.

    Example:
        >>> import tempfile, keras, keras_mtl as mtl
        >>> task = mtl.Task.binary("click")
        >>> x = keras.Input((1,), name="x")
        >>> network = keras.Model(x, {"click": task.output(x)})
        >>> folder = mtl.export.saved_model(network, [task], tempfile.mkdtemp() + "/shop/1")
        >>> rows = np.random.default_rng(0).normal(size=(1000, 1))
        >>> path = write_reference(folder, {"x": rows}, network.predict(rows, verbose=0))
        >>> sorted(read_reference(folder).bins)
        ['click']
    """
    folder = pathlib.Path(folder)
    check_manifest(folder)
    interface = read_interface(folder)
    _check_names("column", columns, interface.inputs)
    _check_names("task", predictions, interface.tasks)
    bins = {}
    for task, values in predictions.items():
        array = np.asarray(values, float)
        if not array.size or not np.isfinite(array).all():
            raise ValueError(f"the predictions of task {task!r} must be finite numbers.")
        bins[task] = dataclasses.asdict(make_bins(array, interface.tasks[task].kind == "class"))
    content = {"bins": bins, **_describe_columns(columns, interface, min_count)}
    with new_file(folder / FILE) as path:
        write_json(path, content)
    return folder / FILE


def read_reference(folder: pathlib.Path) -> Reference | None:
    """Reads reference.json of a version; returns `None` if it has none.

    Raises:
        RefusedVersion: If the file is incomplete.
    """
    path = folder / FILE
    if not path.exists():
        return None
    content = read_json(path)
    try:
        bins = {
            task: Bins(
                None if facts["edges"] is None else tuple(map(float, facts["edges"])),
                tuple(map(int, facts["counts"])),
            )
            for task, facts in content["bins"].items()
        }
        strings = {name: frozenset(known) for name, known in content["strings"].items()}
        missing, unknown = (
            {name: float(share) for name, share in content[key].items()}
            for key in ("missing", "unknown")
        )
        ranges = {
            name: (float(low), float(high)) for name, (low, high) in content["ranges"].items()
        }
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RefusedVersion(f"{path} is not complete: {type(error).__name__} {error}.") from error
    return Reference(bins, strings, missing, unknown, ranges)


def _check_names(kind: str, names: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"{kind} {unknown[0]!r} is none of the version; expected {sorted(known)}.")


def _describe_columns(
    columns: Mapping[str, npt.ArrayLike], interface: Interface, min_count: int
) -> dict[str, dict[str, Any]]:
    """Returns those fields of `Reference` that say something of columns."""
    strings, unknown, missing, ranges = {}, {}, {}, {}
    for name, column in columns.items():
        spec = interface.inputs[name]
        if spec.dtype == "string":
            strings[name], unknown[name] = _find_known(np.asarray(column, object), min_count)
        elif spec.dtype != "bool":
            numbers = np.asarray(column, float)
            if spec.filled:
                missing[name] = float(np.isnan(numbers).mean())
            finite = numbers[np.isfinite(numbers)]
            if finite.size:
                ranges[name] = (-_round_up(-finite.min()), _round_up(finite.max()))
    return {"strings": strings, "missing": missing, "unknown": unknown, "ranges": ranges}


def _find_known(values: npt.NDArray[Any], min_count: int) -> tuple[list[str], float]:
    """Returns the strings that occur often, most frequent first, and the share of the others."""
    texts = (v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values.ravel())
    counts = Counter(texts).most_common(_MOST_STRINGS)
    known = {text: count for text, count in counts if count >= min_count}
    return list(known), 1 - sum(known.values()) / max(values.size, 1)


def _round_up(value: float) -> float:
    """Returns the next number of two digits that is not smaller."""
    if not abs(value) > 1e-300:
        return max(float(value), 0.0)
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return max(float(value), math.ceil(value / step) * step)

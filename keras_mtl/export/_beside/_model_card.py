"""model_card.md: what a model answers, how well, and where not to use it, for people."""

import html
import math
import os
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keras_mtl.export._beside._interface import Interface, TaskSpec, read_interface
from keras_mtl.export._beside._manifest import check_manifest
from keras_mtl.export._beside._place import new_file

FILE = "model_card.md"
_NOT_STATED = "Not stated."
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~>$])")


def model_card(
    folder: str | os.PathLike[str],
    *,
    data: str | None = None,
    metrics: Any = None,
    limits: Sequence[str] = (),
    license: str | None = None,
) -> pathlib.Path:
    """Writes the model card of an exported version anew, with what its maker knows.

    `export.saved_model` writes a card of what the export itself shows: tasks with their kinds,
    thresholds and scales, inputs, and how rows that are not finite are answered. All else is "Not
    stated" until this function states it. Call it before a server sees the version, and before
    `export.sign`: it writes the manifest anew.

    Args:
        folder: The folder of a version.
        data: What the model was trained and tested on, and when that was collected.
        metrics: Test metrics by task: `{"click": {"auc": 0.81, "f1": (0.4, 0.37, 0.43)}}`, where
            three numbers are a value and its interval; or a comparison with single-task networks,
            such as `study.comparisons["network"]` of `keras_mtl.studies.compare`, with its 95 %
            intervals.
        limits: What the model should not be used for, and where it is known to fail.
        license: The license of the model.

    Returns:
        The file.

    Raises:
        RefusedVersion: If the folder is not what was exported.
        ValueError: If metrics are of unknown tasks, or not numbers.
        TypeError: If metrics are neither a dict nor a comparison.

    Example:
        >>> import tempfile
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,), name="user"), tasks)
        >>> folder = mtl.export.saved_model(network, tasks, tempfile.mkdtemp() + "/shop/1")
        >>> card = model_card(folder, metrics={"click": {"auc": (0.81, 0.79, 0.83)}})
        >>> "| click | auc | 0\\\\.81 | 0\\\\.79 to 0\\\\.83 |" in card.read_text()
        True
    """
    folder = pathlib.Path(folder)
    check_manifest(folder)
    interface = read_interface(folder)
    rows = _metric_rows(metrics, interface)
    with new_file(folder / FILE) as path:
        write_card(folder, interface, path, data=data, metrics=rows, limits=limits, license=license)
    return folder / FILE


def write_card(
    folder: pathlib.Path,
    interface: Interface,
    path: pathlib.Path | None = None,
    *,
    data: str | None = None,
    metrics: Sequence[Sequence[str]] = (),
    limits: Sequence[str] = (),
    license: str | None = None,
) -> None:
    """Writes the card of a version; arguments are those of `model_card`, metrics are rows.

    It is written to the folder of the version, or to `path`.
    """
    parts = [
        f"# {_escape(folder.absolute().parent.name)}",
        "## Tasks",
        _table(
            ("task", "answers", "output", "decision", "unit of the labels"),
            [_task_row(name, task) for name, task in interface.tasks.items()],
        ),
        "## Inputs",
        _table(
            ("input", "dtype", "shape", "rows with NaN or infinity"),
            [
                (name, spec.dtype, _shape(spec.shape), _filling(spec.filled))
                for name, spec in interface.inputs.items()
            ],
        ),
        "## Metrics",
        _table(("task", "metric", "value", "interval"), metrics) if metrics else _NOT_STATED,
        "## Data",
        _escape(data) if data else _NOT_STATED,
        "## Limits",
        "\n".join(f"- {_escape(limit)}" for limit in limits) if limits else _NOT_STATED,
        "## License",
        _escape(license) if license else _NOT_STATED,
    ]
    (path or folder / FILE).write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _escape(text: str) -> str:
    """Returns a text in which nothing is Markdown or HTML, on one line."""
    plain = "".join(
        character if character.isprintable() else " " for character in " ".join(text.split())
    )
    return _MARKDOWN.sub(r"\\\1", html.escape(plain, quote=False))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(heads), ["---"] * len(heads), *([_escape(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _task_row(name: str, task: TaskSpec) -> tuple[str, ...]:
    return (
        name,
        _answers(task),
        _shape(task.shape) + ("" if task.columns is None else f": {', '.join(task.columns)}"),
        "none" if task.threshold is None else f"yes above {_numbers(task.threshold)}",
        _scale(task.scale),
    )


def _answers(task: TaskSpec) -> str:
    """Returns in words what the output of a task holds."""
    if task.levels:
        of_time = "curve at the times" if task.kind == "survival" else ""
        return " ".join((task.kind, of_time, _numbers(task.levels))).replace("  ", " ")
    unit = "logits" if task.logits else "probabilities"
    kinds = {
        "yes or no": f"yes or no, {unit}",
        "number": "numbers",
        "survival": "log hazard ratios",
        "scores": "scores of the items of lists",
        "unknown": "not known",
    }
    text = kinds.get(task.kind, f"classes, {unit}")
    return text if task.classes is None else f"{text}: {', '.join(task.classes)}"


def _scale(scale: Mapping[str, Any] | None) -> str:
    if scale is None:
        return "as trained"
    center, spread = _numbers(scale["center"]), _numbers(scale["spread"])
    return f"given back; learned as {scale['method']}, center {center}, spread {spread}"


def _filling(filled: bool | tuple[int, ...] | None) -> str:
    if filled is None:
        return "answered by the network alone"
    if isinstance(filled, tuple):
        return f"answered with NaN, except that columns {_numbers(filled)} are filled"
    return "filled, or there are none" if filled else "answered with NaN"


def _shape(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"


def _numbers(values: Any) -> str:
    """Returns one number, or several, in short."""
    if isinstance(values, Sequence):
        shown = ", ".join(f"{value:.4g}" for value in values[:8])
        return shown + (f" and {len(values) - 8} more" if len(values) > 8 else "")
    return f"{values:.4g}"


def _metric_rows(metrics: Any, interface: Interface) -> list[tuple[str, ...]]:
    """Returns task, metric, value and interval of each metric.

    Raises:
        TypeError: If metrics are neither a dict nor a comparison.
        ValueError: If they are of unknown tasks, or not numbers.
    """
    if metrics is None:
        return []
    if isinstance(metrics, Mapping):
        rows = [row for task, values in metrics.items() for row in _rows_of(task, values)]
    elif hasattr(metrics, "rows"):
        rows = [_compared(row) for row in metrics.rows]
    else:
        raise TypeError(
            "metrics are a dict {task: {metric: value}}, or a comparison such as "
            f"study.comparisons['network']; received a {type(metrics).__name__}."
        )
    unknown = sorted({row[0].partition("[")[0] for row in rows} - interface.tasks.keys())
    if unknown:
        raise ValueError(f"metrics are of {unknown}; the tasks are {sorted(interface.tasks)}.")
    return rows


def _rows_of(task: str, values: Any) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for metric, value in values.items():
        numbers = list(value) if isinstance(value, Sequence) else [value]
        if len(numbers) not in (1, 3) or not all(isinstance(n, int | float) for n in numbers):
            raise ValueError(
                f"task {task!r}: {metric!r} is a number, or (value, lower, upper); received "
                f"{value!r}."
            )
        interval = f"{numbers[1]:.4g} to {numbers[2]:.4g}" if len(numbers) == 3 else "not stated"
        rows.append((task, metric, f"{numbers[0]:.4g}", interval))
    return rows


def _compared(row: Any) -> tuple[str, ...]:
    """Returns the metric of a task beside that of a network for this task alone."""
    name = row.task if row.column is None else f"{row.task}[{row.column}]"
    value = f"{row.contender:.4g}; alone {row.baseline:.4g}"
    interval = f"difference {row.lower:.4g} to {row.upper:.4g}"
    if math.isnan(row.lower):
        interval = "not tested"
    return (name, row.metric, value, f"{interval} ({row.verdict})")

"""Verdicts as sentences and as tables."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_mtl.analysis._printing._tables import format_number, format_table

if TYPE_CHECKING:
    from keras_mtl.analysis._comparison import Comparison
    from keras_mtl.analysis._task_verdict import TaskVerdict

_MOST_ROWS = 30
"""Longer tables show their distribution, and the worst and best rows."""

_ENDS = 5

_HEADER = [
    "task",
    "metric",
    "better",
    "baseline",
    "contender",
    "gain %",
    "interval %",
    "p",
    "verdict",
]


def percent(fraction: float) -> str:
    """Returns a fraction in percent with three significant digits, and a dash for NaN."""
    return format_number(100.0 * fraction)


def name_of(row: "TaskVerdict") -> str:
    """Returns the task, with its column in brackets."""
    return row.task if row.column is None else f"{row.task}[{row.column}]"


def sentence_of_row(row: "TaskVerdict") -> str:
    """Returns the verdict on a row in words."""
    name = name_of(row) if row.metric == row.task else f"{name_of(row)}, {row.metric}"
    if not row.is_tested:
        return f"{name}: undecided, since there is no test: {row.note}."
    if math.isnan(row.gain):
        ends = (
            f"The difference is between {format_number(row.lower)} and {format_number(row.upper)}"
        )
    else:
        ends = f"The gain is between {percent(row.gain_lower)} % and {percent(row.gain_upper)} %"
    scores = f"{format_number(row.baseline)} to {format_number(row.contender)}"
    better = "higher" if row.mode == "max" else "lower"
    trainings = "one training" if row.num_seeds == 1 else f"{row.num_seeds} trainings"
    rows = f", {row.num_rows} rows" if row.num_rows else ""
    p = f"p {format_number(row.corrected_p)}"
    if row.corrected_p != row.p:
        p += f" corrected, {format_number(row.p)} alone"
    details = f"{scores}; {better} is better; {trainings}{rows}, {p}"
    note = f"; {row.note}" if row.note else ""
    return f"{name}: {row.verdict}. {ends} ({details}{note})."


def sentence_of_all(comparison: "Comparison") -> str:
    """Returns the counts of verdicts and the mean gain in words."""
    tested = [row for row in comparison.rows if row.is_tested]
    counts = Counter(row.verdict for row in tested)
    text = f"Helped {counts['helped']} of {len(tested)}, hurt {counts['hurt']}"
    text += f", no difference {counts['no difference']}, undecided {counts['undecided']}"
    untested = len(comparison.rows) - len(tested)
    text += f"; {untested} not tested" if untested else ""
    if math.isnan(comparison.gain):
        return f"{text}. There is no mean gain."
    interval = _interval(comparison.gain_lower, comparison.gain_upper)
    return f"{text}. Mean gain {percent(comparison.gain)} % {interval}: {comparison.verdict}."


def table_of(comparison: "Comparison") -> str:
    """Returns the table of a comparison with its sentence; of many rows, the worst and best."""
    rows = list(comparison.rows)
    if len(rows) <= _MOST_ROWS:
        parts = [format_table(_HEADER, [_cells(row) for row in rows])]
    else:
        ranked = sorted((row for row in rows if row.gain == row.gain), key=lambda row: row.gain)
        parts = [_distribution([row.gain for row in ranked])]
        for title, part in (("worst", ranked[:_ENDS]), ("best", ranked[-_ENDS:])):
            parts += [f"{title}:", format_table(_HEADER, [_cells(row) for row in part])]
        parts.append("All rows are in `rows` and `to_records()`.")
    if len(rows) <= _MOST_ROWS:
        parts += [f"{name_of(row)}, {row.metric}: {row.note}" for row in rows if row.note]
    else:
        notes = Counter(row.note.partition(":")[0] for row in rows if row.note)
        parts += [f"{note}: {count} rows" for note, count in notes.most_common(_ENDS)]
    return "\n".join([*parts, _method_of(comparison), sentence_of_all(comparison)])


def _cells(row: "TaskVerdict") -> list[str]:
    return [
        name_of(row),
        row.metric,
        row.mode,
        format_number(row.baseline),
        format_number(row.contender),
        percent(row.gain),
        _interval(row.gain_lower, row.gain_upper),
        format_number(row.corrected_p),
        row.verdict,
    ]


def _interval(lower: float, upper: float) -> str:
    return "-" if math.isnan(lower) else f"[{percent(lower)}, {percent(upper)}]"


def _distribution(gains: Sequence[float]) -> str:
    if not gains:
        return "No row has a gain."
    quantiles = np.quantile(gains, [0.0, 0.25, 0.5, 0.75, 1.0])
    return format_table(
        [
            "rows with a gain",
            "smallest %",
            "quarter %",
            "median %",
            "three quarters %",
            "largest %",
        ],
        [[str(len(gains)), *map(percent, quantiles.tolist())]],
    )


def _method_of(comparison: "Comparison") -> str:
    margins = {row.margin for row in comparison.rows}
    ends = " to ".join(f"{percent(value)} %" for value in sorted({min(margins), max(margins)}))
    methods = sorted({row.method for row in comparison.rows if row.is_tested})
    tests = ", ".join(methods) or "no test"
    return f"p: {tests}; corrected by {comparison.correction}; margin {ends}."

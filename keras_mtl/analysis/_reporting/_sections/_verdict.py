"""Whether contenders helped: sentence, overview, and a figure with all numbers."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mtl.analysis import figures
from keras_mtl.analysis._comparison import Comparison
from keras_mtl.analysis._correct_jointly import correct_jointly
from keras_mtl.analysis._reporting._cells import NONE, to_interval, to_percent, to_text
from keras_mtl.analysis._reporting._page import Section, Table, make_table
from keras_mtl.analysis._reporting._pictures import make_picture
from keras_mtl.analysis._task_verdict import TaskVerdict
from keras_mtl.analysis._verdicts._rule import Word
from keras_mtl.analysis._verdicts._texts import name_of

SIGNS = {
    "helped": "\N{BLACK UP-POINTING TRIANGLE}",
    "hurt": "\N{BLACK DOWN-POINTING TRIANGLE}",
    "no difference": "=",
    "undecided": "?",
}
_ARROWS = {"max": "\N{UPWARDS ARROW}", "min": "\N{DOWNWARDS ARROW}"}
_MOST_ROWS = 30
_ENDS = 20
_MOST_NAMES = 5  # of contenders in the sentence

_WORDS: dict[Word, str] = {
    "helped": "helped",
    "hurt": "hurt",
    "no difference": "made no difference",
    "undecided": "are undecided",
}

_READING = (
    "A gain is the improvement of a metric over the baseline's, in percent of the baseline's "
    "score; above 0 is better, whatever the direction of the metric. In brackets stands its 95 % "
    "interval. Arrows say whether a metric is better high (\N{UPWARDS ARROW}) or low "
    "(\N{DOWNWARDS ARROW}).",
    f"{SIGNS['helped']} helped and {SIGNS['hurt']} hurt need an interval on one side of 0 (or of "
    "the margin, where one was set), and a p-value of at most .05 after correction for the number "
    f"of tests. {SIGNS['undecided']} undecided does not mean equal: more trainings or more test "
    f"rows may decide. {SIGNS['no difference']} no difference is said only within a margin.",
)


def make_verdict(comparisons: Mapping[str, Comparison]) -> Section:
    """Returns the section of verdicts; without comparisons, it says that there are none."""
    if not comparisons:
        text = "Nothing was compared with a baseline, so this page has no verdicts: it does not say"
        return Section("verdict", "Verdict", (f"{text} whether sharing helped.",))
    parts: list[Any] = [_sentence(comparisons), *_READING, _totals(comparisons)]
    parts += [*_distribution(comparisons), _overview(comparisons)]
    if not _is_joint(comparisons):
        parts.append(
            "The p-values are corrected for the tasks of one contender, not for all contenders "
            "together: with several contenders, false claims are more frequent than 5 %."
        )
    parts.append(_picture(comparisons))
    return Section("verdict", "Verdict", tuple(parts))


def _sentence(comparisons: Mapping[str, Comparison]) -> str:
    if len(comparisons) == 1:
        name, comparison = next(iter(comparisons.items()))
        return f"{name}: {comparison.sentence}"
    parts = []
    for word, text in _WORDS.items():
        names = [name for name, result in comparisons.items() if result.verdict == word]
        if names:
            text = text.replace("are", "is") if len(names) == 1 else text
            listed = f" ({', '.join(names)})" if len(names) <= _MOST_NAMES else ""
            parts.append(f"{len(names)} {text}{listed}")
    tasks = {row.task for result in comparisons.values() for row in result.rows}
    where = "On average over the tasks" if len(tasks) > 1 else "On the only task"
    sentence = f"{where}, of {len(comparisons)} contenders, {', '.join(parts)}."
    known = {name: result for name, result in comparisons.items() if result.gain > 0.0}
    if known:
        best = max(known, key=lambda name: known[name].gain)
        gain, interval = (
            to_percent(known[best].gain),
            to_interval(known[best].gain_lower, known[best].gain_upper, percent=True),
        )
        sentence += f" The largest mean gain is that of {best}: {gain} % {interval}."
    return sentence


def _is_joint(comparisons: Mapping[str, Comparison]) -> bool:
    """Returns whether the p-values are corrected for all contenders together."""
    joint = correct_jointly(comparisons)
    return all(
        [row.verdict for row in joint[name].rows] == [row.verdict for row in comparison.rows]
        for name, comparison in comparisons.items()
    )


def _totals(comparisons: Mapping[str, Comparison]) -> Table:
    records, cells = [], []
    for name, result in comparisons.items():
        counts: dict[str, int] = {word: result.count(word) for word in _WORDS}
        ends = {"gain lower": result.gain_lower, "gain upper": result.gain_upper}
        gain = {"mean gain": result.gain, **ends, "p": result.p, "margin": result.margin}
        records.append({"contender": name, "verdict": result.verdict, **gain, **counts})
        cells.append(
            [
                name,
                f"{SIGNS[result.verdict]} {result.verdict}",
                to_percent(result.gain),
                to_interval(result.gain_lower, result.gain_upper, percent=True),
                *map(str, counts.values()),
            ]
        )
    header = ["contender", "verdict", "mean gain, %", "95 % interval", *_WORDS]
    caption = "Mean gain over the tasks, and on how many rows each verdict was reached"
    return make_table("contenders", caption, records, header=header, cells=cells)


def _overview(comparisons: Mapping[str, Comparison]) -> Table:
    """Returns one row per task and metric, with the gain of each contender."""
    rows: dict[tuple[str, str], dict[str, TaskVerdict]] = {}
    for name, comparison in comparisons.items():
        for row in comparison.rows:
            rows.setdefault((name_of(row), row.metric), {})[name] = row
    keys, note = list(rows), ""
    if len(keys) > _MOST_ROWS:
        keys = _ends(rows)
        note = f"The {_ENDS // 2} rows with the smallest and the {_ENDS // 2} with the largest mean"
        note += f" gain of {len(rows):,} rows. The file of the figure's numbers has all."
    records = []
    for key in keys:
        row = next(iter(rows[key].values()))
        records.append(
            {
                "task": key[0],
                "metric": _metric_of(row),
                "baseline": row.baseline,
                **{name: _cell(rows[key].get(name)) for name in comparisons},
            }
        )
    header = ["task", "metric", "baseline", *comparisons]
    caption = "Gain of each contender over the baseline by task, %, with its 95 % interval"
    return make_table("", caption, records, header=header, note=note)


def _distribution(comparisons: Mapping[str, Comparison]) -> list[Table]:
    """Returns a table of the quartiles of gains, if the rows are too many to show all of them."""
    if max(len(comparison.rows) for comparison in comparisons.values()) <= _MOST_ROWS:
        return []
    names = ("smallest", "lower quarter", "median", "upper quarter", "largest")
    records, cells = [], []
    for name, comparison in comparisons.items():
        gains = [row.gain for row in comparison.rows if not math.isnan(row.gain)]
        ends = np.quantile(gains, [0.0, 0.25, 0.5, 0.75, 1.0]) if gains else np.full(5, np.nan)
        values = dict(zip(names, ends.tolist(), strict=True))
        records.append({"contender": name, "rows with a gain": len(gains), **values})
        cells.append([name, str(len(gains)), *map(to_percent, values.values())])
    header = ["contender", "rows with a gain", *names]
    caption = "Distribution of the gains over all rows, %"
    return [make_table("distribution", caption, records, header=header, cells=cells)]


def _metric_of(row: TaskVerdict) -> str:
    name = (
        "" if row.metric == row.task else row.metric
    )  # a metric without a name has that of its task
    return f"{name} {_ARROWS[row.mode]}".strip()


def _ends(rows: Mapping[tuple[str, str], Mapping[str, TaskVerdict]]) -> list[tuple[str, str]]:
    means = {
        key: float(np.mean([row.gain for row in by_name.values()])) for key, by_name in rows.items()
    }
    ranked = sorted((key for key in rows if not math.isnan(means[key])), key=means.__getitem__)
    return [*ranked[: _ENDS // 2], *ranked[len(ranked) - _ENDS // 2 :]]


def _cell(row: TaskVerdict | None) -> str:
    if row is None:
        return NONE
    interval = to_interval(row.gain_lower, row.gain_upper, percent=True)
    text = f"{SIGNS[row.verdict]} {to_percent(row.gain)}\n{interval}"
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _picture(comparisons: Mapping[str, Comparison]) -> Any:
    records, cells = [], []
    for name, comparison in comparisons.items():
        for row, record in zip(comparison.rows, comparison.to_records(), strict=True):
            records.append({"contender": name, **record})
            cells.append(_list_cells(name, row))
    header = ["task", "contender", "metric", "baseline", "its score", "difference", "95 % interval"]
    header += ["gain, %", "95 % interval", "over chance, %", "p", "verdict", "method", "note"]
    caption = "All verdicts (p is corrected)"
    table = make_table("verdicts", caption, records, header=header, cells=cells)
    count = len(
        {(row.task, row.column, row.metric) for c in comparisons.values() for row in c.rows}
    )
    return make_picture(
        figures.verdicts(comparisons),
        f"Gains of {len(comparisons)} contenders on {count} rows with their 95 % intervals",
        "The gain of each contender by task: a point, with its 95 % interval. An interval that is "
        "wholly to the right of 0 is an improvement, one wholly to the left a loss. Intervals here "
        "are not corrected for the number of tests; verdicts are.",
        table,
    )


def _list_cells(name: str, row: TaskVerdict) -> list[str]:
    return [
        name_of(row),
        name,
        _metric_of(row),
        to_text(row.baseline),
        to_text(row.contender),
        to_text(row.difference),
        to_interval(row.lower, row.upper),
        to_percent(row.gain),
        to_interval(row.gain_lower, row.gain_upper, percent=True),
        to_percent(row.chance_gain),
        to_text(row.corrected_p),
        f"{SIGNS[row.verdict]} {row.verdict}",
        row.method,
        row.note or NONE,
    ]

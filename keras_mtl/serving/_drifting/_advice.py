"""What to do about what was seen."""

from collections.abc import Iterable, Iterator, Sequence

from keras_mtl.serving._drifting._rows import LEAST_ROWS, ColumnDrift, TaskDrift

_MOST_NAMES = 5

_REMEDIES = {
    "non-finite numbers": (
        "There are non-finite numbers",
        "The server refuses rows with NaN or infinity there with status 400; mend them where they "
        "are written.",
    ),
    "unknown strings": (
        "There are many unknown strings",
        "Look for a changed spelling or code at the source first. New categories are answered as "
        "unknown ones until the network is trained with them.",
    ),
    "missing values": (
        "There are many more missing values than in the reference",
        "Look for a source that no longer sends them: the network fills them in, but it learned "
        "with fewer.",
    ),
    "numbers out of range": (
        "There are numbers outside of the range of the reference",
        "Look for another unit, such as cents in place of euros, and for a code such as 9999 for a "
        "missing number. If they are right, the network answers for rows that it has never seen.",
    ),
}
"""By finding on columns, how it is said and what to do."""


def give_advice(tasks: Sequence[TaskDrift], columns: Sequence[ColumnDrift]) -> tuple[str, ...]:
    """Returns a sentence or two per finding, the most urgent ones first."""
    return tuple(
        [
            *_on_columns(columns),
            *_on_drift(tasks, columns),
            *_on_calibration(tasks),
            *_on_few(tasks),
        ]
    )


def list_names(names: Iterable[str]) -> str:
    """Returns names with commas; of many, the first ones and the number of those after them."""
    names = list(names)
    text = ", ".join(names[:_MOST_NAMES])
    return text if len(names) <= _MOST_NAMES else f"{text} and {len(names) - _MOST_NAMES} more"


def _on_columns(columns: Sequence[ColumnDrift]) -> Iterator[str]:
    for finding, (opening, remedy) in _REMEDIES.items():
        names = [column.column for column in columns if finding in column.findings]
        if names:
            yield f"{opening} in {list_names(names)}. {remedy}"


def _on_drift(tasks: Sequence[TaskDrift], columns: Sequence[ColumnDrift]) -> Iterator[str]:
    drifted = [task for task in tasks if task.verdict == "drift"]
    if not drifted:
        return
    text = f"Predictions of {list_names(task.task for task in drifted)} have drifted."
    read = {name for task in drifted for name in task.reads}
    unusual = [column.column for column in columns if column.findings and column.column in read]
    if unusual:
        text += f" Mend the unusual columns that they read first: {list_names(unusual)}."
    elif columns:
        text += " No column that was received explains it: look for changed units or ranges of "
        text += "numbers, and for another mix of rows."
    if 1 < len(drifted) == len(tasks):
        text += " All tasks have drifted, so look at the columns that all of them read."
    yield text + (
        " If the rows are right, the population has changed: gather labels. While the calibration "
        "holds, the version can stay; otherwise train on recent rows. Write a new reference with "
        "the new version, not over the old one."
    )


def _on_calibration(tasks: Sequence[TaskDrift]) -> Iterator[str]:
    off = [task for task in tasks if task.calibration_verdict == "off"]
    if not off:
        return
    high = [task.task for task in off if task.mean_prediction > task.mean_label]
    low = [task.task for task in off if task.mean_prediction <= task.mean_label]
    text = "Probabilities are not those of the labels:"
    text += f" on average too high for {list_names(high)}" if high else ""
    text += ";" if high and low else ""
    text += f" on average too low for {list_names(low)}" if low else ""
    yield text + (
        ". Make sure that labels come back for all rows and not for a selection, and not for the "
        "quick ones first. Then choose thresholds anew, or train on recent rows."
    )


def _on_few(tasks: Sequence[TaskDrift]) -> Iterator[str]:
    few = [task.task for task in tasks if task.verdict == "too few rows"]
    if few:
        yield (
            f"Too few rows for a verdict on {list_names(few)}: gather {LEAST_ROWS:,} predictions, "
            "for example of several days. A smaller log shows a large drift only."
        )
    few = [task.task for task in tasks if task.calibration_verdict == "too few labels"]
    if few:
        yield (
            f"Too few labels for a verdict on the calibration of {list_names(few)}: gather "
            f"{LEAST_ROWS:,}."
        )

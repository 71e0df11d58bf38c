"""Labels that will hurt training: too few, too rare, of one value, or of another scale."""

from collections.abc import Mapping, Sequence

from keras_mtl._tasks import Task
from keras_mtl.data._elements._numbers import num_classes
from keras_mtl.data._label_summary import LabelSummary

_SMALL_SHARE = 0.01  # a task with fewer labels than this share of the largest is warned of
_FEW = 50  # rows of a class
_ENOUGH = 100  # labels of a task: of fewer, every class is small
_RARE = 1 / 256  # most batches hold no example
_TENFOLD = 10.0
_LISTED = 10


def list_label_warnings(summaries: Mapping[str, LabelSummary], tasks: Sequence[Task]) -> list[str]:
    """Returns a message for each harmful property of the labels."""
    largest = max(summaries, key=lambda name: summaries[name].labels)
    messages = []
    for task in tasks:
        summary = summaries[task.name]
        share = summary.labels / max(summaries[largest].labels, 1)
        if not summary.labels:
            messages.append(f"task {task.name!r} has no label in this dataset: it cannot learn.")
            continue
        if share < _SMALL_SHARE:
            messages.append(
                f"task {task.name!r} has {summary.labels} labels, {share:.2%} of those of "
                f"{largest!r}: most batches will hold none. data.mixture(sampling=...) draws them "
                "more often."
            )
        messages += _list_flaws(task, summary)
        messages += _list_flaws_of_columns(task, summary)
    return messages + _compare_scales(summaries, tasks)


def _list_flaws(task: Task, summary: LabelSummary) -> list[str]:
    """Returns messages if the values of a task leave nothing, or less, to learn."""
    subject = f"task {task.name!r}"
    if summary.low == summary.high:
        return [f"{subject}: all labels are {summary.low:g}; there is nothing to learn."]
    classes = num_classes(task)
    if classes is None or task.labels is None or summary.columns:
        return []
    low = int(task.labels.low or 0)
    messages = []
    empty = [str(value) for value in range(low, low + classes) if value not in summary.classes]
    if empty:
        messages.append(
            f"{subject}: {len(empty)} of {classes} classes have no example: {_list(empty)}. The "
            "network will never predict them."
        )
    if _is_rare(summary):
        value, count = min(summary.classes.items(), key=lambda entry: entry[1])
        messages.append(
            f"{subject}: class {value} has {count} of {summary.labels:,} labels, fewer than 1 in "
            "256: most batches will hold none. data.resample draws it more often, "
            "data.class_weights makes it count more."
        )
    few = _find_few(summary)
    if few:
        counts = [f"{value}: {count}" for value, count in few.items()]
        messages.append(
            f"{subject}: {len(few)} of {classes} classes have fewer than {_FEW} rows "
            f"({_list(counts)}): metrics of them are mostly chance. Join classes, or collect more."
        )
    return messages


def _list_flaws_of_columns(task: Task, summary: LabelSummary) -> list[str]:
    """Returns messages that list the columns of a task with the same flaw."""
    columns = summary.columns
    subject = f"task {task.name!r}"
    still = [name for name, column in columns.items() if not column.low < column.high]
    messages = []
    if still:
        messages.append(
            f"{subject}: {len(still)} of {len(columns)} columns have no label or one value only, "
            f"and nothing to learn: {_list(still, 5)}."
        )
    learned = {name: column for name, column in columns.items() if name not in still}
    rare = [name for name, column in learned.items() if _is_rare(column)]
    if rare:
        messages.append(
            f"{subject}: {len(rare)} of {len(columns)} columns have a class with fewer than 1 in "
            f"256 labels: {_list(rare, 5)}. Most batches will hold none."
        )
    few = [name for name, column in learned.items() if _find_few(column)]
    if few:
        messages.append(
            f"{subject}: {len(few)} of {len(columns)} columns have a class with fewer than {_FEW} "
            f"rows: {_list(few, 5)}. Metrics of them are mostly chance."
        )
    variances = {name: column.std**2 for name, column in learned.items() if not column.classes}
    if task.columns is None and task.scale is None and _differ(variances):
        messages.append(
            f"{subject}: the variances of its columns go from {min(variances.values()):.3g} to "
            f"{max(variances.values()):.3g}, and its one loss is nearly that of column "
            f"{max(variances, key=variances.__getitem__)} alone. "
            "Task.regression(..., scale='standard') brings them to one unit."
        )
    return messages


def _is_rare(summary: LabelSummary) -> bool:
    """Tells whether one of two classes comes less than once in 256 labels."""
    return len(summary.classes) == 2 and min(summary.classes.values()) < _RARE * summary.labels


def _find_few(summary: LabelSummary) -> dict[int, int]:
    """Returns the classes with too few examples to be measured, with their counts."""
    if summary.labels < _ENOUGH:
        return {}
    return {value: count for value, count in sorted(summary.classes.items()) if count < _FEW}


def _compare_scales(summaries: Mapping[str, LabelSummary], tasks: Sequence[Task]) -> list[str]:
    """Returns a message if the variances of targets differ tenfold."""
    measured = [
        task.name
        for task in tasks
        if task.labels is not None and task.labels.low is None and task.labels.high is None
        if task.scale is None
    ]
    variances = {name: summaries[name].std ** 2 for name in measured}
    variances = {name: variance for name, variance in variances.items() if variance > 0}
    if not _differ(variances):
        return []
    first = max(variances, key=variances.__getitem__)
    last = min(variances, key=variances.__getitem__)
    return [
        f"the variance of task {first!r} is {variances[first]:.3g}, that of task {last!r} "
        f"{variances[last]:.3g}: with equal weights the loss of {first!r} outweighs the other. "
        "Task.regression(..., scale='standard') learns all in one unit, or a balancer sets off "
        "scales (balancers.Uncertainty)."
    ]


def _differ(variances: Mapping[str, float]) -> bool:
    """Tells whether variances differ tenfold."""
    return bool(variances) and max(variances.values()) >= _TENFOLD * min(variances.values())


def _list(names: Sequence[str], size: int = _LISTED) -> str:
    """Returns the first names, separated by commas."""
    return ", ".join(names[:size]) + (", ..." if len(names) > size else "")

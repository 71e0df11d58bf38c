"""The form that fits several labels: columns of a task, its units, or named tasks."""

from collections.abc import Mapping, Sequence

from keras_mtl._tasks import Task
from keras_mtl.data._label_summary import LabelSummary

_TENFOLD = 10.0
_PARTLY = 0.01  # of the examples: fewer have lost a label by accident
_MANY = 8  # named tasks of one kind


def fitting_form(summary: LabelSummary) -> str:
    """Returns `"units"`, `"columns"` or `"named tasks"`, whichever fits a task of several labels.

    Units share one loss, over all labels together: they fit if labels come together and vary
    alike. Columns have a loss each, so that scales and gaps may differ. Named tasks have a head,
    metrics and a tower each: they fit if some columns hold 0 and 1, and others measure something.

    Args:
        summary: Of a task of several labels per example.
    """
    labeled = [column for column in summary.columns.values() if column.labels]
    measured = [column for column in labeled if not column.classes]
    if measured and len({column.yes_or_no for column in measured}) > 1:
        return "named tasks"
    variances = [column.std**2 for column in measured if column.std]
    if variances and max(variances) >= _TENFOLD * min(variances):
        return "columns"
    if summary.partly > _PARTLY * summary.examples:
        return "columns"
    return "units"


def list_advice(summaries: Mapping[str, LabelSummary], tasks: Sequence[Task]) -> list[str]:
    """Returns a line for each task that has another form than the one that fits."""
    lines = [
        line
        for task in tasks
        if len(summaries[task.name].columns) > 1 and (line := _advise(task, summaries[task.name]))
    ]
    kinds: dict[str, list[str]] = {}
    for task in tasks:
        if task.labels is not None and not task.elementwise and not task.labels.shape:
            kinds.setdefault(repr((task.labels, _loss_name(task))), []).append(task.name)
    for names in kinds.values():
        if len(names) >= _MANY:
            listed = ", ".join(names[:3])
            lines.append(
                f"{listed}, ...: {len(names)} tasks of one kind; columns would fit, unless they "
                "need towers or metrics of their own: one task with columns=[...] is one tensor "
                "and one vectorized loss, and as many losses to a balancer"
            )
    return lines


def _advise(task: Task, summary: LabelSummary) -> str:
    """Returns a line if another form fits better than the one that a task has."""
    form = fitting_form(summary)
    columns = list(summary.columns)
    if form == "named tasks":
        yes_or_no = [name for name, column in summary.columns.items() if column.yes_or_no]
        return (
            f"{task.name}: named tasks would fit, since {', '.join(yes_or_no[:3])} hold 0 and 1 "
            "alone, and other columns do not: each kind needs its own head and loss"
        )
    if form == "columns" and task.columns is None:
        return (
            f"{task.name}: columns would fit, since its {len(columns)} labels are missing one by "
            "one, or differ in scale: columns=[...] gives each a loss of its own"
        )
    measured = not any(column.classes for column in summary.columns.values())
    if form == "units" and task.columns is not None and measured:
        return (
            f"{task.name}: units={len(columns)} would fit, since its labels come together and vary "
            "alike: one loss instead of one per column"
        )
    return ""


def _loss_name(task: Task) -> str:
    return task.loss if isinstance(task.loss, str) else type(task.loss).__name__

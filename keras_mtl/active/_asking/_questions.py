"""Labels that can be bought: of a task, or of one of its columns."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from keras_mtl._tasks import Task, check_tasks


class Question(NamedTuple):
    """Holds the task, and the column of it, whose label can be bought for a row.

    Attributes:
        task: The task.
        column: The position of the column; `None` for all labels of the task together.
    """

    task: Task
    column: int | None


def list_questions(tasks: Sequence[Task]) -> dict[str, Question]:
    """Returns what can be bought, by name: `"task"`, or `"task.column"` for a task with columns.

    Raises:
        ValueError: If two have one name.
    """
    questions: dict[str, Question] = {}
    for task in check_tasks(tasks):
        columns: Iterable[Any] = [None] if task.columns is None else enumerate(task.columns)
        for column in columns:
            name = task.name if column is None else f"{task.name}.{column[1]}"
            if name in questions:
                raise ValueError(f"two labels are called {name!r}: rename the task or the column.")
            questions[name] = Question(task, None if column is None else column[0])
    return questions


def check_names(names: Iterable[str], known: Iterable[str], argument: str) -> None:
    """Checks that names are among those of labels that can be bought.

    Raises:
        ValueError: If one is not.
    """
    known = list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        shown = f"{known[:8]}{'...' if len(known) > 8 else ''}"
        raise ValueError(
            f"{argument} names {unknown[0]!r}, and labels are those of {shown}. A column is "
            "'task.column'."
        )


def rules_by_task(
    rule: str | Mapping[str, str], tasks: Sequence[Task], known: Sequence[str]
) -> dict[str, str]:
    """Returns the rule of each task that has one.

    Args:
        rule: One for all tasks, or one by task.
        tasks: The tasks.
        known: The rules that there are.

    Raises:
        ValueError: If a rule or a task is unknown.
    """
    rules = dict(rule) if isinstance(rule, Mapping) else {task.name: rule for task in tasks}
    names = [task.name for task in tasks]
    for name, chosen in rules.items():
        if name not in names:
            raise ValueError(f"rule names {name!r}, which is no task; the tasks are {names}.")
        if chosen not in known:
            raise ValueError(
                f"task {name!r}: rule must be one of {list(known)}; received {chosen!r}."
            )
    return rules

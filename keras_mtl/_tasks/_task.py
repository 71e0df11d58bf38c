"""What is to be learned: `Task`, and the check of a list of tasks."""

import dataclasses
from collections.abc import Sequence

import keras

from keras_mtl._tasks._factories._binary import BinaryFactory
from keras_mtl._tasks._factories._count import CountFactory
from keras_mtl._tasks._factories._multiclass import MulticlassFactory
from keras_mtl._tasks._factories._multilabel import MultilabelFactory
from keras_mtl._tasks._factories._regression import RegressionFactory
from keras_mtl._tasks._factories._segmentation import SegmentationFactory
from keras_mtl._tasks._factories._tagging import TaggingFactory


@keras.saving.register_keras_serializable(package="keras_mtl")
@dataclasses.dataclass(frozen=True)
class Task(
    BinaryFactory,
    MulticlassFactory,
    MultilabelFactory,
    RegressionFactory,
    CountFactory,
    TaggingFactory,
    SegmentationFactory,
):
    """States what is to be learned: a name, a head, a loss and metrics.

    A task holds recipes and never layers, so one list of tasks builds any number of networks.
    The factories (`Task.binary`, `Task.multiclass`, `Task.multilabel`, `Task.regression`,
    `Task.count`, `Task.tagging`, `Task.segmentation`) fill in a head, a loss, metrics and labels
    that belong together. Use the constructor for any other combination.

    Args:
        name: Becomes the name of the output, the key of the labels, the prefix of the logs and
            the name of the served signature. Letters, digits, `_`, `.` and `-`, beginning with
            a letter.
        head: A `Head`, or a recipe `features -> prediction` that makes new layers at each call.
        loss: A `keras.losses.Loss` or the name of one. Its reduction is not used: the loss of
            a task is the mean over the valid labels of the global batch.
        metrics: Names or `keras.metrics.Metric` objects (which are copied for each model).
            Defaults to no metrics.
        weight: Multiplies the task's loss; finite and not negative. Defaults to `1.0`.
        columns: Names of the entries of the last axis where each entry is a task of its own,
            whose label may be missing by itself (the assays of a molecule). The task's loss is
            the sum over the columns of their mean losses; balancers see one loss per column, and
            metrics are logged as the mean (`<task>_auc`), the worst and the best column.
            Defaults to `None`: no columns.
        labels: Shape, type and range of the labels, to check them before training. Defaults to
            no check.
        log_columns: Columns whose own metrics are logged, as `<task>_<metric>_<column>`.
            Defaults to none of them.

    Raises:
        ValueError: If the name cannot name an output, the weight is negative or not finite, a
            loss or metric is unknown, two metrics share a name, or `log_columns` are not among
            the columns. The message names the task.

    Example:
        >>> task = Task.binary("income", metrics=["auc", "accuracy"], weight=2.0)
        >>> task.metric_names
        ('auc', 'accuracy')
    """


def check_tasks(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """Checks that all entries are tasks with different names, and returns them as a tuple.

    Raises:
        TypeError: If `tasks` is a single task, or an entry is not a `Task`.
        ValueError: If there is no task, or two tasks share a name.

    Example:
        >>> [task.name for task in check_tasks([Task.binary("click"), Task.binary("buy")])]
        ['click', 'buy']
    """
    if isinstance(tasks, Task):
        raise TypeError(
            f"tasks must be a list of Task; received one: put {tasks.name!r} in a list."
        )
    tasks = tuple(tasks)
    for task in tasks:
        if not isinstance(task, Task):
            raise TypeError(f"tasks must hold Task objects; received {task!r}.")
    names = [task.name for task in tasks]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles or not names:
        raise ValueError(
            f"tasks need at least one task and different names; received {names}"
            + (f", where {doubles} appear more than once." if doubles else ".")
        )
    return tasks

"""What a list of tasks means for `compile`, for callbacks and for objectives."""

from collections.abc import Sequence
from typing import Any

from keras_mtl._tasks._metrics import Mode
from keras_mtl._tasks._task import Task


def check_tasks(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """The tasks as a tuple, when they are tasks and their names differ.

    Raises:
        TypeError: If an entry is no `Task`.
        ValueError: If there is no task, or two share a name.

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


def compile_args(tasks: Sequence[Task]) -> dict[str, Any]:
    """What `network.compile` takes: losses, loss weights and metrics, keyed by task.

    Door 1 to training: plain Keras with fixed weights. Losses are means over the valid labels
    of the global batch; metrics count valid labels only, and their names in the logs are
    `<task>_<metric>` for one task as for many. `<task>_mean_loss` is the task's loss averaged
    over valid labels (`<task>_loss`, which Keras adds, averages batches).

    Args:
        tasks: The tasks of the network, in any order.

    Returns:
        Keyword arguments: `loss`, `loss_weights` and `weighted_metrics`, all new objects.

    Raises:
        ValueError: If there is no task or two share a name.

    Example:
        >>> import keras
        >>> import keras_mtl as mtl
        >>> tasks = [mtl.Task.binary("click"), mtl.Task.regression("price", weight=0.1)]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks)
        >>> network.compile("adam", **mtl.compile_args(tasks))
        >>> mtl.compile_args(tasks)["loss_weights"]
        {'click': 1.0, 'price': 0.1}
    """
    tasks = check_tasks(tasks)
    # A model with one output logs its metrics without the output's name.
    prefixes = {task.name: f"{task.name}_" if len(tasks) == 1 else "" for task in tasks}
    return {
        "loss": {task.name: task.make_loss() for task in tasks},
        "loss_weights": {task.name: task.weight for task in tasks},
        "weighted_metrics": {
            task.name: task.make_metrics(prefix=prefixes[task.name]) for task in tasks
        },
    }


def monitor(
    task: Task, metric: str, *, mode: Mode | None = None, validation: bool = True
) -> tuple[str, Mode]:
    """The name of a task's metric in the logs, and whether it is better high or low.

    Keras's callbacks cannot guess a direction for the metrics of a named output
    (`EarlyStopping(mode="auto")` raises), and a misspelt name only warns. This gives both.

    Args:
        task: The task.
        metric: One of the task's metrics, or `"loss"` for its loss averaged over valid labels.
        mode: `"min"` or `"max"`, for a metric that does not tell its own direction.
        validation: Whether to name the validation metric (`val_...`). Defaults to `True`.

    Returns:
        The name as logged and `"min"` or `"max"`.

    Raises:
        ValueError: If the task has no such metric, or its direction is unknown.

    Example:
        >>> import keras
        >>> import keras_mtl as mtl
        >>> name, mode = mtl.monitor(mtl.Task.binary("income"), "auc")
        >>> name, mode
        ('val_income_auc', 'max')
        >>> callback = keras.callbacks.EarlyStopping(name, mode=mode, patience=2)
    """
    if metric in ("loss", "mean_loss"):
        metric, mode = "mean_loss", "min"
    elif metric not in task.metric_names:
        raise ValueError(
            f"task {task.name!r} has no metric {metric!r}; it has {[*task.metric_names, 'loss']}."
        )
    mode = mode or task.mode(metric)
    if mode is None:
        raise ValueError(
            f"task {task.name!r}: whether {metric!r} is better high or low is not known; "
            "pass mode='min' or mode='max'."
        )
    return ("val_" if validation else "") + f"{task.name}_{metric}", mode

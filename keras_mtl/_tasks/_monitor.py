"""The name and the mode of a task's metric, for callbacks and for objectives of a search."""

from keras_mtl._tasks._make_metric import Mode
from keras_mtl._tasks._task import Task


def monitor(
    task: Task, metric: str, *, mode: Mode | None = None, validation: bool = True
) -> tuple[str, Mode]:
    """Returns the name of a task's metric in the logs, and whether it is better high or low.

    Choose it for every callback that watches a metric. Keras's callbacks cannot guess a
    direction for the metrics of a named output (`EarlyStopping(mode="auto")` raises), and a
    misspelled name only warns. This function returns both, or raises.

    Args:
        task: The task.
        metric: One of the task's metrics, or `"loss"` for its loss averaged over valid labels.
        mode: `"min"` or `"max"`, for a metric that does not state its own direction. Defaults to
            the metric's own direction.
        validation: Whether to name the validation metric (`val_...`). Defaults to `True`.

    Returns:
        The name in the logs, and `"min"` or `"max"`.

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

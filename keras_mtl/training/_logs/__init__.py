"""The losses of a batch, and the numbers of an epoch that are logged.

_task_losses    the losses of a batch, of this replica and of all
_step_logs      all that is counted of a batch, and the values of tasks that broke
_task_means     the means of the losses over an epoch, with the mean weights
_metric_groups  equal metrics of many tasks, counted for all of them at once
"""

from keras_mtl.training._logs._metric_groups import MetricGroup, group_metrics
from keras_mtl.training._logs._step_logs import StepLogs
from keras_mtl.training._logs._task_losses import Losses, TaskLosses
from keras_mtl.training._logs._task_means import TaskMeans

__all__ = [
    "Losses",
    "MetricGroup",
    "StepLogs",
    "TaskLosses",
    "TaskMeans",
    "group_metrics",
    "mark_epoch",
]

"""What is to be learned: tasks, their heads, losses and metrics, and the arguments of `compile`.

From the part that users write to the parts that Keras runs:

    _task            Task, and check_tasks for a list of tasks
    _factories       Task.binary, Task.multiclass, ...: one file per kind of task
    _base_task       the settings of a task, and all that is computed from them
    _names           the names that a task can have
    _labels          Labels: shape, type and range of a task's labels
    _head            Head: from features to a prediction
    _task_loss       TaskLoss: the mean over valid labels; _named_losses: losses by name
    _label_weights   the weight of each label: sample weights times the mask
    _task_metric     TaskMetric: a metric over valid labels; _named_metrics: metrics by name
    _mean_loss       MeanLoss: the loss of a task as a metric
    _column_metric   ColumnMetric: one value per column; _column_view: one of these values
    _compile_args    compile_args: losses, loss weights and metrics for `Model.compile`
    _monitor         monitor: name and mode of a metric for callbacks
"""

from keras_mtl._tasks._column_metric import ColumnMetric
from keras_mtl._tasks._compile_args import compile_args
from keras_mtl._tasks._head import Head, attach_activation, attach_head
from keras_mtl._tasks._labels import Labels
from keras_mtl._tasks._monitor import monitor
from keras_mtl._tasks._named_metrics import Mode
from keras_mtl._tasks._task import Task, check_tasks
from keras_mtl._tasks._task_loss import TaskLoss
from keras_mtl._tasks._task_metric import TaskMetric

__all__ = [
    "ColumnMetric",
    "Head",
    "Labels",
    "Mode",
    "Task",
    "TaskLoss",
    "TaskMetric",
    "attach_activation",
    "attach_head",
    "check_tasks",
    "compile_args",
    "monitor",
]

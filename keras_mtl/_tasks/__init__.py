"""What is to be learned: tasks, their heads, losses and metrics, and what `compile` takes."""

from keras_mtl._tasks._column_metrics import ColumnMetric
from keras_mtl._tasks._compile import check_tasks, compile_args, monitor
from keras_mtl._tasks._head import Head, attach_activation, attach_head
from keras_mtl._tasks._loss import TaskLoss
from keras_mtl._tasks._metrics import Mode, TaskMetric
from keras_mtl._tasks._task import Labels, Task

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

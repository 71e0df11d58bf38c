"""What is to be learned: tasks, their heads, losses and metrics, and the arguments of `compile`.

From the part that users write to the parts that Keras runs:

    _task            Task, and check_tasks for a list of tasks
    _factories       Task.binary, Task.multiclass, ...: one file per kind of task
    _kinds          heads and losses of kinds of tasks that Keras has none for
    _base_task       the settings of a task, and all that is computed from them
    _names           the names that a task can have
    _labels          Labels: shape, type and range of a task's labels
    _head            Head: from features to a prediction
    _task_loss       TaskLoss: the mean over valid labels; _named_losses: losses by name
    _batch_loss      losses that have one value for many labels
    _reading         what one value of a loss depends on; _known_losses: what Keras's losses read;
                     _find_reading: what a user's loss reads; _assumed_shapes: for which shapes
    _function_loss   FunctionLoss: a function as a loss
    _label_shapes    labels that a loss cannot take
    _label_weights   the weight of each label: sample weights times the mask
    _masked_frames   masked positions for CTC
    _valid_copies    labels and predictions in which nothing is missing
    _task_weight     the weight of a task: a number or a variable
    _task_metric     TaskMetric: a metric over valid labels; _make_metric: metrics for names,
                     objects and functions; _named_metrics: names; _metrics_by_name: metrics of
                     this package; _copied_metric: copies
    _metric_reading  what a metric reads of a batch; _known_metrics: of Keras's metrics,
                     _own_metrics: of this package's, _probed_metrics: of users' metrics
    _scale           Scale: the unit in which a network learns labels; _scale_layer: its inverse, a
                     layer; _label_statistics: how it is fitted; _check_scale: for which tasks;
                     _scaled_loss: labels and predictions in it
    _output          what metrics need to know of a task; _f_score: F scores of single labels
    _threshold       the threshold of a task, or one per label
    _loss_traits     LossTraits: what a balancer may know of a loss before the first step
    _mean_loss       MeanLoss: the loss of a task as a metric
    _column_metric   ColumnMetric: one value per column; _column_view: one of these values
    _compile_args    compile_args: losses, loss weights and metrics for `Model.compile`
    _monitor         monitor: name and mode of a metric for callbacks
"""

from keras_mtl._tasks._column_metric import ColumnMetric
from keras_mtl._tasks._compile_args import compile_args
from keras_mtl._tasks._head import Head, attach_activation, attach_head
from keras_mtl._tasks._kinds._marginal import MarginalHead
from keras_mtl._tasks._label_statistics import LabelStatistics
from keras_mtl._tasks._labels import Labels
from keras_mtl._tasks._loss_traits import LossTraits, describe_loss
from keras_mtl._tasks._make_metric import Mode
from keras_mtl._tasks._monitor import monitor
from keras_mtl._tasks._scale import Scale
from keras_mtl._tasks._scale_layer import InverseScale, prediction_in_scale
from keras_mtl._tasks._task import Task, check_tasks
from keras_mtl._tasks._task_loss import TaskLoss
from keras_mtl._tasks._task_metric import TaskMetric
from keras_mtl._tasks._task_weight import is_variable, value_of
from keras_mtl._tasks._threshold import Threshold

__all__ = [
    "ColumnMetric",
    "Head",
    "InverseScale",
    "LabelStatistics",
    "Labels",
    "LossTraits",
    "MarginalHead",
    "Mode",
    "Scale",
    "Task",
    "TaskLoss",
    "TaskMetric",
    "Threshold",
    "attach_activation",
    "attach_head",
    "check_tasks",
    "compile_args",
    "describe_loss",
    "is_variable",
    "monitor",
    "prediction_in_scale",
    "value_of",
]

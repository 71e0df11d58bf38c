"""Callbacks that know tasks: when to stop, which weights to keep, how tasks get on, and charts.

What they know of an epoch is in the logs, as Python's floats under names that are the same in all
epochs (NaN where nothing was measured). So trackers need nothing of this package: put
`mlflow.tensorflow.MlflowCallback(run)`, `wandb.integration.keras.WandbMetricsLogger()` or
`keras.callbacks.CSVLogger(file)` behind these callbacks in `fit(callbacks=[...])`.
"""

from keras_mtl.callbacks._affinity_monitor import AffinityMonitor
from keras_mtl.callbacks._conflict_monitor import ConflictMonitor
from keras_mtl.callbacks._drop_task import DropTask
from keras_mtl.callbacks._gate_monitor import GateMonitor
from keras_mtl.callbacks._keep_best import KeepBest
from keras_mtl.callbacks._pause_tasks import PauseTasks
from keras_mtl.callbacks._refit_heads import RefitHeads
from keras_mtl.callbacks._stages import Stages
from keras_mtl.callbacks._staging._stage import Stage
from keras_mtl.callbacks._stop_by_tasks import StopByTasks
from keras_mtl.callbacks._tensorboard_tasks import TensorBoardTasks

__all__ = [
    "AffinityMonitor",
    "ConflictMonitor",
    "DropTask",
    "GateMonitor",
    "KeepBest",
    "PauseTasks",
    "RefitHeads",
    "Stage",
    "Stages",
    "StopByTasks",
    "TensorBoardTasks",
]

"""Callbacks that know tasks: when to stop, and which weights to keep."""

from keras_mtl.callbacks._keep_best import KeepBest
from keras_mtl.callbacks._stop_by_tasks import StopByTasks

__all__ = ["KeepBest", "StopByTasks"]

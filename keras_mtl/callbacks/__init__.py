"""Callbacks that know tasks: when to stop, which weights to keep, and how tasks get on."""

from keras_mtl.callbacks._affinity_monitor import AffinityMonitor
from keras_mtl.callbacks._conflict_monitor import ConflictMonitor
from keras_mtl.callbacks._gate_monitor import GateMonitor
from keras_mtl.callbacks._keep_best import KeepBest
from keras_mtl.callbacks._stop_by_tasks import StopByTasks

__all__ = ["AffinityMonitor", "ConflictMonitor", "GateMonitor", "KeepBest", "StopByTasks"]

"""Builders of multi-task networks: functions from inputs and tasks to a plain Keras model."""

from keras_mtl.architectures._hard_sharing import hard_sharing
from keras_mtl.architectures._mmoe import mmoe
from keras_mtl.architectures._single_task import single_task

__all__ = ["hard_sharing", "mmoe", "single_task"]

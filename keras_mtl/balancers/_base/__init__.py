"""The three kinds of balancer, and how a balancer keeps state and reads its arguments."""

from keras_mtl.balancers._base._arguments import check_numbers, check_seed, plain
from keras_mtl.balancers._base._balancer import (
    Balancer,
    GradientBalancer,
    GramianBalancer,
    LossBalancer,
)
from keras_mtl.balancers._base._epoch_logs import check_metric, read_logs
from keras_mtl.balancers._base._main_task import check_main_task, mask_of, position_of
from keras_mtl.balancers._base._needs import Needs
from keras_mtl.balancers._base._state import TaskState

__all__ = [
    "Balancer",
    "GradientBalancer",
    "GramianBalancer",
    "LossBalancer",
    "Needs",
    "TaskState",
    "check_main_task",
    "check_metric",
    "check_numbers",
    "check_seed",
    "mask_of",
    "plain",
    "position_of",
    "read_logs",
]

"""The kinds of balancer, and the parts that every rule uses to keep state and read arguments.

What each module holds, from the general to the special:

    _needs               Needs: what a rule needs of a step
    _arguments           checks of constructor arguments, and the main task of a rule
    _state               state with one entry per task, and the seed of the random draws
    _rule                the checks in front of every rule
    _balancer            Balancer: state, task names, configuration; the base of all kinds
    _loss_balancer       LossBalancer: combines the losses
    _gramian_balancer    GramianBalancer: finds weights from inner products of gradients
    _gradient_balancer   GradientBalancer: merges the gradients
    _wrapper             GramianWrapper: the base of rules around another Gramian balancer
    _epoch_logs          metrics that a rule reads from the logs of an epoch
    _dominance           a warning of a task that takes all the weight
"""

from keras_mtl.balancers._base._arguments import (
    check_main_task,
    check_numbers,
    check_seed,
    mask_of,
    plain,
    position_of,
)
from keras_mtl.balancers._base._balancer import Balancer
from keras_mtl.balancers._base._dominance import warn_of_dominance
from keras_mtl.balancers._base._epoch_logs import check_metric, log_keys, read_logs
from keras_mtl.balancers._base._gradient_balancer import GradientBalancer
from keras_mtl.balancers._base._gramian_balancer import GramianBalancer
from keras_mtl.balancers._base._loss_balancer import LossBalancer
from keras_mtl.balancers._base._needs import Needs
from keras_mtl.balancers._base._state import TaskState
from keras_mtl.balancers._base._wrapper import GramianWrapper

__all__ = [
    "Balancer",
    "GradientBalancer",
    "GramianBalancer",
    "GramianWrapper",
    "LossBalancer",
    "Needs",
    "TaskState",
    "check_main_task",
    "check_metric",
    "check_numbers",
    "check_seed",
    "log_keys",
    "mask_of",
    "plain",
    "position_of",
    "read_logs",
    "warn_of_dominance",
]

"""Training: balancing inside `fit`, on one device or on many.

The way of a batch, from `BalancedModel.fit` to a rule and back:

    _balanced_model   the Keras face: compile, fit, evaluate; holds one TrainStep
    _data_checks/     the door before it: what `fit` and its relatives receive, and _reports: the
                      warnings after it; BalancedModel derives from both
    _train_step       forward -> losses -> gradients -> rule -> update -> logs
    _batch            one batch; _batch_hook: what may change it before the forward pass, as
                      _adversaries/ does
    _frontier/        where the tasks part: one trunk, one copy of its output per tower
    _logs/            the losses of the batch, and what is counted of them
    _gradients/       what each loss contributes: rows of gradients, their Gramian
    _steps/           what the rule does with them: one function for each kind of step, chosen
                      by _choose_step from what the rule needs; _active_tasks calls the rule
    _modulation/      the gradients of encoders, of which one is slowed down
    _step_penalties   terms of the goal that no rule sees: of layers, and of _penalty
    _update           hands the optimizer the gradients, all of which are finite, or zeros;
                      _optimizer: as on one device; _state: what is kept until the next step

Beside this way: `_checks`, `_log_keys` and `_trained_variables` refuse what cannot work, before the
first step; `_epochs` runs after the last step of an epoch; `_dropout_seeds`, `_extra_forward` and
`_moving_averages` serve the forward passes; `_cluster/` finds the workers before all of it, and
`_asynchronous/` takes steps that do not wait; `_backup/` saves what a training needs to go on;
`_communication/` says what a cluster would send. `_meta/` trains in another way: on episodes, such
that a network adapts fast.
"""

from keras_mtl._replicas import strategy
from keras_mtl.training._adversaries._adversarial import Adversarial
from keras_mtl.training._adversaries._virtual_adversarial import VirtualAdversarial
from keras_mtl.training._asynchronous._fit_async import Asynchronous, fit_async
from keras_mtl.training._asynchronous._parameter_servers import (
    ParameterServers,
    parameter_servers,
)
from keras_mtl.training._backup._backup import Backup
from keras_mtl.training._balanced_model import BalancedModel
from keras_mtl.training._batch_hook import BatchHook
from keras_mtl.training._cluster._cluster import Cluster, cluster, is_chief
from keras_mtl.training._cluster._ray_engine import RayReport, ray_config
from keras_mtl.training._communication._communication import Communication, communication
from keras_mtl.training._communication._link import Link
from keras_mtl.training._meta._adapt import adapt
from keras_mtl.training._meta._meta_model import MetaModel
from keras_mtl.training._modulation._gradient_modulation import GradientModulation
from keras_mtl.training._penalty import Penalty

__all__ = [
    "Adversarial",
    "Asynchronous",
    "Backup",
    "BalancedModel",
    "BatchHook",
    "Cluster",
    "Communication",
    "GradientModulation",
    "Link",
    "MetaModel",
    "ParameterServers",
    "Penalty",
    "RayReport",
    "VirtualAdversarial",
    "adapt",
    "cluster",
    "communication",
    "fit_async",
    "is_chief",
    "parameter_servers",
    "ray_config",
    "strategy",
]

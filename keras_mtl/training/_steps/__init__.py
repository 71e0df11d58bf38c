"""What the rule does with the gradients: one module for each kind of step.

_step               the input and the result of every kind of step; how the rule is called
_choose_step        the table from a rule's needs to its step, and to the options they exclude
_by_losses, _at_parameters, _at_representation, _by_samples, _by_look_ahead, _by_inner_steps
                    the kinds of step
_reuse              `every=n`: when weights are computed, and when reused
_active_tasks       runs a rule on the tasks that take part
_global_batch       batches that are spread over several replicas
_moved_variables    gradients and losses after steps that are taken back
"""

from keras_mtl.training._steps._active_tasks import (
    after_update,
    balanced_losses,
    evaluated_scalar,
)
from keras_mtl.training._steps._at_parameters import step_at_parameters
from keras_mtl.training._steps._at_representation import step_at_representation
from keras_mtl.training._steps._by_inner_steps import step_by_inner_steps
from keras_mtl.training._steps._by_look_ahead import step_by_look_ahead
from keras_mtl.training._steps._by_losses import step_by_losses
from keras_mtl.training._steps._by_samples import step_by_samples
from keras_mtl.training._steps._choose_step import choose_step, excluded_option
from keras_mtl.training._steps._global_batch import batch_start, deal_out
from keras_mtl.training._steps._reuse import Reuse
from keras_mtl.training._steps._step import Step, StepResult, unreached_message

__all__ = [
    "Reuse",
    "Step",
    "StepResult",
    "after_update",
    "balanced_losses",
    "batch_start",
    "choose_step",
    "deal_out",
    "evaluated_scalar",
    "excluded_option",
    "step_at_parameters",
    "step_at_representation",
    "step_by_inner_steps",
    "step_by_look_ahead",
    "step_by_losses",
    "step_by_samples",
    "unreached_message",
]

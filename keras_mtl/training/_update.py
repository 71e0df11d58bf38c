"""The update of the variables, from the gradients of a step and of the penalty."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from keras_mtl._types import Tensor
from keras_mtl.training._gradients import (
    Gradient,
    LossScale,
    branch,
    is_finite,
    parts_to_check,
)
from keras_mtl.training._optimizer import as_on_one_device
from keras_mtl.training._resting import Rest
from keras_mtl.training._steps import Step, StepResult, unreached_message


def update_variables(
    model: Any,
    result: StepResult,
    of_penalty: Mapping[int, Tensor],
    step: Step,
    rest: Rest | None,
) -> StepResult:
    """Hands the optimizer a gradient for every trainable variable.

    Where one of them is not finite, none of them is used: all tasks are left out of the step,
    since a gradient of the shared variables does not tell which task it comes from
    (docs/keras_notes.md, pain 116). (An optimizer that scales losses skips such a step itself, and
    lowers its factor.)

    Args:
        model: The `BalancedModel`.
        result: The result of the step.
        of_penalty: The gradients of regularizers and `add_loss`, by `id` of the variable.
        step: The step.
        rest: What stays as it is in this step; `None` if everything moves.

    Returns:
        The result, with the tasks that were left out.
    """
    variables = model.trainable_variables
    loss_scale, kernels = step.loss_scale, step.kernels
    gradients = [_gradient(variable, result, of_penalty, step) for variable in variables]
    if not loss_scale.skips_overflow:
        # Those that have been looked at, mostly of the tasks' own variables, need no second look.
        checked = result.checked - of_penalty.keys()
        pairs = zip(variables, gradients, strict=True)
        unknown = parts_to_check(
            [pair for pair in pairs if id(pair[0]) not in checked], kernels - of_penalty.keys()
        )
        if unknown:
            gradients, result = _all_or_none(gradients, unknown, result, loss_scale)
    arrays = [gradient.array for gradient in gradients]
    arrays = list(as_on_one_device(model.optimizer, arrays, loss_scale))

    def update() -> None:
        model.optimizer.apply_gradients(zip(arrays, variables, strict=True))

    if rest is None:
        update()
    else:
        rest.around(result, update)
    return result


def _gradient(
    variable: Any, result: StepResult, of_penalty: Mapping[int, Tensor], step: Step
) -> Gradient:
    """Returns the gradient of a variable: that of the tasks, and that of the penalty.

    Raises:
        ValueError: If there is neither.
    """
    of_tasks, extra = result.gradients.get(id(variable)), of_penalty.get(id(variable))
    if of_tasks is None and extra is None:
        raise ValueError(unreached_message(variable))
    if of_tasks is None or extra is None:
        return step.flagged(variable, Gradient(extra if of_tasks is None else of_tasks))
    dense = tf.cast(Gradient(of_tasks).dense(), extra.dtype)
    return step.flagged(variable, Gradient(dense + tf.convert_to_tensor(extra)))


def _all_or_none(
    gradients: list[Gradient], unknown: list[Gradient], result: StepResult, loss_scale: LossScale
) -> tuple[list[Gradient], StepResult]:
    """Returns the gradients, or zeros if one that is unknown is not finite on some replica."""
    healthy = loss_scale.replicas.all_true(is_finite(unknown))

    def zeros() -> list[Gradient]:
        return [gradient.with_values(tf.zeros_like(gradient.values)) for gradient in gradients]

    kept = list(branch(healthy, lambda: gradients, zeros))
    broken = result.broken | (result.labeled & ~healthy)
    weights = tf.where(healthy, result.weights, tf.zeros_like(result.weights))
    return kept, dataclasses.replace(result, weights=weights, broken=broken, reported=broken)

"""What a balancer may know of the losses of a task before the first step."""

import dataclasses
import math
from typing import Any

import keras

from keras_mtl._tasks._base_task import BaseTask
from keras_mtl._tasks._known_losses import function_of
from keras_mtl._tasks._named_losses import get_loss
from keras_mtl._tasks._task_weight import value_of


@dataclasses.dataclass(frozen=True)
class LossTraits:
    """Describes a loss to the balancer that weighs it.

    Args:
        regression: Whether the labels are numbers, not classes. Defaults to `True`.
        typical: The loss of a prediction that knows nothing of the inputs, times `Task.weight`.
            Defaults to `None`: not known.
    """

    regression: bool = True
    typical: float | None = None


def describe_loss(task: BaseTask) -> LossTraits:
    """Returns what a task says of its loss, or of the loss of each of its columns.

    A prediction that knows nothing of the inputs has the mean loss log 2 where a label is yes or
    no, log C for C classes, and 1 for numbers of variance 1 and their squared error, as a
    `scale` makes them. The mean of another loss is not known.
    """
    output = task.described()
    weight = value_of(task.weight)
    loss = get_loss(task.loss)
    typical = _typical_loss(loss, output.width)
    if task.scale is not None and task.scale.method == "minmax":
        typical = None  # the variance of scaled labels depends on the data
    is_number = output.kind in ("number", "quantiles", "unknown")
    return LossTraits(
        regression=is_number and not getattr(loss, "is_likelihood", False),
        typical=weight * typical if typical and weight else None,
    )


def _typical_loss(loss: keras.losses.Loss, width: int | None) -> float | None:
    function: Any = (function_of(loss) or (None, {}))[0]
    name = getattr(function, "__name__", "")
    if function is None or getattr(keras.losses, name, None) is not function:
        return None  # a function of a user's may have the name of one of Keras's
    match name:
        case "binary_crossentropy":
            return math.log(2.0)
        case "categorical_crossentropy" | "sparse_categorical_crossentropy":
            return math.log(width) if width and width > 1 else None
        case "mean_squared_error":
            return 1.0
    return None

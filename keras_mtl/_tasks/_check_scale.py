"""Which tasks can have a scale."""

from typing import Any

import keras

from keras_mtl._tasks._known_losses import function_of
from keras_mtl._tasks._output import Output
from keras_mtl._tasks._scale import Scale

# Losses whose meaning depends on the unit: rates of counts, logarithms and shares of the label.
_IN_THE_UNIT = (
    "poisson",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
)


def check_scale(scale: Scale, head: Any, loss: keras.losses.Loss, output: Output) -> None:
    """Checks that a task can have a scale.

    Args:
        scale: The scale.
        head: The head of the task, or a recipe.
        loss: The loss of the task.
        output: What is known of its labels and its prediction.

    Raises:
        ValueError: If labels are no real values, the head bounds its prediction, or the loss reads
            labels in their own unit.
    """
    labels = output.labels
    if output.kind not in ("number", "quantiles", "unknown") or (
        labels is not None and labels.integer
    ):
        raise ValueError(
            f"scale is for real-valued labels, as those of Task.regression; the labels of this "
            f"task are of the kind {output.kind!r}. Leave scale out."
        )
    activation = getattr(head, "activation", "linear")
    if activation != "linear":
        raise ValueError(
            "a network learns scaled labels of any sign, so that a scale ends a head without "
            f"activation; the head of this task ends in {activation!r}. Leave scale out, or use "
            "Head(units) with the scale 'log' for positive predictions."
        )
    function, _ = function_of(loss) or (None, {})
    name = getattr(function, "__name__", "")
    if name in _IN_THE_UNIT:
        raise ValueError(
            f"the loss {name!r} reads labels in their own unit, and a scale changes it. Leave "
            "scale out, or take mean_squared_error with the scale 'log' for relative errors."
        )


def check_size(scale: Scale, entries: int) -> None:
    """Checks that a scale has one center, or one per entry of the last axis.

    Raises:
        ValueError: If it has another number of centers.
    """
    if scale.size not in (1, entries):
        raise ValueError(
            f"its scale has {scale.size} centers, and its labels have {entries} "
            f"{'entries in their last axis' if entries > 1 else 'entry'}."
        )

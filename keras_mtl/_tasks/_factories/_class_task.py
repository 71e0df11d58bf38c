"""The part that tasks with one of several classes share, whatever has the class."""

from typing import Any, Literal, get_args

import keras

from keras_mtl._tasks._factories._chosen_loss import Balance, choose_loss
from keras_mtl._tasks._focal_loss import SparseFocal
from keras_mtl._tasks._head import Head
from keras_mtl._tasks._labels import Labels

Encoding = Literal["integer", "one_hot"]
"""How labels name a class: by its number, or by a row with a 1 (or probabilities that sum to 1)."""


def class_settings(
    name: str,
    balance: Balance,
    *,
    label_shape: tuple[int | None, ...],
    labels: Encoding,
    loss: Any,
) -> dict[str, Any]:
    """Returns head, loss and labels of a task with classes at every position of `label_shape`.

    Args:
        name: Name of the task.
        balance: The number of classes, whose numbers are 0 to `num_classes - 1`, and the counts of
            their examples.
        label_shape: Shape of one example's class numbers: `()` for one per example, `(None,)` for
            one per token, `(None, None)` for one per pixel.
        labels: How labels name a class.
        loss: `None` for the cross-entropy, a name of this package, or a loss.

    Raises:
        ValueError: If there are fewer than two classes, or `labels` is unknown.
    """
    num_classes = balance.num_classes
    if num_classes < 2:
        raise ValueError(f"task {name!r}: num_classes must be at least 2, not {num_classes}.")
    if labels not in get_args(Encoding):
        raise ValueError(
            f"task {name!r}: labels is one of {list(get_args(Encoding))}; received {labels!r}."
        )
    head = Head(num_classes, "softmax")
    if labels == "one_hot":
        # Keras's alpha, 0.25, would weigh the whole task down.
        focal = keras.losses.CategoricalFocalCrossentropy(alpha=1.0)
        default = keras.losses.CategoricalCrossentropy()
        return {
            "head": head,
            "loss": choose_loss(name, loss, default, focal, balance),
            "labels": Labels((*label_shape, num_classes), low=0, high=1, one_hot=True),
        }
    sparse = keras.losses.SparseCategoricalCrossentropy()
    return {
        "head": head,
        "loss": choose_loss(name, loss, sparse, SparseFocal(), balance),
        "labels": Labels(label_shape, integer=True, low=0, high=num_classes - 1),
    }

"""The loss of a factory: its own, one that it knows by name, or the user's."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import keras

from keras_mtl._tasks._class_balanced_loss import DEFAULT_BETA, ClassBalanced

ClassCounts: TypeAlias = Sequence[float] | Mapping[int, float]
"""The number of training examples of each class: a sequence, or a dict by class."""

_BALANCED = ("class_balanced", "class_balanced_focal")


class Balance(NamedTuple):
    """Holds what a loss that balances classes has to know."""

    num_classes: int
    counts: ClassCounts | None
    beta: float = DEFAULT_BETA


def choose_loss(
    name: str,
    loss: Any,
    default: keras.losses.Loss,
    focal: keras.losses.Loss,
    balance: Balance | None = None,
) -> Any:
    """Returns the loss that `None` or one of this package's names stands for, or `loss` itself.

    Args:
        name: Name of the task.
        loss: `None`, `"focal"`, `"class_balanced"`, `"class_balanced_focal"`, or any other loss.
        default: The loss for `None`.
        focal: The loss for `"focal"`.
        balance: The counts of classes. Defaults to `None`: the task has none.

    Raises:
        ValueError: If counts are needed and not there, or there and not needed, or do not fit the
            classes.
    """
    chosen = loss if isinstance(loss, str) else None
    counts = None if balance is None else balance.counts
    if chosen not in _BALANCED:
        if counts is not None:
            raise ValueError(
                f"task {name!r}: class_counts are for loss='class_balanced' and "
                f"'class_balanced_focal'; received loss={loss!r}."
            )
        return default if loss is None else focal if chosen == "focal" else loss
    if balance is None:
        raise ValueError(
            f"task {name!r}: loss={loss!r} is for tasks with one class per label; each label of "
            "this task has counts of its own. Take keras_mtl.data.class_weights."
        )
    if counts is None:
        raise ValueError(
            f"task {name!r}: loss={loss!r} needs class_counts, the number of training examples of "
            f"each class: keras_mtl.data.describe(dataset, tasks)[{name!r}].classes."
        )
    inner = focal if chosen == "class_balanced_focal" else default
    try:
        return ClassBalanced(inner, _by_class(counts, balance.num_classes), balance.beta, chosen)
    except ValueError as error:
        raise ValueError(f"task {name!r}: {error}.") from error


def _by_class(counts: ClassCounts, num_classes: int) -> list[float]:
    """Returns the count of each class, in the order of the classes."""
    if isinstance(counts, Mapping):
        unknown = sorted(set(counts) - set(range(num_classes)))
        if unknown:
            raise ValueError(
                f"class_counts name {unknown}, and the classes are 0 to {num_classes - 1}"
            )
        return [float(counts.get(value, 0)) for value in range(num_classes)]
    if len(counts) != num_classes:
        raise ValueError(
            f"class_counts are {num_classes} numbers, one per class; received {len(counts)}"
        )
    return [float(count) for count in counts]

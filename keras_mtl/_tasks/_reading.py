"""What one value of a loss depends on, and how labels are prepared for it."""

import dataclasses
from typing import Literal, get_args

Reads = Literal["element", "last axis", "example", "batch"]
"""What one value of a loss depends on; `Task(reads=...)` documents the four kinds."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """Holds what is known of a loss.

    Args:
        reads: What one value of the loss depends on.
        sparse: Whether labels are class numbers, without the last axis of the prediction.
            Defaults to `False`.
        dense: Whether labels must have the shape of the prediction. Defaults to `False`: what a
            user's loss does with other labels is its own matter.
        takes_zero: Whether the loss and its derivative are finite for the label 0, whatever the
            prediction is. Defaults to `False`.
        overlap: Whether an entry of label 0 and prediction 0 adds nothing, as to the sums of
            Dice and Tversky. Defaults to `False`.
        padded: Whether the label 0 is padding, so that an example counts if any of its labels is
            valid. Defaults to `False`: all of them have to be.
        lists: Whether the loss is told which labels of an example are missing, and leaves them out
            itself (`ListLoss`). Defaults to `False`.
        casts: Whether labels are cast to the dtype of the loss first, as Keras does. Defaults to
            `True`.
    """

    reads: Reads
    sparse: bool = False
    dense: bool = False
    takes_zero: bool = False
    overlap: bool = False
    padded: bool = False
    lists: bool = False
    casts: bool = True


def check_reads(reads: object) -> Reads:
    """Returns `reads` if it is one of the four kinds.

    Raises:
        ValueError: If it is not.
    """
    for kind in get_args(Reads):
        if reads == kind:
            known: Reads = kind
            return known
    raise ValueError(f"reads is one of {list(get_args(Reads))}; received {reads!r}.")


def check_columns(reading: Reading) -> None:
    """Checks that each column of a task can have a loss of its own.

    Raises:
        ValueError: If the loss is not elementwise.
    """
    if reading.reads != "element":
        raise ValueError(
            f"columns are tasks of their own, and one value of the loss reads the {reading.reads}; "
            "use an elementwise loss, or no columns."
        )

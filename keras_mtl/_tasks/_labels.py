"""The labels of a task: their shape, their type and their range."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Labels:
    """Describes the labels of a task, so that data can be checked before training.

    The factories of `Task` fill it in. Write it yourself for a task that you build with the
    constructor: without it, labels are not checked, and the data functions cannot fill in a task
    for which a dataset has no labels.

    Args:
        shape: Shape after the batch axis; `None` stands for any length. Defaults to `()`: one
            label per example.
        integer: Whether labels are class numbers; a sentinel then marks a missing label.
            Defaults to `False`.
        low: The smallest allowed value. Defaults to `None`: no limit.
        high: The largest allowed value. Defaults to `None`: no limit.
        one_hot: Whether the last axis holds one label together: probabilities of classes, which
            sum to 1. Defaults to `False`.
        names: Names of the classes, such as the tags `"B-PER"` and `"I-PER"` that the metric
            `"span_f1"` has to know. Defaults to `None`.
        time_to_event: Whether the last axis, of 2 entries, holds one label together: a time, and 1
            if an event came then, or 0 if the observation ended. Defaults to `False`.

    Example:
        >>> Labels((None,), integer=True, low=0, high=16).high
        16
    """

    shape: tuple[int | None, ...] = ()
    integer: bool = False
    low: float | None = None
    high: float | None = None
    one_hot: bool = False
    names: tuple[str, ...] | None = None
    time_to_event: bool = False

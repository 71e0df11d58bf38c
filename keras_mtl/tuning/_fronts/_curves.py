"""The logs of the epochs of a trial."""

from collections.abc import Mapping, Sequence

Epoch = Mapping[str, float]
Curve = Sequence[Epoch]


def average_curves(curves: Sequence[Curve]) -> tuple[dict[str, float], ...]:
    """Computes the mean over the trainings of a trial, epoch by epoch.

    Args:
        curves: The logs of all epochs, for each training. Trainings may differ in length if a
            callback stops some of them: only epochs that all of them reached have a mean.

    Returns:
        The logs of each epoch.

    Example:
        >>> average_curves([[{"a": 1.0}, {"a": 2.0}], [{"a": 3.0}]])
        ({'a': 2.0},)
    """
    if len(curves) == 1:
        return tuple(dict(epoch) for epoch in curves[0])
    return tuple(
        {name: sum(logs[name] for logs in epochs) / len(epochs) for name in epochs[0]}
        for epochs in zip(*curves, strict=False)
    )

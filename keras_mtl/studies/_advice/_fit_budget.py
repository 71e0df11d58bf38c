"""How many trials and seeds fit into the minutes."""

from collections.abc import Sequence

from keras_mtl.studies._budget import Budget

_STEPS = ((8, 5), (4, 5), (2, 5), (1, 5), (1, 3))
"""Trials and seeds, from the best to the least that gives a verdict."""


def fit_budget(
    networks: Sequence[int], seconds: float, minutes: float, epochs: int, workers: int
) -> tuple[Budget, int]:
    """Returns the budget per network, and how many contenders it allows.

    First the list gets shorter, from its end, if even the least budget does not allow all of it;
    then trials and seeds grow.

    Args:
        networks: The number of networks of the baseline, then of each contender.
        seconds: The time of one training.
        minutes: The time that there is.
        epochs: The number of epochs.
        workers: The number of processes.

    Raises:
        ValueError: If not even the baseline and the first contender can be trained.
    """
    possible = 60.0 * minutes * workers / seconds  # trainings
    least = _STEPS[-1][1]  # one trial has nothing to choose from, and is left out
    kept = len(networks)
    while kept > 2 and sum(networks[:kept]) * least > possible:
        kept -= 1
    if sum(networks[:kept]) * least > possible:
        needed = sum(networks[:2]) * least * seconds / (60.0 * workers)
        raise ValueError(
            f"minutes is {minutes:g}; one training takes about {seconds:.1f} s, so that the least "
            f"study, of {sum(networks[:2])} networks and {least} seeds each, needs about "
            f"{needed:.1f} minutes. Allow more minutes or workers, or fewer epochs."
        )
    for trials, seeds in _STEPS:
        trainings = trials + seeds if trials > 1 else seeds
        if sum(networks[:kept]) * trainings <= possible:
            return Budget(trials, epochs, seeds), kept - 1
    raise AssertionError("the least budget fits")

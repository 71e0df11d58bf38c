"""The best trial of a network, and the best trained network, by validation data."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from keras_mtl.callbacks._watching._watched_metrics import WatchedMetric
from keras_mtl.studies._trainings._record import Training


@dataclasses.dataclass(frozen=True)
class Choice:
    """Holds the trial whose setting was chosen.

    Args:
        training: The trial.
        epoch: Its best epoch.
        score: The mean gain over the baseline in that epoch; for the baseline itself, its metric,
            negative if the metric is better low.
    """

    training: Training
    epoch: int
    score: float


def choose_trial(
    trials: Sequence[Training],
    metrics: Mapping[str, WatchedMetric],
    baselines: Mapping[str, float] | None,
) -> Choice | None:
    """Returns the best trial of a network in its best epoch; `None` if all trials failed.

    All tasks are taken from one epoch: the best epochs of single tasks are a point that no network
    reaches. Of equal scores the earlier trial and epoch is taken.

    Args:
        trials: The trials of one network.
        metrics: By task, the metric that is watched.
        baselines: By task, the validation metric of the baseline; `None` for the baseline itself,
            whose networks have one task.
    """
    best: Choice | None = None
    for training in trials:
        if training.state != "done":
            continue
        for epoch in range(training.epochs):
            score = score_of(training.values(epoch), metrics, baselines)
            if math.isfinite(score) and (best is None or score > best.score):
                best = Choice(training, epoch, score)
    return best


def score_of(
    values: Mapping[str, float],
    metrics: Mapping[str, WatchedMetric],
    baselines: Mapping[str, float] | None,
) -> float:
    """Returns the mean over tasks of the gain over the baseline, relative to it.

    Where the baseline of a task is 0, which no gain can be relative to, its gain is the difference.
    """
    gains = []
    for task, value in values.items():
        base = baselines[task] if baselines is not None else 0.0
        difference = value - base if metrics[task].mode == "max" else base - value
        gains.append(difference / abs(base) if base else difference)
    return sum(gains) / len(gains)

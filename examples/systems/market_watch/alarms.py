"""Tests for a shift of a mean in a stream, with thresholds for a stated rate of false alarms."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Cusum:
    """Holds a two-sided cumulative sum (Page 1954) of z = (score - mean) / deviation.

        S+ = max(0, S+ + z - k),  S- = max(0, S- - z - k),  alarm: max(S+, S-) > threshold

    `mean` and `deviation` are of the reference; k is half the shift that is to be noticed, in
    deviations. Choose it where a reference is there from the first text on.
    """

    mean: float
    deviation: float
    k: float
    threshold: float = np.inf

    def paths(self, scores):
        """Returns max(S+, S-) after each score; `scores` is `(streams, time)`."""
        z = (scores - self.mean) / self.deviation
        above = below = np.zeros(len(z))
        path = np.empty(z.shape)
        for t in range(z.shape[1]):
            above = np.maximum(above + z[:, t] - self.k, 0)
            below = np.maximum(below - z[:, t] - self.k, 0)
            path[:, t] = np.maximum(above, below)
        return path


@dataclasses.dataclass
class PageHinkley(Cusum):
    """Holds the same test with the mean of the stream so far in place of the reference's mean.

    Choose it where the level of a stream is not known before; it needs a quiet beginning, and a
    slow drift moves the mean that it compares with. The first `quiet` scores raise no alarm.
    """

    quiet: int = 100

    def paths(self, scores):
        """Returns the statistic after each score, 0 while the stream is new."""
        counts = np.arange(1, scores.shape[1] + 1)
        running = np.cumsum(scores, axis=1) / counts
        centered = scores - running + self.mean
        centered[:, : self.quiet] = self.mean
        return super().paths(centered)


def first_alarms(test, scores):
    """Returns the number of scores until the first alarm of each stream; infinite without one."""
    peaks = np.maximum.accumulate(test.paths(scores), axis=1)
    first = (peaks <= test.threshold).sum(axis=1).astype(float)
    first[first == scores.shape[1]] = np.inf
    return first + 1


def set_threshold(test, scores, run_length, streams=200, seed=0):
    """Sets the threshold at which a stream without a shift runs so long until an alarm, on average.

    Streams are drawn from the reference's scores, with replacement. A stream is watched for twice
    the run length; the rate is that of first alarms per score watched (times are nearly
    exponential), so that streams without an alarm count too.
    """
    draws = np.random.default_rng(seed).choice(scores, (streams, 2 * run_length))
    peaks = np.maximum.accumulate(test.paths(draws), axis=1)
    lower, upper = 0.0, float(peaks.max())
    for _ in range(40):
        middle = (lower + upper) / 2
        watched = (peaks <= middle).sum(axis=1)
        alarms = (watched < peaks.shape[1]).sum()
        too_many = alarms * run_length > watched.sum() + alarms
        lower, upper = (middle, upper) if too_many else (lower, middle)
    return dataclasses.replace(test, threshold=upper)


def design(kind, scores, positive, shift, run_length, **arguments):
    """Returns a test of one topic, from scores and labels of its reference.

    `shift` is the change of the share of positive texts that is to be noticed: the mean score
    moves by `shift` times the distance between mean scores of positive and of negative texts.
    """
    if len(np.unique(positive)) < 2:
        raise ValueError(
            f"a topic has {len(positive)} texts in the reference, and not both good and bad ones; "
            "an alarm needs both. Take a larger reference, or train the network longer."
        )
    distance = scores[positive == 1].mean() - scores[positive == 0].mean()
    deviation = float(scores.std())
    k = shift * float(distance) / deviation / 2
    test = kind(float(scores.mean()), deviation, k, **arguments)
    return set_threshold(test, scores, run_length)
